/**
 * Every setting of a node, declared once: its name in the configuration file, from which its flag
 * (`maxFrameBytes` -> `--max-frame-bytes`) and its environment variable (`WALRUS_MAX_FRAME_BYTES`) follow, its
 * range, default and description. docs/configuration.md is generated from this table.
 */
import { GIB, KIB, MIB } from '../../base/units.ts';
import { addresses, bytes, choice, duration, integer, port, text, toggle } from './kinds.ts';
import type { Setting } from './kinds.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const HOST = { pattern: /^[^\s:/]+$|^[0-9A-Fa-f:.]+$/, range: 'a host name or an IP address' };
const OPTIONAL_HOST = { pattern: /^$|^[^\s:/]+$|^[0-9A-Fa-f:.]+$/, range: HOST.range };
const FILE = { pattern: /^[^\0]+$/, range: 'a path' };

const IDENTITY = {
  nodeId: integer({
    default: 1,
    min: 1,
    max: 65535,
    description: 'Who this node is in its cluster. Never changes, and no two nodes share one.',
  }),
  dataDir: text({
    default: './data',
    ...FILE,
    description: 'Where the node keeps everything. One process at a time; made when absent.',
  }),
  clusterId: text({
    default: '',
    pattern: /^(?:[0-9a-f]{32})?$/,
    range: '32 hex digits, or empty',
    description:
      'The cluster that this node belongs to. Empty: a random one for a new cluster, ' +
      "that of the cluster joined, or that of the data directory. Another cluster's data is refused. " +
      'With `join`, an empty data directory is formatted for it at once (docs/admin-api.md).',
  }),
  zone: text({
    default: '',
    pattern: /^[\w.:/-]{0,128}$/,
    range: 'up to 128 letters, digits and . _ - : /',
    description: 'The failure domain (rack, availability zone): replicas are spread over zones.',
  }),
  join: addresses({
    default: [],
    description:
      'Peer addresses of running nodes. With it, a node with an empty data directory joins their ' +
      'cluster, trying one after the other until it succeeds; without it, it creates a cluster. ' +
      'With `clusterId`, all nodes may be given the same addresses, their own included: they wait ' +
      'until one of them is told to begin the cluster (docs/admin-api.md).',
  }),
  initialPeers: addresses({
    default: [],
    flag: 'initial-peer',
    description:
      'Peer addresses of nodes that are started together with the one that creates the cluster. ' +
      'They are further addresses to find the cluster at; they join by themselves.',
  }),
  replaceDisk: toggle({
    default: false,
    description:
      "The operator's word that this node's earlier disk is lost: the node starts with an empty data " +
      'directory under its old id, and the cluster counts the old disk as lost for good. Without it ' +
      'such a node is refused. To be left out again once the node serves.',
  }),
};

const NETWORK = {
  clientHost: text({
    default: '127.0.0.1',
    ...HOST,
    description: 'The interface for clients. 0.0.0.0 or :: for all of them.',
  }),
  clientPort: port({ default: 9091, description: 'The port for clients. 0: any free one.' }),
  clientAdvertiseHost: text({
    default: '',
    ...OPTIONAL_HOST,
    description: 'The host that clients are told. Empty: `clientHost`.',
  }),
  clientAdvertisePort: port({
    default: 0,
    description: 'The port that clients are told. 0: the one that is listened on.',
  }),
  peerHost: text({
    default: '127.0.0.1',
    ...HOST,
    aliases: ['raft-host'],
    description: 'The interface for other nodes.',
  }),
  peerPort: port({
    default: 6001,
    aliases: ['raft-port'],
    description: 'The port for other nodes. 0: any free one.',
  }),
  peerAdvertiseHost: text({
    default: '',
    ...OPTIONAL_HOST,
    aliases: ['raft-advertise-host'],
    description: 'The host that other nodes are told. Empty: `peerHost`.',
  }),
  peerAdvertisePort: port({
    default: 0,
    description: 'The port that other nodes are told. 0: the one that is listened on.',
  }),
  httpHost: text({
    default: '127.0.0.1',
    ...HOST,
    description: 'The interface for health checks, metrics and the admin API.',
  }),
  httpPort: port({
    default: 9191,
    description: 'The port for health checks, metrics and the admin API. 0: any free one.',
  }),
  httpAdvertiseHost: text({
    default: '',
    ...OPTIONAL_HOST,
    description: 'The host of the http port that others are told. Empty: `httpHost`.',
  }),
  httpAdvertisePort: port({
    default: 0,
    description: 'The http port that others are told. 0: the one that is listened on.',
  }),
};

const LOGGING = {
  logLevel: choice({
    default: 'info',
    values: ['debug', 'info', 'warn', 'error'],
    description: 'The least severe log lines that are written.',
  }),
  logFile: text({
    default: '',
    pattern: /^[^\0]*$/,
    range: 'a path, or empty',
    description: 'Log lines are appended to this file. Empty: standard error.',
  }),
};

const CLUSTER = {
  metadataVoters: choice({
    default: 3,
    values: [1, 3, 5, 7],
    description:
      'How many nodes vote on metadata; fewer while the cluster has fewer nodes. ' +
      'Taken from the node that creates the cluster; later `walrus cluster set-voters` changes it.',
  }),
  maxSegmentEntries: integer({
    default: 1_000_000,
    min: 1,
    max: 1_000_000_000,
    description:
      'A segment with so many records is sealed and its successor opened on another node. ' +
      'Taken from the node that creates the cluster.',
  }),
  maxSegmentBytes: bytes({
    default: GIB,
    min: 64 * KIB,
    max: 64 * GIB,
    description:
      'The same for the bytes of a segment. Taken from the node that creates the cluster.',
  }),
  maxSegmentAge: duration({
    default: DAY,
    min: SECOND,
    max: 365 * DAY,
    description:
      'The same for the age of a segment that is not empty. ' +
      'Taken from the node that creates the cluster.',
  }),
};

const TIMING = {
  raftTickInterval: duration({
    default: 100,
    min: 5,
    max: SECOND,
    description: 'The unit of time of the metadata group. The same on all nodes.',
  }),
  raftElectionTicks: integer({
    default: 5,
    min: 4,
    max: 1000,
    description:
      'Ticks without a word of the metadata leader until a node stands for election (up to twice ' +
      'as many, at random).',
  }),
  raftHeartbeatTicks: integer({
    default: 1,
    min: 1,
    max: 100,
    description: 'Ticks between heartbeats. At most a third of `raftElectionTicks`.',
  }),
  sessionTimeout: duration({
    default: SECOND,
    min: 100,
    max: MINUTE,
    description:
      'A node that the metadata leader has not heard of for so long counts as down: the segments ' +
      'that it leads are recovered and led by others. A new metadata leader waits four fifths of it for a node that does ' +
      'not answer at all. Nodes say five times within it that they are up, and one that gets no answer for four fifths ' +
      'of it stops acknowledging writes by itself. A metadata leader answers only while most voters follow it.',
  }),
  requestTimeout: duration({
    default: 10 * SECOND,
    min: 100,
    max: 10 * MINUTE,
    description: 'A request that is not answered within it fails with TIMED_OUT.',
  }),
  shutdownTimeout: duration({
    default: 10 * SECOND,
    min: 0,
    max: 10 * MINUTE,
    description: 'How long a stopping node finishes requests and hands over before it ends.',
  }),
};

const LIMITS = {
  maxFrameBytes: bytes({
    default: MIB,
    min: KIB,
    max: 64 * MIB,
    description: 'The largest request of a client. A larger one gets an error and a close.',
  }),
  maxConnections: integer({
    default: 10_000,
    min: 1,
    max: 1_000_000,
    description: 'Client connections at once. One more is told so (OVERLOADED) and closed.',
  }),
  maxConnectionInFlightBytes: bytes({
    default: 8 * MIB,
    min: 64 * KIB,
    max: GIB,
    description:
      'Requests and replies in memory for one connection; beyond it the node stops reading from it.',
  }),
  maxNodeInFlightBytes: bytes({
    default: 64 * MIB,
    min: MIB,
    max: 64 * GIB,
    description: 'The same for all connections together; beyond it writes get OVERLOADED.',
  }),
  maxPeerQueueBytes: bytes({
    default: 64 * MIB,
    min: MIB,
    max: 4 * GIB,
    description:
      'Messages that wait for one other node; beyond it messages are dropped and retried.',
  }),
  maxFetchBytes: bytes({
    default: 4 * MIB,
    min: 64 * KIB,
    max: 256 * MIB,
    description: 'The most that one fetch gets, whatever it asks for.',
  }),
};

const UPKEEP = {
  scrubInterval: duration({
    default: DAY,
    min: SECOND,
    max: 365 * DAY,
    description:
      'From the end of one pass of the scrub, which verifies the copies of sealed segments on this ' +
      'disk, to the beginning of the next. A node that starts begins with a pass.',
  }),
  scrubBytesPerSecond: bytes({
    default: 2 * MIB,
    min: 0,
    max: GIB,
    description: 'How much a pass of the scrub reads in a second. 0: no scrub.',
  }),
};

/** The sections of the documentation, in order. */
export const SECTIONS = {
  'Identity and place': IDENTITY,
  Network: NETWORK,
  Log: LOGGING,
  Cluster: CLUSTER,
  Timing: TIMING,
  Limits: LIMITS,
  Upkeep: UPKEEP,
} as const;

/** All settings by name. */
export const SETTINGS = {
  ...IDENTITY,
  ...NETWORK,
  ...LOGGING,
  ...CLUSTER,
  ...TIMING,
  ...LIMITS,
  ...UPKEEP,
} as const;

type Settings = typeof SETTINGS;
export type SettingName = keyof Settings;

/** The values of all settings. Sizes are in bytes, times in milliseconds. */
export type NodeSettings = {
  readonly [Name in SettingName]: Settings[Name] extends Setting<infer Value> ? Value : never;
};

/** Settings of which the first is at least as large as the second: no request, and no connection, fills all alone. */
export const NO_LESS_THAN = [
  ['maxConnectionInFlightBytes', 'maxFrameBytes'],
  ['maxNodeInFlightBytes', 'maxConnectionInFlightBytes'],
] as const satisfies readonly (readonly [SettingName, SettingName])[];

/** The names of all settings, in the order of the documentation. */
export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

/** A setting without its type, for code that treats all alike. */
export function settingOf(name: SettingName): Setting<unknown> {
  return SETTINGS[name];
}

/** The flags of a setting, the main one first, without dashes. */
export function flagsOf(name: SettingName): string[] {
  const { flag, aliases } = settingOf(name);
  return [
    flag ?? name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
    ...(aliases ?? []),
  ];
}

/** The environment variables of a setting, the main one first. */
export function variablesOf(name: SettingName): string[] {
  return flagsOf(name).map((flag) => `WALRUS_${flag.replaceAll('-', '_').toUpperCase()}`);
}
