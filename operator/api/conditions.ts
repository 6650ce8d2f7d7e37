/**
 * The conditions of a WalrusCluster and their reasons: what each means and what to do about it.
 * docs/kubernetes-reference.md is made from this table. Every condition is set on the first visit; what the nodes cannot
 * be asked about is Unknown.
 */
export const CONDITION_REASONS = {
  Ready: {
    AllNodesServe: 'All nodes serve, on the wanted revision; nothing is under way or refused.',
    NotBootstrapped:
      'The cluster has not begun yet. Wait; if it lasts, look at Progressing and at the pods.',
    NodesNotReady:
      'Some nodes do not serve, or have not caught up. The message names them; look at their pods and logs.',
    InProgress: 'A change is under way, or stopped: see Progressing and UpgradeBlocked.',
    Paused:
      'spec.paused is set, and the cluster is not what the spec says. Unset it, and what waits is done.',
    ConfigurationInvalid:
      'Something of the spec cannot be done: the message, and ConfigurationValid, say what and why.',
    NodesUnreachable:
      'No node answers the operator. Look at the pods, and at network policies between them.',
    Deleting: 'The WalrusCluster is being deleted.',
  },
  Available: {
    QuorumServes:
      'The metadata have a leader and every open segment has its quorum: writes are taken.',
    NotBootstrapped: 'The cluster has not begun yet.',
    NoLeader:
      'Too few voters are up to elect a leader of the metadata. Bring nodes back; nothing is lost meanwhile.',
    SegmentsUnavailable:
      'Some open segments have too few members up. They are recovered once enough of them are back.',
    NodesUnreachable: 'No node answers the operator, so that it cannot say.',
  },
  Progressing: {
    Stable: 'Nothing is under way.',
    Bootstrapping: 'The cluster begins.',
    ScalingOut: 'A node is added; the message says which.',
    ScalingIn: 'A node that found no host and never joined is taken back.',
    Rolling: 'Pods are restarted one after the other, for a changed template.',
    ChangingVoters: 'Nodes become metadata voters, or stop being voters, one after the other.',
    Recovering: 'A node that was down is waited for, or a broken pod is made anew.',
    Waiting: 'What is under way waits for something; the message says for what.',
    Deleting: 'The WalrusCluster is being deleted.',
  },
  Degraded: {
    AsWanted: 'All members are up and all segments have their copies.',
    NodesDown:
      'Members are down. With three copies one may be down; bring it back before the next one goes.',
    UnderReplicated:
      'Segments have fewer copies than wanted. The nodes make them anew by themselves.',
    DiskReadOnly:
      'A disk has failed or is full and takes no more writes. See the log of that node; replace the disk, or make room.',
    NodesUnreachable: 'No node answers the operator, so that it cannot say.',
    NotBootstrapped: 'The cluster has not begun yet.',
  },
  UpgradeBlocked: {
    NotBlocked: 'No change of the pods waits.',
    RestartRefused:
      'The nodes, a PodDisruptionBudget or the API server do not let the next one be restarted now; the message says why. It is tried again, and goes on by itself once that is mended.',
    NewRevisionFails:
      'A pod of the new revision does not run: the change stops there. Mend it or revert it; a reverted pod is made anew.',
    NodeWithoutHost:
      'A node that never joined finds no host, and would take that of a node that is restarted. Give it a host, or set spec.replicas back if it is the last one.',
    CatchUpTimedOut:
      'A restarted node has not caught up within spec.upgrade.catchUpTimeout. The change goes on once it has.',
    StrategyPaused: 'spec.upgrade.strategy is Paused: pods keep what they run.',
  },
  ConfigurationValid: {
    Valid: 'The spec is done, or being done.',
    ScaleInNotSupported:
      'This version takes no nodes away, but for the last ones if they found no host and never joined. Set spec.replicas back.',
    ForeignObject:
      'An object under a name that is needed belongs to somebody else, or volume claims are of several clusters. Delete it, or name the WalrusCluster otherwise.',
    Refused:
      'The API server, a quota or an admission hook does not take an object as the spec has it; the message says which and why. Mend the spec, or what refuses it: it is tried again, and nothing is restarted meanwhile.',
    BootstrapDiskLost:
      'The disk on which the cluster began is gone, and no node knows the cluster. Bring the old volumes back, or begin anew without their data: delete the WalrusCluster and its volume claims, and make it again.',
  },
  Monitored: {
    NotRequested:
      'spec.monitoring asks for nothing. The pods have scrape annotations all the same.',
    Created: 'What spec.monitoring asks for is there.',
    Pending: 'It is not there yet.',
    Refused:
      'The API server, a quota or an admission hook does not take it; the message says why. What is there, if anything, is of an earlier spec. It is tried again at least every ten minutes; nothing else waits for it.',
    ApiMissing:
      'The API server does not have the kinds of the Prometheus operator, or the operator may not see them. Install them; it is noticed within half a minute. Nothing else waits for it.',
    ForeignObject:
      'An object under a name that is needed belongs to somebody else. Delete it or give it another name.',
  },
  Paused: {
    NotPaused: 'The operator looks after the cluster.',
    SpecPaused: 'spec.paused is set: the operator changes nothing.',
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, string>>>>;

export type ConditionType = keyof typeof CONDITION_REASONS;
export type ReasonOf<T extends ConditionType> = Extract<
  keyof (typeof CONDITION_REASONS)[T],
  string
>;

/** A condition, as far as it is judged anew in each pass. */
export type Judgement<T extends ConditionType> = readonly [
  status: 'True' | 'False' | 'Unknown',
  reason: ReasonOf<T>,
  message: string,
];

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
