/** The conditions of a WalrusCluster: what is true of it now, for people and for `kubectl wait`. */
import type { Condition, ConditionType, Judgement, ReasonOf } from '../api/conditions.ts';
import { CONDITION_TYPES } from '../api/conditions.ts';
import { monitored } from './monitoring.ts';
import { isRevisionKnown } from './situation.ts';
import type { Situation } from './situation.ts';
import { MESSAGE_LENGTH_MAX } from './step.ts';
import type { Finding } from './step.ts';
import type { Operation } from './types.ts';

export type PlannedCondition = Omit<Condition, 'lastTransitionTime'>;
const NOT_BEGUN = 'The cluster has not begun yet';
const IN_PROGRESS = {
  Bootstrap: 'Bootstrapping',
  ScaleOut: 'ScalingOut',
  ScaleIn: 'ScalingIn',
  Roll: 'Rolling',
  ChangeVoters: 'ChangingVoters',
  Recover: 'Recovering',
  Delete: 'Deleting',
} as const satisfies Record<Operation['kind'], ReasonOf<'Progressing'>>;

export function conditionsOf(
  situation: Situation,
  operation: Operation | null,
  findings: readonly Finding[],
): readonly PlannedCondition[] {
  const judgements: { readonly [T in ConditionType]: Judgement<T> } = {
    Ready: ready(situation, operation, findings),
    Available: available(situation),
    Progressing: progressing(operation),
    Degraded: degraded(situation),
    UpgradeBlocked: found(findings, 'UpgradeBlocked', 'True') ?? ['False', 'NotBlocked', ''],
    ConfigurationValid: found(findings, 'ConfigurationValid', 'False') ?? ['True', 'Valid', ''],
    Monitored: found(findings, 'Monitored', 'False') ?? monitored(situation),
    Paused: situation.observed.cluster.spec.paused
      ? ['True', 'SpecPaused', 'spec.paused is set: nothing is done']
      : ['False', 'NotPaused', ''],
  };
  const { generation: observedGeneration } = situation.observed.cluster.metadata;
  return CONDITION_TYPES.map((type) => {
    const [status, reason, message] = judgements[type];
    const cut = message.slice(0, MESSAGE_LENGTH_MAX);
    return { type, status, reason, message: cut, observedGeneration };
  });
}

function found<T extends ConditionType>(
  findings: readonly Finding[],
  type: T,
  status: Condition['status'],
): Judgement<T> | null {
  const finding = findings.find((candidate) => candidate.type === type);
  return finding === undefined ? null : [status, finding.reason as ReasonOf<T>, finding.message];
}

function ready(
  situation: Situation,
  operation: Operation | null,
  findings: readonly Finding[],
): Judgement<'Ready'> {
  const { metadata } = situation.observed.cluster;
  if (metadata.deletionTimestamp !== undefined) return ['False', 'Deleting', ''];
  const unready = notServing(situation);
  if (unready !== null) return unready;
  // What Prometheus reads holds up nothing.
  const isHeldUp = findings.some(({ type }) => type !== 'Monitored');
  const isDone = operation === null && !isHeldUp && isAsSpecified(situation);
  if (isDone) return ['True', 'AllNodesServe', ''];
  const judgement = heldUp(situation, findings);
  if (judgement !== null) return judgement;
  if (situation.bootstrapDisk === null) return ['False', 'NotBootstrapped', NOT_BEGUN];
  return ['False', 'InProgress', operation?.step ?? 'The spec is not what the cluster is'];
}

/** Of a cluster that has begun. */
function notServing({ observed, places, bootstrapDisk }: Situation): Judgement<'Ready'> | null {
  const missing = places.filter(({ isWhole }) => !isWhole).map(({ ordinal }) => ordinal);
  if (bootstrapDisk === null || missing.length === 0) return null;
  const { problem } = observed.admin;
  if (problem !== null) return ['False', 'NodesUnreachable', problem];
  return ['False', 'NodesNotReady', `Not serving, or not caught up: node ${missing.join(', ')}`];
}

/** Also where nothing is done about it, or not yet: it has begun, and the pods are as many as wanted, and all of the wanted template. */
function isAsSpecified(situation: Situation): boolean {
  const { observed, places, bootstrapDisk } = situation;
  const hasAll = bootstrapDisk !== null && places.length === observed.cluster.spec.replicas;
  return hasAll && isRevisionKnown(situation) && places.every(({ isCurrent }) => isCurrent);
}

/** What keeps the cluster from being what the spec says, where waiting does not help. */
function heldUp({ observed }: Situation, findings: readonly Finding[]): Judgement<'Ready'> | null {
  if (observed.cluster.spec.paused) {
    return ['False', 'Paused', 'spec.paused is set: what the spec says waits'];
  }
  const invalid = findings.find(({ type }) => type === 'ConfigurationValid');
  if (invalid === undefined) return null;
  const message = `See ConfigurationValid (${invalid.reason}): ${invalid.message}`;
  return ['False', 'ConfigurationInvalid', message];
}

function available({ observed, bootstrapDisk, leader }: Situation): Judgement<'Available'> {
  const { cluster, problem } = observed.admin;
  if (bootstrapDisk === null) return ['False', 'NotBootstrapped', NOT_BEGUN];
  if (cluster === null) return ['Unknown', 'NodesUnreachable', problem ?? 'No node answers'];
  if (leader === null) return ['False', 'NoLeader', 'The metadata have no leader'];
  const { unavailable } = cluster.segments;
  if (unavailable === 0) return ['True', 'QuorumServes', ''];
  return ['False', 'SegmentsUnavailable', `Open segments without their quorum: ${unavailable}`];
}

function progressing(operation: Operation | null): Judgement<'Progressing'> {
  if (operation === null) return ['False', 'Stable', ''];
  const { kind, step, blockedBy } = operation;
  if (blockedBy === null) return ['True', IN_PROGRESS[kind], step];
  return ['True', 'Waiting', `${step}: ${blockedBy}`];
}

function degraded(situation: Situation): Judgement<'Degraded'> {
  const { observed, places, bootstrapDisk } = situation;
  const { cluster, problem } = observed.admin;
  if (bootstrapDisk === null) return ['Unknown', 'NotBootstrapped', NOT_BEGUN];
  if (cluster === null) return ['Unknown', 'NodesUnreachable', problem ?? 'No node answers'];
  const down = downNodes(situation);
  if (down.length > 0) return ['True', 'NodesDown', `Down: node ${down.join(', ')}`];
  const failed = places.filter(({ member }) => member?.isDiskWritable === false);
  if (failed.length > 0) {
    const ids = failed.map(({ ordinal }) => ordinal).join(', ');
    return ['True', 'DiskReadOnly', `The disk takes no writes: node ${ids}`];
  }
  const { underReplicated } = cluster.segments;
  if (underReplicated === 0) return ['False', 'AsWanted', ''];
  return ['True', 'UnderReplicated', `Segments with fewer copies than wanted: ${underReplicated}`];
}

/**
 * Nodes that cannot ask the leader answer from memory, and a new leader lets everybody's session begin anew: so who was down is up
 * once its pod is ready, too, or it says so itself.
 */
function downNodes({ observed, places }: Situation): readonly number[] {
  const { cluster, admin } = observed;
  const last = cluster.status?.conditions.find(({ type }) => type === 'Degraded');
  const wereDown = last?.reason === 'NodesDown';
  const isSilent = (nodeId: number): boolean =>
    places.some(
      ({ ordinal, pod, node }) =>
        ordinal === nodeId && pod?.isReady !== true && node?.phase !== 'Serving',
    );
  return (admin.cluster?.nodes ?? [])
    .filter(({ nodeId, isAlive }) => !isAlive || (wereDown && isSilent(nodeId)))
    .map(({ nodeId }) => nodeId);
}
