/** What the API server takes as a WalrusCluster, and what it refuses, rule by rule. */
import { settingEdges } from '../../crds/testing/settingEdges.ts';

export type Fields = Readonly<Record<string, unknown>>;

export interface Creation {
  readonly name?: string;
  readonly spec: Fields;
  /** A part of the refusal; absent: it is taken. */
  readonly refusal?: string;
}

export interface Change {
  readonly before: Fields;
  /** A merge patch of the spec. */
  readonly patch: Fields;
  readonly refusal?: string;
}

const TWO_NODES = 'replicas must be 1, or 3 and more';
const VOTERS = 'metadataVoters cannot be more than replicas';
const SEVENTEEN = Array.from({ length: 17 }, (_, index) => `team-${index}`);
const NAME = 'metadata.name must be lower-case letters';

const CONNECTION = 'maxConnectionInFlightBytes must be at least maxFrameBytes';
const ALL_CONNECTIONS = 'maxNodeInFlightBytes must be at least maxConnectionInFlightBytes';
const REQUESTS = 'requests cannot be more than limits';
const MEMORY = 'limits.memory must be at least 256Mi';

const AMOUNT = 'must be an amount as Kubernetes writes it';

const DIGEST = `sha256:${'0a'.repeat(32)}`;
const IMAGES = [
  'walrus',
  'walrus:0.1.0',
  'library/walrus__x:V1_2.3-rc',
  'localhost:5000/a/b-c/walrus:1',
  'Registry.Example.com/walrus',
  '[fd00::1]:5000/walrus:1',
  `example.com/walrus:1@${DIGEST}`,
  `example.com/walrus@${DIGEST}`,
];
const NO_IMAGES = [
  '',
  'UPPER',
  'walrus:',
  'wal rus',
  ' walrus',
  'a//b',
  'a:1:2',
  'walrus@sha256:0a',
  '-a',
];

const DOMAIN = Array.from({ length: 4 }, () => 'd'.repeat(63))
  .join('.')
  .slice(0, 253);
const LABELS: readonly Fields[] = [
  {},
  { 'node.kubernetes.io/instance-type': 'm5.large', a: '', 'A_b.c-9': 'x' },
  { [`${DOMAIN}/${'n'.repeat(63)}`]: 'v'.repeat(63) },
];
const NO_LABELS: readonly Fields[] = [
  { 'bad key!': 'x' },
  { '': 'x' },
  { 'n/': 'x' },
  { '/n': 'x' },
  { 'a/b/c': 'x' },
  { 'a..b/n': 'x' },
  { 'Example.com/n': 'x' },
  { [`${DOMAIN}d/n`]: 'x' },
  { ['n'.repeat(64)]: 'x' },
  { a: 'x y' },
  { a: '-x' },
];
const ANNOTATIONS: readonly Fields[] = [{ 'Example.com/n': 'x y, z!', a: '' }];
const NO_ANNOTATIONS: readonly Fields[] = [{ 'bad key!': 'x' }, { 'a..b/n': 'x' }];

function mapsOf(labels: Fields, refusal?: string): readonly Creation[] {
  const specs = [
    { placement: { nodeSelector: labels } },
    { podTemplate: { labels } },
    { monitoring: { labels } },
  ];
  return specs.map((spec) => (refusal === undefined ? { spec } : { spec, refusal }));
}

function annotated(annotations: Fields, refusal?: string): readonly Creation[] {
  const specs = [{ podTemplate: { annotations } }, { listeners: { client: { annotations } } }];
  return specs.map((spec) => (refusal === undefined ? { spec } : { spec, refusal }));
}

/** Of one resource. */
function amounts(request: unknown, limit: unknown, refusal?: string): readonly Creation[] {
  return ['cpu', 'memory', 'example.com/fpga'].map((name) => ({
    spec: { resources: { requests: { [name]: request }, limits: { [name]: limit } } },
    ...(refusal === undefined ? {} : { refusal }),
  }));
}

export const CREATIONS: readonly Creation[] = [
  { spec: {} },
  { spec: { replicas: 1 } },
  { spec: { replicas: 2 }, refusal: TWO_NODES },
  { spec: { replicas: 99 } },
  { spec: { replicas: 0 }, refusal: 'spec.replicas' },
  { spec: { replicas: 100 }, refusal: 'spec.replicas' },
  { spec: { replicas: 5, metadataVoters: 5 } },
  { spec: { replicas: 3, metadataVoters: 5 }, refusal: VOTERS },
  { spec: { replicas: 5, metadataVoters: 4 }, refusal: 'spec.metadataVoters' },
  { spec: { storage: { size: '256Mi' } } },
  { spec: { storage: { size: '255Mi' } }, refusal: 'size must be at least 256Mi' },
  { spec: { storage: { size: 'much' } }, refusal: 'spec.storage.size' },
  { spec: { storage: { size: '' } }, refusal: AMOUNT },
  { spec: { drainTimeout: '90s' } },
  ...settingEdges().map(({ spec, isTaken, refusal }) => (isTaken ? { spec } : { spec, refusal })),
  { spec: { drainTimeout: '30' }, refusal: 'must be a time' },
  { spec: { config: { maxFrameBytes: '2MiB', maxFetchBytes: '65536', scrubBytesPerSecond: '0' } } },
  { spec: { config: { maxFrameBytes: '1.5MiB' } }, refusal: 'must be a size' },
  { spec: { config: { maxFrameBytes: '16MiB' } }, refusal: CONNECTION },
  { spec: { config: { maxFrameBytes: '16MiB', maxConnectionInFlightBytes: '16MiB' } } },
  { spec: { config: { maxConnectionInFlightBytes: '512KiB' } }, refusal: CONNECTION },
  { spec: { config: { maxConnectionInFlightBytes: '65MiB' } }, refusal: ALL_CONNECTIONS },
  { spec: { config: { maxNodeInFlightBytes: '8191KiB' } }, refusal: ALL_CONNECTIONS },
  { spec: { drainTimeout: 'soon' }, refusal: 'spec.drainTimeout' },
  { spec: { config: { logLevel: 'warn', maxSegmentEntries: 1000 } } },
  { spec: { config: { logLevel: 'loud' } }, refusal: 'spec.config.logLevel' },
  { spec: { config: { maxSegmentEntries: 0 } }, refusal: 'spec.config.maxSegmentEntries' },
  { spec: { config: { logLevl: 'warn' } }, refusal: 'logLevl' },
  ...IMAGES.map((image) => ({ spec: { image } })),
  ...NO_IMAGES.map((image) => ({ spec: { image }, refusal: 'spec.image' })),
  ...NO_IMAGES.map((image) => ({ spec: { image }, refusal: 'must be an image' })),
  { spec: { version: 'a version' }, refusal: 'must be the tag of an image' },
  { spec: { imagePullPolicy: 'Sometimes' }, refusal: 'spec.imagePullPolicy' },
  { spec: { upgrade: { strategy: 'Paused', catchUpTimeout: '1h' } } },
  ...['10s', '10000ms', '24h', '1d'].map((catchUpTimeout) => ({
    spec: { upgrade: { catchUpTimeout } },
  })),
  ...['0s', '9s', '25h', '10', 'soon', ''].map((catchUpTimeout) => ({
    spec: { upgrade: { catchUpTimeout } },
    refusal: 'must be a time in 10s..1d',
  })),
  { spec: { upgrade: { strategy: 'Recreate' } }, refusal: 'spec.upgrade.strategy' },
  { spec: { resources: { limits: { memory: 'lots' } } }, refusal: 'spec.resources.limits' },
  { spec: { resources: { limits: { memory: 'lots' } } }, refusal: AMOUNT },
  { spec: { resources: { requests: { cpu: '-1' } } }, refusal: AMOUNT },
  { spec: { resources: { requests: { cpu: -1 } } }, refusal: 'spec.resources.requests' },
  ...amounts('1Gi', '1Gi'),
  ...amounts('1023Mi', '1Gi'),
  ...amounts('1025Mi', '1Gi', REQUESTS),
  ...amounts(2147483648, '2147483648.0'),
  ...amounts(2, '1999m', REQUESTS),
  { spec: { resources: { requests: { cpu: 4, memory: '1Gi' }, limits: { memory: '2Gi' } } } },
  { spec: { resources: { limits: { memory: '256Mi' } } } },
  { spec: { resources: { limits: { memory: 268435456 } } } },
  { spec: { resources: { limits: { cpu: '10m' } } } },
  { spec: { resources: { requests: { memory: '128Mi' } } } },
  { spec: { resources: { limits: { memory: '255Mi' } } }, refusal: MEMORY },
  { spec: { resources: { limits: { memory: 268435455 } } }, refusal: MEMORY },
  { spec: { resources: { limits: { memory: '256M' } } }, refusal: MEMORY },
  { spec: { resources: { requests: { memory: 0 }, limits: { memory: 0 } } }, refusal: MEMORY },
  { spec: { placement: { topologyKey: 'example.com/rack' } } },
  { spec: { placement: { topologyKey: "zone'" } }, refusal: 'must be the key of a label' },
  ...LABELS.flatMap((labels) => mapsOf(labels)),
  ...NO_LABELS.flatMap((labels) => mapsOf(labels, 'must be labels')),
  ...ANNOTATIONS.flatMap((annotations) => annotated(annotations)),
  ...NO_ANNOTATIONS.flatMap((annotations) => annotated(annotations, 'must be annotations')),
  { spec: { priorityClassName: 'Most Important' }, refusal: 'must be the name of an object' },
  { spec: { storage: { storageClassName: 'NVMe' } }, refusal: 'spec.storage.storageClassName' },
  { spec: { imagePullSecrets: [{ name: 'pull.me' }] } },
  { spec: { imagePullSecrets: [{ name: '' }] }, refusal: 'spec.imagePullSecrets' },
  { spec: { listeners: { client: { serviceType: 'ExternalName' } } }, refusal: 'serviceType' },
  { spec: { monitoring: { namespaces: ['monitoring', 'team-a'] } } },
  { spec: { monitoring: { namespaces: ['Monitoring'] } }, refusal: 'must be the name of a name' },
  { spec: { monitoring: { namespaces: ['s'.repeat(64)] } }, refusal: 'monitoring.namespaces' },
  { spec: { monitoring: { namespaces: SEVENTEEN } }, refusal: 'monitoring.namespaces' },
  { name: 'sea-1', spec: {} },
  { name: '1sea', spec: {}, refusal: NAME },
  { name: 'a.sea', spec: {}, refusal: NAME },
  { name: 's'.repeat(40), spec: {} },
  { name: 's'.repeat(41), spec: {}, refusal: 'metadata.name' },
];

const SIZE = 'size cannot be changed';
const CLASS = 'storageClassName cannot be changed';

function taken(field: string, values: readonly [unknown, unknown]): readonly Change[] {
  const refusal = `${field} is taken when the cluster begins`;
  const [one, other] = values;
  const given = { config: { [field]: one } };
  const among = { config: { [field]: one, logLevel: 'info' } };
  return [
    { before: {}, patch: given, refusal },
    { before: given, patch: { config: null }, refusal },
    { before: { config: { logLevel: 'info' } }, patch: given, refusal },
    { before: among, patch: { config: { [field]: null } }, refusal },
    { before: given, patch: { config: { [field]: other } }, refusal },
    { before: given, patch: { config: { logLevel: 'debug' } } },
    { before: among, patch: { config: { logLevel: null } } },
  ];
}

export const CHANGES: readonly Change[] = [
  { before: { replicas: 3 }, patch: { replicas: 5 } },
  { before: { replicas: 3 }, patch: { replicas: 2 }, refusal: TWO_NODES },
  { before: { replicas: 5, metadataVoters: 5 }, patch: { replicas: 3 }, refusal: VOTERS },
  { before: {}, patch: { metadataVoters: 3 } },
  { before: { metadataVoters: 3 }, patch: { metadataVoters: null } },
  { before: { metadataVoters: 3 }, patch: { metadataVoters: 1 } },
  { before: { replicas: 3 }, patch: { replicas: 5, metadataVoters: 5 } },
  { before: { replicas: 3 }, patch: { metadataVoters: 5 }, refusal: VOTERS },
  { before: { replicas: 5 }, patch: { metadataVoters: 4 }, refusal: 'spec.metadataVoters' },
  { before: { metadataVoters: 3 }, patch: { replicas: 5 } },
  { before: {}, patch: { storage: { size: '20Gi' } }, refusal: SIZE },
  { before: { storage: { size: '1Gi' } }, patch: { storage: null }, refusal: SIZE },
  { before: {}, patch: { storage: { storageClassName: 'nvme' } }, refusal: CLASS },
  {
    before: { storage: { storageClassName: 'nvme' } },
    patch: { storage: { storageClassName: null } },
    refusal: CLASS,
  },
  {
    before: { storage: { storageClassName: 'nvme' } },
    patch: { storage: { storageClassName: 'disk' } },
    refusal: CLASS,
  },
  {
    before: { storage: { storageClassName: 'nvme' } },
    patch: { storage: { retention: { onDelete: 'Delete' } } },
  },
  { before: {}, patch: { config: { logLevel: 'debug' } } },
  { before: { config: { logLevel: 'debug' } }, patch: { config: null } },
  ...taken('maxSegmentEntries', [1000, 2000]),
  ...taken('maxSegmentBytes', ['1MiB', '2MiB']),
  ...taken('maxSegmentAge', ['1h', '2h']),
];
