/** Whole operators where the kinds of a Prometheus operator are missing, come, go, or are refused: nothing else waits for them. */
import { describe, expect, jest, test } from '@jest/globals';
import { KubeError } from '../kube/api.ts';
import type { Asked } from '../kube/testing/fakeApiServer.ts';
import { NAMESPACE, World } from './world.ts';

const NAME = 'sea';
const MINUTE_MS = 60_000;
/** Of real time, on a busy machine. */
const STORY_MS_MAX = 60_000;
const BOTH = { podMonitor: true, prometheusRule: true };

/** @param answer - What the API server says to requests for these kinds; null: what is there. */
function worldWith(answer: (asked: Asked) => KubeError | null): World {
  const world = new World();
  const watch = world.server.onRequest;
  world.server.onRequest = (asked) => {
    const error = asked.group === 'monitoring.coreos.com' ? answer(asked) : null;
    if (error !== null) throw error;
    watch(asked);
  };
  world.startOperator('first');
  world.apply(NAME, { monitoring: BOTH });
  return world;
}

function monitored(world: World): string {
  const { status } = world.clusterOf(NAME);
  const found = status?.conditions.find(({ type }) => type === 'Monitored');
  return `${found?.status} ${found?.reason}`;
}

function reasons(world: World): readonly string[] {
  return world.server.all('Event').map((event) => String(event['reason']));
}

function objects(world: World): readonly string[] {
  return ['PodMonitor', 'PrometheusRule'].filter(
    (kind) => world.server.find(kind, NAMESPACE, NAME) !== null,
  );
}

jest.setTimeout(STORY_MS_MAX);

describe('an operator', () => {
  test('goes on without an API that is missing, and notices when it comes and goes', async () => {
    let isThere = false;
    const world = worldWith(() => (isThere ? null : new KubeError(404, 'NotFound', 'not found')));
    await world.settle(NAME, 10 * MINUTE_MS);
    expect(world.breaches).toEqual([]);
    expect(monitored(world)).toBe('False ApiMissing');
    expect(reasons(world).filter((reason) => reason === 'MonitoringApiMissing')).toHaveLength(1);
    isThere = true;
    await world.run(MINUTE_MS);
    expect(objects(world)).toEqual(['PodMonitor', 'PrometheusRule']);
    expect(monitored(world)).toBe('True Created');
    const written = world.writes.length;
    await world.run(10 * MINUTE_MS);
    expect(world.writes).toHaveLength(written); // nothing is written twice
    world.apply(NAME, { monitoring: { ...BOTH, podMonitor: false } });
    await world.run(MINUTE_MS);
    expect(objects(world)).toEqual(['PrometheusRule']);
    expect(world.breaches).toEqual([]);
  });

  test.each([403, 404])(
    'takes a %d of an API server that starts for no missing API',
    async (status) => {
      let isStarting = false;
      const world = worldWith(() => (isStarting ? new KubeError(status, 'No', 'not yet') : null));
      await world.settle(NAME, 10 * MINUTE_MS);
      await world.run(MINUTE_MS);
      expect(monitored(world)).toBe('True Created');
      isStarting = true;
      // Every watch begins anew.
      world.apply(NAME, { drainTimeout: '31s' });
      world.server.compact();
      await world.run(3000);
      isStarting = false;
      await world.run(2 * MINUTE_MS);
      expect(reasons(world)).not.toContain('MonitoringApiMissing');
      world.server.remove('PodMonitor', NAMESPACE, NAME);
      await world.run(MINUTE_MS);
      expect(objects(world)).toContain('PodMonitor');
      expect(world.breaches).toEqual([]);
    },
  );

  test.each([
    ['they may not be seen', 403, 'False ApiMissing', (): boolean => true],
    ['they are refused', 422, 'False Refused', ({ verb }: Asked): boolean => verb === 'patch'],
  ])('begins and rolls a cluster where %s', async (_, status, condition, isRefused) => {
    const world = worldWith((asked) =>
      isRefused(asked) ? new KubeError(status, 'Refused', 'a hook says no') : null,
    );
    await world.settle(NAME, 10 * MINUTE_MS);
    world.apply(NAME, { image: 'better' });
    await world.settle(NAME, 20 * MINUTE_MS);
    expect(world.breaches).toEqual([]);
    expect(monitored(world)).toBe(condition);
    const patches = world.server.asked.length;
    await world.run(10 * MINUTE_MS);
    const again = world.server.asked
      .slice(patches)
      .filter(({ verb, group }) => verb === 'patch' && group === 'monitoring.coreos.com');
    // Not with each resync.
    expect(again.length).toBeLessThanOrEqual(8);
    const told = status === 403 ? 'MonitoringApiMissing' : 'MonitoringRefused';
    expect(reasons(world)).toContain(told);
  });

  test('says that what is there is of an earlier spec, when a change of it is refused', async () => {
    let isRefused = false;
    const world = worldWith(({ verb }) =>
      isRefused && verb === 'patch' ? new KubeError(422, 'Refused', 'a hook says no') : null,
    );
    await world.settle(NAME, 10 * MINUTE_MS);
    expect(monitored(world)).toBe('True Created');
    isRefused = true;
    world.apply(NAME, { monitoring: { ...BOTH, labels: { release: 'prometheus' } } });
    await world.run(MINUTE_MS);
    expect(monitored(world)).toBe('False Refused');
    expect(world.isSettled(NAME)).toBe(true); // Ready all the same
    isRefused = false;
    await world.run(10 * MINUTE_MS);
    expect(monitored(world)).toBe('True Created');
  });
});
