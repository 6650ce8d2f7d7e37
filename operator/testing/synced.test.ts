/** An operator that may not read something leaves the lease to those that may. */
import { expect, test } from '@jest/globals';
import { KubeError } from '../kube/api.ts';
import { World } from './world.ts';

const NAME = 'sea';
const MINUTE_MS = 60_000;

test('an operator that may not list pods does not lead, before it may', async () => {
  const world = new World();
  const watch = world.server.onRequest;
  const forbidden = new Set(['newer', 'older']);
  world.server.onRequest = (asked) => {
    watch(asked);
    if (asked.resource === 'pods' && forbidden.has(asked.user))
      throw new KubeError(403, 'Forbidden', 'no such permission');
  };
  const newer = world.startOperator('newer').operator;
  const older = world.startOperator('older').operator;
  world.apply(NAME, {});
  await world.run(MINUTE_MS);
  expect([newer.isSynced, newer.isLeading, older.isLeading]).toEqual([false, false, false]);
  forbidden.delete('older');
  await world.settle(NAME, 5 * MINUTE_MS);
  expect([newer.isLeading, older.isLeading]).toEqual([false, true]);
  expect(world.breaches).toEqual([]);
});
