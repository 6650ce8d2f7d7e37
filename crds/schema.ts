/**
 * The WalrusCluster, declared once: its TypeScript types (operator/api/walrusCluster.ts) and its CustomResourceDefinition (crd.ts)
 * both follow from here. A structural schema of OpenAPI v3 as Kubernetes wants it: every list, map and string is
 * bounded, so that the cost of its CEL rules is. No field without a function.
 */
import { Type } from '@sinclair/typebox';
import type { Static, TObject, TProperties, TSchema, TUnsafe } from '@sinclair/typebox';

/** A rule in CEL, and what the user is told when it does not hold. */
interface Rule {
  readonly rule: string;
  readonly message: string;
}

function described<S extends TSchema>(description: string, schema: S): S {
  return { ...schema, description };
}

function oneOf<const T extends string | number>(values: readonly T[], fallback?: T): TUnsafe<T> {
  return Type.Unsafe<T>({
    type: typeof values[0] === 'number' ? 'integer' : 'string',
    enum: [...values],
    ...(fallback === undefined ? {} : { default: fallback }),
  });
}

/** A map of short strings: labels, annotations, selectors. */
function strings(
  maxValueLength: number,
  pattern?: string,
): TUnsafe<Readonly<Record<string, string>>> {
  const bounded = { type: 'string', maxLength: maxValueLength };
  return Type.Unsafe({
    type: 'object',
    maxProperties: 32,
    additionalProperties: pattern === undefined ? bounded : { ...bounded, pattern },
  });
}

/** What a label may be. */
const LABEL_VALUE = '^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$';

function listOf<S extends TSchema>(item: S, maxItems: number): TUnsafe<readonly Static<S>[]> {
  return Type.Unsafe({ type: 'array', maxItems, items: item, 'x-kubernetes-list-type': 'atomic' });
}

function object<P extends TProperties>(properties: P, rules: readonly Rule[] = []): TObject<P> {
  const validations = rules.length === 0 ? {} : { 'x-kubernetes-validations': rules };
  return Type.Object(properties, validations);
}

/** An object that may be left out: the defaults of its fields then. */
function defaulted<P extends TProperties>(schema: TObject<P>): TUnsafe<Static<TObject<P>>> {
  const defaults = Object.entries(schema.properties)
    .map(([name, property]) => [name, (property as { default?: unknown }).default])
    .filter(([, value]) => value !== undefined);
  return Type.Unsafe({ ...schema, default: Object.fromEntries(defaults) as unknown });
}

/** As Kubernetes takes it; it is checked there. */
function asKubernetesHasIt(): TUnsafe<Readonly<Record<string, unknown>>> {
  return Type.Unsafe({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true });
}

/** An amount as Kubernetes writes it: `10Gi`, `500m`. */
const QUANTITY = String.raw`^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$`;
const quantity = Type.Unsafe<string | number>({
  anyOf: [{ type: 'integer' }, { type: 'string' }],
  'x-kubernetes-int-or-string': true,
  maxLength: 32,
  pattern: QUANTITY,
});
const amounts = Type.Unsafe<Readonly<Record<string, string | number>>>({
  type: 'object',
  maxProperties: 8,
  additionalProperties: quantity,
});

/** A duration of the nodes: `500ms`, `30s`, `5m`. */
const duration = (fallback?: string): TUnsafe<string> =>
  Type.Unsafe<string>({
    type: 'string',
    maxLength: 16,
    pattern: '^[0-9]+(ms|s|m|h|d)$',
    ...(fallback === undefined ? {} : { default: fallback }),
  });
const size = Type.String({ maxLength: 16, pattern: '^[0-9]+(KiB|MiB|GiB)?$' });

const storage = object(
  {
    storageClassName: Type.Optional(
      described(
        "The StorageClass of the nodes' volumes: local NVMe, best. Absent: the default class.",
        Type.String({ minLength: 1, maxLength: 253 }),
      ),
    ),
    size: described(
      'How much each node asks for.',
      Type.String({ maxLength: 32, pattern: QUANTITY, default: '10Gi' }),
    ),
    retention: Type.Optional(
      described(
        'What becomes of the volume claims.',
        object({
          onDelete: described(
            'When the WalrusCluster is deleted.',
            oneOf(['Retain', 'Delete'], 'Retain'),
          ),
        }),
      ),
    ),
  },
  [
    {
      rule: "!isQuantity(self.size) || !quantity(self.size).isLessThan(quantity('256Mi'))",
      message: 'size must be at least 256Mi',
    },
    {
      rule: 'self.size == oldSelf.size',
      message: 'size cannot be changed after the cluster was made',
    },
    {
      rule: 'has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)',
      message: 'storageClassName cannot be changed after the cluster was made',
    },
  ],
);

/** Settings that the cluster takes once, when it begins. */
const AT_THE_BEGINNING = ['maxSegmentEntries', 'maxSegmentBytes', 'maxSegmentAge'] as const;

const config = object({
  maxSegmentEntries: Type.Optional(
    described(
      'A segment with so many records is sealed. Taken when the cluster begins.',
      Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
    ),
  ),
  maxSegmentBytes: Type.Optional(
    described('The same for the bytes of a segment. Taken when the cluster begins.', size),
  ),
  maxSegmentAge: Type.Optional(
    described('The same for the age of a segment. Taken when the cluster begins.', duration()),
  ),
  sessionTimeout: Type.Optional(
    described('A node that is not heard of for so long counts as down.', duration()),
  ),
  requestTimeout: Type.Optional(
    described('A request that is not answered within it fails.', duration()),
  ),
  maxFrameBytes: Type.Optional(described('The largest request of a client.', size)),
  maxConnections: Type.Optional(
    described('Client connections at once.', Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  ),
  maxConnectionInFlightBytes: Type.Optional(
    described('Requests and replies in memory for one connection.', size),
  ),
  maxNodeInFlightBytes: Type.Optional(
    described('The same for all connections of a node together.', size),
  ),
  maxPeerQueueBytes: Type.Optional(described('Messages that wait for one other node.', size)),
  maxFetchBytes: Type.Optional(described('The most that one fetch gets.', size)),
  scrubInterval: Type.Optional(
    described('Between two passes of the scrub over the copies on a disk.', duration()),
  ),
  scrubBytesPerSecond: Type.Optional(
    described('How much a pass of the scrub reads in a second; 0: no scrub.', size),
  ),
  logLevel: Type.Optional(
    described('The least severe log lines.', oneOf(['debug', 'info', 'warn', 'error'])),
  ),
});

/** A rule of the whole spec: one of `config` alone would not see it come, or go, as a whole. */
function takenOnce(field: string): Rule {
  const has = (self: string): string => `(has(${self}.config) && has(${self}.config.${field}))`;
  return {
    rule: `${has('self')} == ${has('oldSelf')} && (!${has('self')} || self.config.${field} == oldSelf.config.${field})`,
    message: `${field} is taken when the cluster begins and cannot be changed`,
  };
}

const toleration = object({
  key: Type.Optional(Type.String({ maxLength: 316 })),
  operator: Type.Optional(oneOf(['Exists', 'Equal'])),
  value: Type.Optional(Type.String({ maxLength: 63 })),
  effect: Type.Optional(oneOf(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])),
  tolerationSeconds: Type.Optional(Type.Integer({ minimum: 0 })),
});

const placement = object({
  topologyKey: described(
    'The label of Kubernetes nodes whose values are failure domains: pods, and the copies of each segment, are spread over them.',
    Type.String({ minLength: 1, maxLength: 316, default: 'topology.kubernetes.io/zone' }),
  ),
  nodeSelector: Type.Optional(described('Only nodes with these labels.', strings(63, LABEL_VALUE))),
  tolerations: Type.Optional(described('Taints that the pods tolerate.', listOf(toleration, 16))),
  affinity: Type.Optional(
    described(
      'Further affinity, as a pod has it. Two nodes of a cluster never share a host, whatever it says.',
      asKubernetesHasIt(),
    ),
  ),
  allowSharedHosts: described(
    'Let several nodes run on one host: for development, since one host takes several copies with it.',
    Type.Boolean({ default: false }),
  ),
});

export const spec = object(
  {
    replicas: described(
      'Nodes: 1, or 3 and more. Two are no use: losing either would stop the cluster.',
      Type.Integer({ minimum: 1, maximum: 99, default: 3 }),
    ),
    version: Type.Optional(
      described(
        "The version of Walrus: the image's tag, unless `image` is given. Absent: the operator's own version, and, without `image`, its own image.",
        Type.String({ maxLength: 128, pattern: String.raw`^[A-Za-z0-9_][A-Za-z0-9_.-]*$` }),
      ),
    ),
    image: Type.Optional(
      described(
        'The whole image, instead of the one by `version`.',
        Type.String({ minLength: 1, maxLength: 512 }),
      ),
    ),
    imagePullPolicy: Type.Optional(
      described('When the image is pulled.', oneOf(['Always', 'IfNotPresent', 'Never'])),
    ),
    imagePullSecrets: Type.Optional(
      described(
        'Secrets by which the image is pulled.',
        listOf(object({ name: Type.String({ minLength: 1, maxLength: 253 }) }), 8),
      ),
    ),
    metadataVoters: Type.Optional(
      described(
        'How many nodes vote on the metadata. Absent: 3, and fewer while there are fewer nodes. Taken when the cluster begins.',
        oneOf([1, 3, 5, 7]),
      ),
    ),
    storage: described("The nodes' volumes.", defaulted(storage)),
    listeners: Type.Optional(
      described(
        'How clients reach the nodes.',
        object({
          client: described(
            'The Service of the client port.',
            object({
              serviceType: oneOf(['ClusterIP', 'NodePort', 'LoadBalancer'], 'ClusterIP'),
              annotations: Type.Optional(strings(1024)),
            }),
          ),
        }),
      ),
    ),
    config: Type.Optional(
      described('Settings of the nodes. A change restarts them, one after the other.', config),
    ),
    placement: described('Where the nodes run.', defaulted(placement)),
    resources: Type.Optional(
      described(
        'Of each node. Absent: requests of 250m CPU and 256Mi, a limit of 1Gi memory.',
        object({ requests: Type.Optional(amounts), limits: Type.Optional(amounts) }),
      ),
    ),
    podTemplate: Type.Optional(
      described(
        'Added to the pods. What Walrus itself sets wins.',
        object({
          labels: Type.Optional(strings(63, LABEL_VALUE)),
          annotations: Type.Optional(strings(1024)),
        }),
      ),
    ),
    priorityClassName: Type.Optional(
      described('The PriorityClass of the pods.', Type.String({ maxLength: 253 })),
    ),
    upgrade: Type.Optional(
      described(
        'How a change reaches the pods.',
        object({
          strategy: described(
            'Rolling: one pod at a time, as the nodes allow. Paused: not at all, until it is Rolling again.',
            oneOf(['Rolling', 'Paused'], 'Rolling'),
          ),
          catchUpTimeout: described(
            'A restarted node that has not caught up within it blocks the roll, visibly.',
            duration('10m'),
          ),
        }),
      ),
    ),
    drainTimeout: described('How long a stopping node hands over what it leads.', duration('30s')),
    networkPolicy: described(
      'Make a NetworkPolicy: peers and http port from the cluster and the operator only, clients from everywhere.',
      Type.Boolean({ default: false }),
    ),
    monitoring: Type.Optional(
      described(
        'Objects for the Prometheus operator, made when the API server has their kinds: see the condition Monitored.',
        object({
          podMonitor: described(
            'Make a PodMonitor, by which Prometheus finds the nodes.',
            Type.Boolean({ default: false }),
          ),
          prometheusRule: described(
            'Make a PrometheusRule with the alerts of docs/operations.md for this cluster.',
            Type.Boolean({ default: false }),
          ),
          labels: Type.Optional(
            described(
              'Labels of both, by which a Prometheus selects them.',
              strings(63, LABEL_VALUE),
            ),
          ),
        }),
      ),
    ),
    paused: described('The operator leaves the cluster alone.', Type.Boolean({ default: false })),
  },
  [
    {
      rule: 'self.replicas != 2',
      message:
        'replicas must be 1, or 3 and more: with two nodes, the loss of either stops the cluster',
    },
    {
      rule: '!has(self.metadataVoters) || self.metadataVoters <= self.replicas',
      message: 'metadataVoters cannot be more than replicas',
    },
    {
      rule: 'has(self.metadataVoters) == has(oldSelf.metadataVoters) && (!has(self.metadataVoters) || self.metadataVoters == oldSelf.metadataVoters)',
      message: 'metadataVoters is taken when the cluster begins and cannot be changed',
    },
    ...AT_THE_BEGINNING.map(takenOnce),
  ],
);

const condition = object({
  type: Type.String({ maxLength: 64 }),
  status: oneOf(['True', 'False', 'Unknown']),
  reason: Type.String({ maxLength: 64 }),
  message: Type.String({ maxLength: 1024 }),
  observedGeneration: Type.Integer(),
  lastTransitionTime: Type.String({ format: 'date-time' }),
});

const nodeStatus = object({
  nodeId: Type.Integer(),
  pod: Type.String({ maxLength: 253 }),
  phase: described('Absent: it cannot be asked.', Type.Optional(Type.String({ maxLength: 32 }))),
  ready: Type.Boolean(),
  role: Type.Optional(Type.String({ maxLength: 32 })),
  version: Type.Optional(Type.String({ maxLength: 128 })),
  zone: Type.Optional(Type.String({ maxLength: 128 })),
  diskId: Type.Optional(Type.String({ maxLength: 32 })),
  caughtUp: Type.Optional(Type.Boolean()),
});

export const status = object({
  observedGeneration: Type.Integer(),
  replicas: Type.Integer(),
  readyReplicas: Type.Integer(),
  selector: Type.String({ maxLength: 1024 }),
  version: Type.Optional(
    described('What all nodes run; absent while they differ.', Type.String({ maxLength: 128 })),
  ),
  targetVersion: Type.String({ maxLength: 128 }),
  clusterId: Type.Optional(Type.String({ maxLength: 32 })),
  leader: Type.Optional(described("The metadata leader's pod.", Type.String({ maxLength: 253 }))),
  nodes: Type.Unsafe<readonly Static<typeof nodeStatus>[]>({
    type: 'array',
    maxItems: 99,
    items: nodeStatus,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['nodeId'],
  }),
  operation: Type.Optional(
    described(
      'What is going on. For people: nothing depends on it.',
      object({
        kind: Type.String({ maxLength: 32 }),
        ordinal: Type.Optional(Type.Integer()),
        step: Type.String({ maxLength: 256 }),
        startedAt: Type.String({ format: 'date-time' }),
        blockedBy: Type.Optional(Type.String({ maxLength: 1024 })),
      }),
    ),
  ),
  conditions: Type.Unsafe<readonly Static<typeof condition>[]>({
    type: 'array',
    maxItems: 16,
    items: condition,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  }),
});
