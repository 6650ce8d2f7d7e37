/**
 * What whole operators are put through. Each story throws an error that begins with the property that does not hold.
 */
import { between, chance, pick, SeededRandom } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import { operatorOf } from '../api/walrusCluster.ts';
import { NAMESPACE, World } from './world.ts';
import type { OperatorProcess } from './world.ts';

const NAME = 'sea';
const SETTLE_MS = 300_000;
/** In which an idle cluster has several passes. */
const IDLE_MS = 150_000;
const RESTART_MS = 3000;
const MINUTE_MS = 60_000;
const NODES_MAX = 6;

/** @throws {Error} */
export function check({ breaches }: World): void {
  const [breach] = breaches;
  if (breach !== undefined) throw new Error(`${breach.property}: ${breach.detail}`);
}

/** A cluster begins, is rolled, and grows, with more voters. */
async function life(world: World): Promise<void> {
  world.apply(NAME, { replicas: 3 });
  await world.settle(NAME, SETTLE_MS);
  world.apply(NAME, { image: 'better' });
  await world.settle(NAME, SETTLE_MS);
  world.apply(NAME, { replicas: 5, metadataVoters: 5 });
  await world.settle(NAME, SETTLE_MS);
}

/** What a change of state is told as; actions are told as often as they are tried. */
const ONCE = new Set(['NodeJoined', 'RollStarted', 'RollFinished']);

function checkEvents(world: World): void {
  const told = new Set<string>();
  for (const event of world.server.all('Event')) {
    const what = `${String(event['reason'])}: ${String(event['message'])}`;
    if (told.has(what) && ONCE.has(String(event['reason']))) world.breach('ToldOnce', what);
    told.add(what);
  }
}

async function idle(world: World): Promise<void> {
  // What was begun when it settled ends first.
  await world.run(RESTART_MS);
  const before = world.writes.length;
  await world.run(IDLE_MS);
  const [write] = world.writes.slice(before);
  if (write !== undefined) world.breach('IdleWritesNothing', write);
}

/** Two operators, undisturbed. @returns the writes, leases among them, and what was told. */
export async function undisturbed(): Promise<{ writes: number; told: readonly string[] }> {
  const world = new World();
  let writes = 0;
  world.onWritten = () => {
    writes += 1;
  };
  world.startOperator('a');
  world.startOperator('b');
  await life(world);
  const count = writes;
  await idle(world);
  checkEvents(world);
  check(world);
  const told = world.server.all('Event').map((event) => String(event['reason']));
  return { writes: count, told };
}

/** Whoever does write `index` is killed before it hears of it, and started again; the other one goes on. */
export async function killedAfterWrite(index: number): Promise<void> {
  const world = new World(index);
  let left = index;
  world.onWritten = (by) => {
    left -= 1;
    if (left !== 0) return;
    world.kill(by);
    world.scheduler.schedule(RESTART_MS, () => world.startOperator(`${by.name}-again`));
  };
  world.startOperator('a');
  world.startOperator('b');
  await life(world);
  await idle(world);
  checkEvents(world);
  if (left > 0) world.breach('Converges', `there were only ${index - left} writes`);
  check(world);
}

/** Two operators that hang, lose the API server, are killed, and know old things, while a user changes the spec. */
export async function troubled(seed: number): Promise<void> {
  const world = new World(seed);
  await rounds(world, seed, [world.startOperator('a-0'), world.startOperator('b-0')]);
}

/** The same with two installations, each with a lease of its own, that see the same cluster; in the end it is handed over. */
export async function sideBySide(seed: number): Promise<void> {
  const world = new World(seed);
  const leaseNames = ['here', 'there'];
  const operators = leaseNames.map((name, index) => world.startOperator(`${'ab'[index]}-0`, name));
  await rounds(world, seed, operators);
  const owner = operatorOf(world.clusterOf(NAME)) ?? '';
  const other = leaseNames.find((name) => !owner.endsWith(`/${name}`)) ?? '';
  world.handOver(NAME, other);
  world.apply(NAME, { image: 'newest' });
  await world.settle(NAME, SETTLE_MS);
  await idle(world);
  check(world);
}

async function rounds(world: World, seed: number, operators: OperatorProcess[]): Promise<void> {
  const random = new SeededRandom(seed);
  world.apply(NAME, { replicas: pick(random, [1, 3]) });
  for (let round = 1; round <= 20; round += 1) {
    trouble(world, { operators, random, round });
    await world.run(between(random, 500, 12_000));
    check(world);
  }
  for (const { process, client } of operators) {
    process.resume();
    client.isCut = false;
  }
  // A deaf watch is found out by its silence.
  await world.run(SETTLE_MS);
  await world.settle(NAME, SETTLE_MS);
  await idle(world);
  check(world);
}

/** What the nodes allowed when a pass began they may refuse when it comes to act. */
export async function changedMinds(seed: number): Promise<void> {
  const world = new World(seed);
  const random = new SeededRandom(seed);
  const nodes = world.kubernetes.nodesOf(NAMESPACE, NAME);
  world.onWritten = () => {
    if (nodes.isRefusing || chance(random, 0.5)) return;
    nodes.isRefusing = true;
    world.scheduler.schedule(RESTART_MS, () => {
      nodes.isRefusing = false;
    });
  };
  world.startOperator('a');
  await life(world);
  check(world);
}

/** What happens once, between the status that tells of an operation and the action that it tells of. */
async function onceDecided(world: World, kind: string, happen: () => void): Promise<void> {
  const decided: string[] = [];
  world.onWritten = () => {
    const { operation } = world.clusterOf(NAME).status ?? {};
    if (operation?.kind !== kind || decided.length > 0) return;
    decided.push(operation.step);
    happen();
  };
  await world.run(MINUTE_MS);
  if (decided.length === 0) world.breach('Converges', `there was no ${kind}`);
}

/**
 * Hosts are drained while a change is rolled: some in the moment between the nodes' word that a pod may go and its restart, some just after it.
 */
export async function drained(seed: number): Promise<void> {
  const world = new World(seed);
  const random = new SeededRandom(seed);
  world.startOperator('a');
  world.apply(NAME, { replicas: 3 });
  await world.settle(NAME, SETTLE_MS);
  const { onRequest } = world.server;
  const drain = (): void => {
    if (chance(random, 0.5)) world.evict(pick(random, world.server.all('Pod')));
  };
  world.server.onRequest = (asked) => {
    if (asked.user === 'a' && /^pods(\/eviction)?$/.test(asked.resource)) drain();
    onRequest(asked);
  };
  world.onWritten = drain;
  for (const image of ['better', 'best', 'good']) {
    world.apply(NAME, { image });
    await world.run(MINUTE_MS);
  }
  world.server.onRequest = onRequest;
  world.onWritten = () => undefined;
  await world.settle(NAME, SETTLE_MS);
  check(world);
}

/** Whoever leads hangs in the midst of a pass, before what it has decided, and comes to itself when the other one leads. */
export async function hung(): Promise<void> {
  const world = new World();
  const first = world.startOperator('a');
  world.apply(NAME, { replicas: 3 });
  await world.settle(NAME, SETTLE_MS);
  world.startOperator('b');
  world.apply(NAME, { image: 'better' });
  await onceDecided(world, 'Roll', () => {
    first.process.pause();
    world.scheduler.schedule(MINUTE_MS, () => first.process.resume());
  });
  await world.run(SETTLE_MS);
  await world.settle(NAME, SETTLE_MS);
  check(world);
}

/** Who waits to join is to be made anew, of a changed template; before that is done it has joined, and is needed. */
export async function joinedMeanwhile(): Promise<void> {
  const world = new World();
  const nodes = world.kubernetes.nodesOf(NAMESPACE, NAME);
  world.startOperator('a');
  world.apply(NAME, { replicas: 3 });
  await world.settle(NAME, SETTLE_MS);
  nodes.isClosed = true;
  world.apply(NAME, { replicas: 4 });
  await world.run(MINUTE_MS);
  world.apply(NAME, { image: 'better' });
  await onceDecided(world, 'Recover', () => {
    Object.assign(nodes, { isClosed: false, isRefusing: true });
    // It joins, and is heard of.
    for (let i = 0; i < 2; i += 1) nodes.tick();
  });
  const told = world.server.all('Event').map((event) => String(event['reason']));
  if (told.includes('RestartingPod')) world.breach('ToldWhenDone', told.join(' '));
  nodes.isRefusing = false;
  await world.settle(NAME, SETTLE_MS);
  check(world);
}

/** One node more than there are hosts, and back; @param isLate - a host comes up after all, when that is decided. */
export async function takenBack(isLate: boolean): Promise<void> {
  const world = new World();
  const { hostless } = world.kubernetes;
  world.startOperator('a');
  world.apply(NAME, { replicas: 3 });
  await world.settle(NAME, SETTLE_MS);
  hostless.add(`${NAME}-4`);
  world.apply(NAME, { replicas: 4 });
  await world.run(MINUTE_MS);
  world.apply(NAME, { replicas: 3 });
  if (isLate) {
    await onceDecided(world, 'ScaleIn', () => {
      hostless.clear();
      world.kubernetes.tick();
    });
    world.apply(NAME, { replicas: 4 });
  }
  await world.settle(NAME, SETTLE_MS);
  await idle(world);
  check(world);
}

/** `kubectl delete statefulset --cascade=orphan`, for what of it cannot be changed: it is made again around its pods. */
export async function orphaned(): Promise<void> {
  const world = new World();
  world.startOperator('a');
  world.apply(NAME, { replicas: 3 });
  await world.settle(NAME, SETTLE_MS);
  const before = podsOf(world);
  // The StatefulSet controller is as quick as the operator.
  world.onWritten = () => world.kubernetes.tick();
  world.orphanPods(NAME);
  await world.run(SETTLE_MS);
  const after = podsOf(world);
  if (after !== before) world.breach('NeverShrinks', `${before} became ${after}`);
  world.apply(NAME, { image: 'better' });
  await world.settle(NAME, SETTLE_MS);
  await idle(world);
  check(world);
}

function podsOf({ server }: World): string {
  return server
    .all('Pod')
    .map(({ metadata: { name, uid } }) => `${name} ${uid}`)
    .sort()
    .join(', ');
}

interface Round {
  readonly operators: OperatorProcess[];
  readonly random: Random;
  readonly round: number;
}

function trouble(world: World, { operators, random, round }: Round): void {
  const index = between(random, 0, operators.length - 1);
  const operator = operators[index];
  if (operator === undefined) return;
  const { process, client } = operator;
  switch (between(random, 0, 7)) {
    case 0:
      process.pause();
      world.scheduler.schedule(between(random, 1000, 40_000), () => process.resume());
      break;
    case 1:
      client.isCut = true;
      world.scheduler.schedule(between(random, 1000, 40_000), () => {
        client.isCut = false;
      });
      break;
    case 2:
      client.deafen();
      break;
    case 3:
      world.server.compact();
      break;
    case 4:
      world.kill(operator);
      operators[index] = world.startOperator(
        `${operator.name.charAt(0)}-${round}`,
        operator.leaseName,
      );
      break;
    case 5:
      world.orphanPods(NAME);
      break;
    default:
      change(world, random);
  }
}

function change(world: World, random: Random): void {
  const { spec } = world.clusterOf(NAME);
  if (chance(random, 0.6)) {
    world.apply(NAME, { image: pick(random, ['good', 'better', 'best']) });
    return;
  }
  const replicas = spec.replicas === 1 ? 3 : Math.min(NODES_MAX, spec.replicas + 1);
  world.apply(NAME, { replicas });
}
