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

test('the command and the chart have the same in mind', () => {
  const manifest = fs.readFileSync('helm/walrus-operator.yaml', 'utf8');
  expect(manifest).toContain(`--resync=${RESYNC_S}\n`);
  const commands = fs.readFileSync('docs/cli.md', 'utf8');
  expect(commands).toMatch(new RegExp(`--resync SECONDS.*Default: ${RESYNC_S}\\.`));
});
