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
  return cluster.isDone && writes.length === 0 && risky === null && operation === null;
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
] as const;

type Happening =
  | { readonly type: (typeof SIMPLE)[number] }
  | { readonly type: 'losePod'; readonly ordinal: number }
  | { readonly type: 'image'; readonly image: string }
  | { readonly type: 'grow'; readonly by: number };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Happening>({ type: 'tick' }) },
  { weight: 6, arbitrary: fc.constant<Happening>({ type: 'pass' }) },
  { weight: 2, arbitrary: fc.constant<Happening>({ type: 'passCutShort' }) },
  { weight: 2, arbitrary: fc.constantFrom(...SIMPLE.map((type): Happening => ({ type }))) },
  fc.record({ type: fc.constant('losePod' as const), ordinal: fc.integer({ min: 1, max: 5 }) }),
  fc.record({
    type: fc.constant('image' as const),
    image: fc.constantFrom('good', 'better', 'bad', 'sick'),
  }),
  fc.record({ type: fc.constant('grow' as const), by: fc.integer({ min: 1, max: 2 }) }),
);

function happen(cluster: ModelCluster, event: Happening): void {
  switch (event.type) {
    case 'tick':
      cluster.tick();
      break;
    case 'pass':
      cluster.pass();
      break;
    case 'passCutShort':
      cluster.pass(true);
      break;
    case 'cutOff':
      cluster.isCutOff = !cluster.isCutOff;
      break;
    case 'slow':
      cluster.nodes.isSlow = !cluster.nodes.isSlow;
      break;
    case 'refuse':
      cluster.nodes.isRefusing = !cluster.nodes.isRefusing;
      break;
    case 'wait':
      cluster.wait();
      break;
    case 'loseFirstDisk':
      cluster.loseDisk(1);
      break;
    case 'losePod':
      cluster.losePod(event.ordinal);
      break;
    case 'image':
      cluster.change({ image: event.image });
      break;
    case 'grow':
      cluster.change({ replicas: Math.min(NODES_MAX, cluster.spec.replicas + event.by) });
      break;
  }
}

function check({ violations }: ModelCluster): void {
  const [violation] = violations;
  if (violation !== undefined) throw new Error(`${violation.property}: ${violation.detail}`);
}

function run(replicas: number, hasBegun: boolean, happenings: readonly Happening[]): void {
  const cluster = new ModelCluster(replicas);
  cluster.badImages.add('bad');
  cluster.sickImages.add('sick');
  if (hasBegun) settle(cluster);
  for (const event of happenings) {
    happen(cluster, event);
    check(cluster);
  }
  cluster.isCutOff = false;
  Object.assign(cluster.nodes, { isSlow: false, isRefusing: false });
  cluster.change({ image: 'good' });
  const { conditions, operation } = settle(cluster);
  check(cluster);
  // Nothing replaces it yet.
  if (happenings.some(({ type }) => type === 'loseFirstDisk')) return;
  const ready = conditions.find(({ type }) => type === 'Ready');
  if (ready?.status === 'True' && operation === null && cluster.isDone) return;
  throw new Error(`Converges: ${JSON.stringify({ ready, operation })}`);
}

/** @throws {Error} that begins with the property that does not hold. */
export function checkPlans({ numRuns, seed }: { numRuns: number; seed?: number }): void {
  const lists = fc.array(happening, { maxLength: 60 });
  const property = fc.property(fc.constantFrom(1, 3, 5), fc.boolean(), lists, run);
  fc.assert(property, { numRuns, ...(seed === undefined ? {} : { seed }) });
}
