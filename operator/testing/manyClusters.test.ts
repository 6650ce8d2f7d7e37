/** Many clusters under one operator: each is brought up, and none costs anything once it is. */
import { describe, expect, test } from '@jest/globals';
import { World } from './world.ts';

const NAMES = Array.from({ length: 20 }, (_, index) => `sea-of-${index}`);
const SETTLE_MS = 300_000;
const IDLE_MS = 300_000;
/** Children, the two annotations, growth, the beginning, joins and their events, and a status for each step. */
const WRITES_MAX = 60;
const STORY_MS_MAX = 60_000;

/** What is asked in idle time: the lease by each of two, every two seconds, and watches that are taken up again. */
const LEASE_REQUESTS_MAX = (2 * 2 * IDLE_MS) / 2000;
const WATCHES = 11;
const WATCH_REQUESTS_MAX = 2 * WATCHES * 2;

describe('two operators with twenty clusters', () => {
  test(
    'bring all of them up with few writes, and then ask for the lease only',
    async () => {
      const world = new World();
      world.startOperator('a');
      world.startOperator('b');
      for (const name of NAMES) world.apply(name, { replicas: 3 });
      for (const name of NAMES) await world.settle(name, SETTLE_MS);
      await world.run(5000);
      expect(world.breaches).toEqual([]);
      expect(world.writes.length).toBeLessThanOrEqual(WRITES_MAX * NAMES.length);
      const [writes, asked] = [world.writes.length, world.server.asked.length];
      await world.run(IDLE_MS);
      expect(world.writes.slice(writes)).toEqual([]);
      const requests = world.server.asked.slice(asked);
      const ofLease = requests.filter(({ resource }) => resource === 'leases');
      expect(ofLease.length).toBeLessThanOrEqual(LEASE_REQUESTS_MAX);
      const others = requests.filter(({ resource }) => resource !== 'leases');
      expect(others.every(({ verb }) => verb === 'watch')).toBe(true);
      expect(others.length).toBeLessThanOrEqual(WATCH_REQUESTS_MAX);
      expect(new Set(NAMES.map((name) => world.clusterOf(name).status?.clusterId)).size).toBe(20);
    },
    STORY_MS_MAX,
  );
});
