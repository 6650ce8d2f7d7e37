/** A cluster in which nothing changes: its nodes are asked, the API server is not. */
import fs from 'node:fs';
import { expect, test } from '@jest/globals';
import { NAMESPACE, RESYNC_S, World } from './world.ts';

const NAME = 'sea';
const SETTLE_MS = 300_000;
const IDLE_MS = 120_000;
/** As long as people wait before they ask why the status does not say what they see. */
const AGE_MS_MAX = 16_000;
const NONE_SERVES = { status: 'False', reason: 'SegmentsUnavailable' };

function available(world: World): object | undefined {
  const { conditions = [] } = world.clusterOf(NAME).status ?? {};
  return conditions.find(({ type }) => type === 'Available');
}

test('what no object tells is in the status soon, and is looked for without a request to the API server', async () => {
  const world = new World();
  world.startOperator('a');
  world.apply(NAME, { replicas: 3 });
  await world.settle(NAME, SETTLE_MS);
  await world.run(RESYNC_S * 1000);
  const before = world.server.asked.length;
  await world.run(IDLE_MS);
  const asked = world.server.asked.slice(before);
  const others = asked.filter(({ verb, resource }) => verb !== 'watch' && resource !== 'leases');
  expect(others).toEqual([]);
  const nodes = world.kubernetes.nodesOf(NAMESPACE, NAME);
  nodes.unavailable = 2;
  await world.run(AGE_MS_MAX);
  expect(available(world)).toMatchObject(NONE_SERVES);
  nodes.unavailable = 0;
  await world.run(AGE_MS_MAX);
  expect(available(world)).toMatchObject({ status: 'True' });
  expect(world.breaches).toEqual([]);
});

test('clusters that a new leader looked at together do not come together for ever, and none later than it should', async () => {
  const names = ['sea', 'lake', 'pond', 'bay'];
  const world = new World();
  const first = world.startOperator('a');
  for (const name of names) world.apply(name, { replicas: 1 });
  for (const name of names) await world.settle(name, SETTLE_MS);
  world.kill(first);
  world.startOperator('b');
  await world.run(IDLE_MS);
  world.passes.length = 0;
  await world.run(IDLE_MS);
  const timesOf = (name: string): readonly number[] =>
    world.passes.flatMap((pass) => (pass.name === name ? [pass.atMs] : []));
  for (const name of names) {
    const times = timesOf(name);
    expect(times.length).toBeGreaterThanOrEqual(Math.floor(IDLE_MS / (AGE_MS_MAX + 1000)));
    expect(times.length).toBeLessThanOrEqual(Math.ceil(IDLE_MS / (RESYNC_S * 800)));
  }
  const firsts = names.map((name) => timesOf(name)[0] ?? 0);
  expect(Math.max(...firsts) - Math.min(...firsts)).toBeGreaterThan(1000);
  expect(world.breaches).toEqual([]);
});

test('the command and the chart have the same in mind', () => {
  const manifest = fs.readFileSync('helm/walrus-operator.yaml', 'utf8');
  expect(manifest).toContain(`--resync=${RESYNC_S}\n`);
  const commands = fs.readFileSync('docs/cli.md', 'utf8');
  expect(commands).toMatch(new RegExp(`--resync SECONDS.*Default: ${RESYNC_S}\\.`));
});
