/**
 * The conditions of a WalrusCluster and their reasons, all documented in docs/kubernetes.md (a test holds both
 * together). Every condition is set on the first visit; what the nodes cannot be asked about is Unknown.
 */
export const CONDITION_REASONS = {
  /** All nodes serve, on the wanted revision, and nothing is under way or refused. */
  Ready: [
    'AllNodesServe',
    'NotBootstrapped',
    'NodesNotReady',
    'InProgress',
    'NodesUnreachable',
    'Deleting',
  ],
  /** The cluster takes writes: the metadata have a leader and every open segment its quorum. */
  Available: [
    'QuorumServes',
    'NotBootstrapped',
    'NoLeader',
    'SegmentsUnavailable',
    'NodesUnreachable',
  ],
  Progressing: [
    'Stable',
    'Bootstrapping',
    'ScalingOut',
    'Rolling',
    'Recovering',
    'Waiting',
    'Deleting',
  ],
  /** Served, but with less redundancy than wanted. */
  Degraded: [
    'AsWanted',
    'NodesDown',
    'UnderReplicated',
    'DiskReadOnly',
    'NodesUnreachable',
    'NotBootstrapped',
  ],
  UpgradeBlocked: [
    'NotBlocked',
    'RestartRefused',
    'NewRevisionFails',
    'CatchUpTimedOut',
    'StrategyPaused',
  ],
  /** A change that this version does not do: refused, and nothing is done. */
  ConfigurationValid: [
    'Valid',
    'ScaleInNotSupported',
    'StorageChangeNotSupported',
    'TooFewVoters',
    'UnknownSetting',
    'ForeignObject',
    'BootstrapDiskLost',
  ],
  Paused: ['NotPaused', 'SpecPaused'],
} as const;

export type ConditionType = keyof typeof CONDITION_REASONS;

/** In the order in which they are written. */
export const CONDITION_TYPES = Object.keys(CONDITION_REASONS) as readonly ConditionType[];

export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  /** RFC 3339. */
  readonly lastTransitionTime: string;
}
