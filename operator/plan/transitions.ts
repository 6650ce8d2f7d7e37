/** What has happened between the status that was written last and this one, for people: each change is told once. */
import type { WalrusClusterStatus } from '../api/walrusCluster.ts';
import type { Event } from './types.ts';

type Status = Pick<WalrusClusterStatus, 'nodes' | 'operation' | 'conditions' | 'targetVersion'>;
type Condition = WalrusClusterStatus['conditions'][number];

/** @param last - undefined: nothing has been written yet. */
export function transitions(last: Status | undefined, next: Status): readonly Event[] {
  return [
    ...joined(last, next),
    ...rolls(last, next),
    ...losses(last, next),
    ...refusals(last, next),
  ];
}

/** Told only when the last status knew the members: while they cannot be asked nobody leaves and nobody joins. */
function joined(last: Status | undefined, next: Status): readonly Event[] {
  const known = (last?.nodes ?? []).filter(({ role }) => role !== undefined);
  if (known.length === 0) return [];
  return next.nodes
    .filter(
      ({ nodeId, role }) => role !== undefined && known.every((node) => node.nodeId !== nodeId),
    )
    .map(({ pod }) => normal('NodeJoined', `${pod} has joined the cluster`));
}

function rolls(last: Status | undefined, next: Status): readonly Event[] {
  const isRolling = next.operation?.kind === 'Roll';
  const wasRolling = last?.operation?.kind === 'Roll';
  const isPaused = find(next, 'UpgradeBlocked')?.reason === 'StrategyPaused';
  if (isRolling && !wasRolling && !isPaused) {
    const { targetVersion } = next;
    const to = targetVersion === undefined ? '' : `, to version ${targetVersion}`;
    return [normal('RollStarted', `A change reaches the pods${to}`)];
  }
  // Without an operation it may as well have been paused, or be held up by something else.
  const isOver = wasRolling && find(next, 'Ready', 'True') !== undefined;
  return isOver ? [normal('RollFinished', 'All pods run what the spec says')] : [];
}

const RECOVERED = normal('Recovered', 'All members serve again');

/** In these a node that does not serve yet, or any more, is none that was lost. */
const EXPECTED: ReadonlySet<string> = new Set(['Roll', 'Bootstrap', 'ScaleOut', 'Delete']);

/** Nodes that are down, but for the one that a roll restarts, and those that are new. */
function losses(last: Status | undefined, next: Status): readonly Event[] {
  const before = last === undefined ? undefined : lossOf(last);
  const now = lossOf(next);
  if (now !== undefined && before === undefined) {
    return [{ type: 'Warning', reason: now.reason, message: now.message }];
  }
  return before !== undefined && isNobodyDown(next) ? [RECOVERED] : [];
}

/** That copies are made anew, or a disk takes no writes, is another matter; of nodes that cannot be asked nobody knows. */
function isNobodyDown(status: Status): boolean {
  const condition = find(status, 'Degraded');
  if (condition === undefined || condition.status === 'Unknown') return false;
  return condition.reason !== 'NodesDown';
}

function lossOf(status: Status): Condition | undefined {
  const condition = find(status, 'Degraded', 'True');
  const isLoss = condition?.reason === 'NodesDown' && !EXPECTED.has(status.operation?.kind ?? '');
  return isLoss ? condition : undefined;
}

/** What is not done, and why. */
function refusals(last: Status | undefined, next: Status): readonly Event[] {
  const bad = [find(next, 'UpgradeBlocked', 'True'), find(next, 'ConfigurationValid', 'False')];
  return bad.flatMap((condition) => {
    if (condition === undefined) return [];
    const { type, reason, message } = condition;
    const isKnown = last !== undefined && find(last, type)?.reason === reason;
    return isKnown ? [] : [{ type: 'Warning' as const, reason, message }];
  });
}

function find(
  { conditions }: Status,
  type: string,
  status?: Condition['status'],
): Condition | undefined {
  return conditions.find(
    (condition) => condition.type === type && (status ?? condition.status) === condition.status,
  );
}

function normal(reason: string, message: string): Event {
  return { type: 'Normal', reason, message };
}
