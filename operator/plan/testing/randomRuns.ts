/** Plans through any order of events: safe at every step, and done once it is quiet. */
import fc from 'fast-check';
import type { Plan } from '../types.ts';
import { ModelCluster } from './model.ts';

/** More than any sequence of restarts and joins needs in these sizes. */
const PASSES_MAX = 400;
const NODES_MAX = 7;

export function settle(cluster: ModelCluster): Plan {
  let last = cluster.pass();
  for (let i = 0; i < PASSES_MAX && !isQuiet(cluster, last); i++) {
    cluster.tick();
    last = cluster.pass();
  }
  return last;
}

function isQuiet(cluster: ModelCluster, { writes, risky, operation }: Plan): boolean {
  const { statefulSet } = cluster.observe();
  const isTakenUp = statefulSet?.observedGeneration === statefulSet?.generation;
  const hasNothing = writes.length === 0 && risky === null && operation === null;
  return cluster.isDone && isTakenUp && hasNothing;
}

export function conditionOf({ conditions }: Plan, type: string): string {
  const condition = conditions.find((candidate) => candidate.type === type);
  return `${condition?.status} ${condition?.reason}`;
}

const SIMPLE = [
  'tick',
  'pass',
  'passCutShort',
  'wait',
  'cutOff',
  'slow',
  'refuse',
  'loseFirstDisk',
  'pauseUpgrades',
] as const;

type Happening =
  | { readonly type: (typeof SIMPLE)[number] }
  | {
      readonly type: 'losePod' | 'restartContainer' | 'loseHost' | 'findHost';
      readonly ordinal: number;
    }
  | { readonly type: 'image'; readonly image: string }
  | { readonly type: 'voters'; readonly count: 1 | 3 | 5 }
  | { readonly type: 'grow' | 'shrink'; readonly by: number };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Happening>({ type: 'tick' }) },
  { weight: 6, arbitrary: fc.constant<Happening>({ type: 'pass' }) },
  { weight: 2, arbitrary: fc.constant<Happening>({ type: 'passCutShort' }) },
  { weight: 3, arbitrary: fc.constantFrom(...SIMPLE.map((type): Happening => ({ type }))) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constantFrom('losePod', 'restartContainer', 'loseHost', 'findHost'),
      ordinal: fc.integer({ min: 1, max: 5 }),
    }),
  },
  fc.record({
    type: fc.constant('image' as const),
    image: fc.constantFrom('good', 'better', 'bad', 'sick'),
  }),
  fc.record({ type: fc.constant('voters' as const), count: fc.constantFrom(1, 3, 5) }),
  fc.record({
    type: fc.constantFrom('grow', 'grow', 'shrink'),
    by: fc.integer({ min: 1, max: 2 }),
  }),
);

export const ROLLING = { strategy: 'Rolling', catchUpTimeout: '10m' } as const;

type Events = {
  readonly [T in Happening['type']]: (
    cluster: ModelCluster,
    event: Happening & { type: T },
  ) => void;
};

const EVENTS: Events = {
  tick: (cluster) => cluster.tick(),
  pass: (cluster) => void cluster.pass(),
  passCutShort: (cluster) => void cluster.pass(true),
  wait: (cluster) => cluster.wait(),
  cutOff: (cluster) => {
    cluster.isCutOff = !cluster.isCutOff;
  },
  slow: ({ nodes }) => {
    nodes.isSlow = !nodes.isSlow;
  },
  refuse: ({ nodes }) => {
    nodes.isRefusing = !nodes.isRefusing;
  },
  loseFirstDisk: (cluster) => cluster.loseDisk(1),
  losePod: (cluster, { ordinal }) => cluster.losePod(ordinal),
  restartContainer: (cluster, { ordinal }) => cluster.restartContainer(ordinal),
  loseHost: (cluster, { ordinal }) => {
    cluster.hostless.add(ordinal);
    cluster.losePod(ordinal);
  },
  findHost: (cluster, { ordinal }) => void cluster.hostless.delete(ordinal),
  pauseUpgrades: (cluster) => cluster.change({ upgrade: { ...ROLLING, strategy: 'Paused' } }),
  image: (cluster, { image }) => cluster.change({ image }),
  voters: (cluster, { count }) => wantVoters(cluster, count),
  grow: (cluster, { by }) =>
    cluster.change({ replicas: Math.min(NODES_MAX, cluster.spec.replicas + by) }),
  shrink: (cluster, { by }) =>
    cluster.change({
      replicas: Math.max(cluster.spec.metadataVoters ?? 1, cluster.spec.replicas - by),
    }),
};

/** As the API server takes it. */
function wantVoters(cluster: ModelCluster, metadataVoters: 1 | 3 | 5): void {
  if (metadataVoters <= cluster.spec.replicas) cluster.change({ metadataVoters });
}

function happen(cluster: ModelCluster, event: Happening): void {
  const apply = EVENTS[event.type] as (cluster: ModelCluster, event: Happening) => void;
  apply(cluster, event);
}

/** @throws {Error} that begins with the property that does not hold. */
export function check({ violations }: ModelCluster): void {
  const [violation] = violations;
  if (violation !== undefined) throw new Error(`${violation.property}: ${violation.detail}`);
}

interface Start {
  readonly replicas: number;
  readonly metadataVoters: 1 | 3 | 5;
  readonly hasBegun: boolean;
}

/** Whatever was in the way is over, and what can be had is wanted. */
function mend(cluster: ModelCluster): void {
  cluster.isCutOff = false;
  cluster.hostless.clear();
  Object.assign(cluster.nodes, { isSlow: false, isRefusing: false });
  // What cannot be taken back is wanted again.
  const size = Math.max(cluster.spec.replicas, cluster.observe().statefulSet?.replicas ?? 0);
  cluster.change({ image: 'good', upgrade: ROLLING, replicas: size });
}

function run(
  { replicas, metadataVoters, hasBegun }: Start,
  happenings: readonly Happening[],
): void {
  const cluster = new ModelCluster(replicas);
  wantVoters(cluster, metadataVoters);
  cluster.badImages.add('bad');
  cluster.sickImages.add('sick');
  if (hasBegun) settle(cluster);
  for (const event of happenings) {
    happen(cluster, event);
    check(cluster);
  }
  mend(cluster);
  const { conditions, operation } = settle(cluster);
  check(cluster);
  // Nothing replaces it yet.
  if (happenings.some(({ type }) => type === 'loseFirstDisk')) return;
  const ready = conditions.find(({ type }) => type === 'Ready');
  const { spec, nodes } = cluster;
  const { metadataVoters: voters = 3 } = spec;
  const hasVoters = voters > spec.replicas || nodes.voterCount === voters;
  if (ready?.status === 'True' && operation === null && cluster.isDone && hasVoters) return;
  throw new Error(`Converges: ${JSON.stringify({ ready, operation })}`);
}

/** @throws {Error} that begins with the property that does not hold. */
export function checkPlans({ numRuns, seed }: { numRuns: number; seed?: number }): void {
  const lists = fc.array(happening, { maxLength: 60 });
  const start = fc.record({
    replicas: fc.constantFrom(1, 3, 5),
    metadataVoters: fc.constantFrom(1, 3, 5),
    hasBegun: fc.boolean(),
  });
  const property = fc.property(start, lists, run);
  fc.assert(property, { numRuns, ...(seed === undefined ? {} : { seed }) });
}
