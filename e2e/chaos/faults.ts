/** The faults: which comes when is drawn from the seed, whom it hits follows from who leads at that moment. */
import fs from 'node:fs';
import { SeededRandom, between, pick } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import type { Cluster } from './cluster.ts';
import type { NodeProcess } from './nodeProcess.ts';
import { rotArenas } from './rot.ts';
import { pause, waitFor } from './wait.ts';

export const FAULT_KINDS = [
  'killLeader',
  'killFollower',
  'pauseLeader',
  'wipeDisk',
  'killMetadataLeader',
  'pauseFollower',
  'pauseMetadataLeader',
  'restartLeader',
  'killTwo',
  'killAll',
  'rot',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** What the first part of every run holds, however short it is. */
const FIRST_KINDS = 5;
/** After the first round: how often each kind comes, in the order of FAULT_KINDS. */
const WEIGHTS = [5, 3, 3, 2, 3, 2, 2, 2, 1, 1, 2];
/** Frames that rot at once. */
const ROTTEN_FRAMES = 5;
const KILLED_MS = [0, 2500] as const;
const PAUSED_MS = [300, 5000] as const;
const REST_MS = [300, 2500] as const;
/** How long a leader may be looked for before a fault hits anybody. */
const LEADER_MS_MAX = 10_000;

/** A fault to come. */
export interface PlannedFault {
  readonly kind: FaultKind;
  /** How long a node is down or stopped, in ms. */
  readonly holdMs: number;
  /** How long there is peace before it, in ms. */
  readonly restMs: number;
  /** Chooses among the nodes, or the topics, that it may hit. */
  readonly choice: number;
}

/** An endless list of faults; the same for the same seed. First one of each kind, then by weights. */
export function* planFaults(random: Random): Generator<PlannedFault, never> {
  const order = [
    ...shuffled(random, FAULT_KINDS.slice(0, FIRST_KINDS)),
    ...shuffled(random, FAULT_KINDS.slice(FIRST_KINDS)),
  ];
  const weighted = FAULT_KINDS.flatMap((kind, i) => Array<FaultKind>(WEIGHTS[i] ?? 1).fill(kind));
  for (;;) {
    const kind = order.shift() ?? pick(random, weighted);
    const [min, max] = kind.startsWith('pause') ? PAUSED_MS : KILLED_MS;
    const holdMs = between(random, min, max);
    const restMs = between(random, ...REST_MS);
    yield { kind, holdMs, restMs, choice: random.uint32() };
  }
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const left = [...items];
  const order: T[] = [];
  while (left.length > 0) order.push(...left.splice(between(random, 0, left.length - 1), 1));
  return order;
}

/** A fault that was done. Times in ms of the monotonic clock. */
export interface DoneFault {
  readonly kind: FaultKind;
  readonly nodeIds: readonly number[];
  readonly startMs: number;
  /** When the last process was back. */
  readonly healedMs: number;
}

/** Does a planned fault and undoes it again, but for the waiting for the cluster to be whole. */
export async function doFault(
  cluster: Cluster,
  topics: readonly string[],
  planned: PlannedFault,
): Promise<DoneFault> {
  const victims = await victimsOf(cluster, topics, planned);
  const startMs = performance.now();
  switch (planned.kind) {
    case 'wipeDisk':
    case 'rot':
      await hurtDisks(cluster, victims, planned);
      break;
    case 'pauseLeader':
    case 'pauseFollower':
    case 'pauseMetadataLeader':
      for (const node of victims) node.freeze();
      await pause(planned.holdMs);
      for (const node of victims) node.thaw();
      break;
    case 'restartLeader':
      for (const node of victims) await node.stop();
      for (const node of victims) cluster.startNode(node);
      break;
    default:
      await Promise.all(victims.map((node) => node.kill()));
      await pause(planned.holdMs);
      for (const node of victims) cluster.startNode(node);
  }
  const nodeIds = victims.map(({ nodeId }) => nodeId);
  return { kind: planned.kind, nodeIds, startMs, healedMs: performance.now() };
}

async function victimsOf(
  cluster: Cluster,
  topics: readonly string[],
  { kind, choice }: PlannedFault,
): Promise<NodeProcess[]> {
  const { nodes } = cluster;
  if (kind === 'killAll') return [...nodes];
  const topic = topics[choice % topics.length] ?? '';
  let leader: NodeProcess | null = null;
  const find = kind.endsWith('MetadataLeader')
    ? (): Promise<NodeProcess | null> => cluster.metadataLeader()
    : (): Promise<NodeProcess | null> => cluster.leaderOf(topic);
  await waitFor(`a leader to be known for ${kind}`, LEADER_MS_MAX, async () => {
    leader = await find();
    return leader !== null;
  });
  const others = nodes.filter((node) => node !== leader);
  const other = others[choice % others.length];
  const isDisk = kind === 'wipeDisk' || kind === 'rot';
  const isOther = kind.endsWith('Follower') || (isDisk && choice % 2 === 0);
  const chosen = kind === 'killTwo' ? [leader, other] : [isOther ? other : leader];
  return chosen.filter((node) => node !== null && node !== undefined);
}

async function hurtDisks(
  cluster: Cluster,
  victims: readonly NodeProcess[],
  planned: PlannedFault,
): Promise<void> {
  for (const node of victims) {
    if (planned.kind === 'rot') await rot(cluster, node, planned);
    else await wipe(cluster, node, planned.holdMs);
  }
}

/** Flips bits on a node's disk while it is down; it must find them and copy those segments anew. */
async function rot(
  cluster: Cluster,
  node: NodeProcess,
  { holdMs, choice }: PlannedFault,
): Promise<void> {
  await node.kill();
  rotArenas(node.dataDir, new SeededRandom(choice), ROTTEN_FRAMES);
  await pause(holdMs);
  cluster.startNode(node);
}

/**
 * Takes a node's disk away. Under its old identity the node must be refused, with its empty disk and for good;
 * with the operator's word it must be let in.
 */
async function wipe(cluster: Cluster, node: NodeProcess, holdMs: number): Promise<void> {
  await node.kill();
  fs.rmSync(node.dataDir, { recursive: true });
  await pause(holdMs);
  cluster.startNode(node, { mayEnd: true });
  const ending = await node.ended();
  if (ending.code === 0 || !node.readLog().includes('DISK_REFUSED')) {
    cluster.failures.push(
      `node ${node.nodeId} with an emptied disk was not refused (exit code ${ending.code ?? '?'}), ` +
        `see ${node.logFile}`,
    );
  }
  cluster.startNode(node, { extra: ['--replace-disk'] });
}
