/** Whole operators whose children the API server does not take: people are told, the others are made, and nothing is risked. */
import { expect, test } from '@jest/globals';
import { BOOTSTRAP_DISK_ANNOTATION } from '../api/walrusCluster.ts';
import { KubeError } from '../kube/api.ts';
import type { Asked } from '../kube/testing/fakeApiServer.ts';
import { NAMESPACE, World } from './world.ts';

const NAME = 'sea';
const MINUTE_MS = 60_000;

interface Hook {
  /** Whose writes are refused. */
  resource: string | null;
}

function worldWith(hook: Hook, status: number): World {
  const world = new World();
  const watch = world.server.onRequest;
  world.server.onRequest = (asked: Asked) => {
    watch(asked);
    const { resource, verb } = asked;
    if (resource === hook.resource && verb === 'patch')
      throw new KubeError(status, '', 'a hook says no');
  };
  world.startOperator('first');
  return world;
}

function condition(world: World, wanted: string): string {
  const found = world.clusterOf(NAME).status?.conditions.find(({ type }) => type === wanted);
  return `${found?.status} ${found?.reason} ${found?.message}`;
}

function podUids(world: World): readonly string[] {
  return world.server.all('Pod').map(({ metadata: { uid } }) => uid);
}

test.each([400, 403, 422, 500])(
  'a change that is refused with %i is told, and is done once it is taken',
  async (status) => {
    const hook: Hook = { resource: null };
    const world = worldWith(hook, status);
    world.apply(NAME, {});
    await world.settle(NAME, 5 * MINUTE_MS);
    hook.resource = 'statefulsets';
    const before = podUids(world);
    world.apply(NAME, { image: 'better' });
    await world.run(3 * MINUTE_MS);
    const refused = 'False Refused StatefulSet sea is refused: a hook says no';
    expect(condition(world, 'ConfigurationValid')).toBe(refused);
    const why = 'See ConfigurationValid (Refused): StatefulSet sea is refused: a hook says no';
    expect(condition(world, 'Ready')).toBe(`False ConfigurationInvalid ${why}`);
    const { metadata, status: told } = world.clusterOf(NAME);
    expect(told?.observedGeneration).toBe(metadata.generation);
    expect(podUids(world)).toEqual(before);
    const warnings = world.server.all('Event').filter(({ reason }) => reason === 'Refused');
    expect(warnings).toHaveLength(1);
    hook.resource = null;
    await world.settle(NAME, 5 * MINUTE_MS);
    expect(condition(world, 'ConfigurationValid')).toBe('True Valid ');
    expect(world.breaches).toEqual([]);
  },
);

test('a cluster that cannot begin for what is refused says so, and begins once it is taken', async () => {
  const hook: Hook = { resource: 'statefulsets' };
  const world = worldWith(hook, 422);
  world.apply(NAME, {});
  await world.run(MINUTE_MS);
  expect(condition(world, 'Available')).toMatch('False NotBootstrapped');
  expect(condition(world, 'Ready')).toBe(
    'False ConfigurationInvalid See ConfigurationValid (Refused): StatefulSet sea is refused: a hook says no',
  );
  hook.resource = null;
  await world.settle(NAME, 5 * MINUTE_MS);
  expect(condition(world, 'Ready')).toBe('True AllNodesServe ');
});

test('a Service that is refused keeps no other child from being made, and pods from being restarted', async () => {
  const hook: Hook = { resource: 'services' };
  const world = worldWith(hook, 403);
  world.apply(NAME, {});
  await world.run(MINUTE_MS);
  expect(world.server.find('StatefulSet', NAMESPACE, NAME)).not.toBeNull();
  expect(condition(world, 'ConfigurationValid')).toMatch(/^False Refused Service sea/);
  hook.resource = null;
  await world.settle(NAME, 5 * MINUTE_MS);
  hook.resource = 'services';
  const before = podUids(world);
  world.apply(NAME, { image: 'better', listeners: { client: { serviceType: 'LoadBalancer' } } });
  await world.run(3 * MINUTE_MS);
  expect(podUids(world)).toEqual(before);
  hook.resource = null;
  await world.settle(NAME, 5 * MINUTE_MS);
  expect(world.breaches).toEqual([]);
});

/** Begun; from now on evictions have this answer. */
async function worldWhoseEvictionsAre(answer: { error: KubeError | null }): Promise<World> {
  const world = new World();
  const watch = world.server.onRequest;
  world.server.onRequest = (asked: Asked) => {
    watch(asked);
    if (asked.resource === 'pods/eviction' && answer.error !== null) throw answer.error;
  };
  world.startOperator('first');
  world.apply(NAME, {});
  await world.settle(NAME, 5 * MINUTE_MS);
  world.actions.length = 0;
  return world;
}

function warnings(world: World): readonly unknown[] {
  const events = world.server.all('Event').filter(({ type }) => type === 'Warning');
  return events.map(({ reason }) => reason);
}

test.each([403, 500])(
  'a restart that is refused with %i is told, counted only once it is done, and fails no pass',
  async (status) => {
    const why = 'This pod has more than one PodDisruptionBudget';
    const answer: { error: KubeError | null } = { error: null };
    const world = await worldWhoseEvictionsAre(answer);
    answer.error = new KubeError(status, '', why);
    const before = world.server.asked.length;
    world.apply(NAME, { image: 'better' });
    await world.run(10 * MINUTE_MS);
    const refused = `sea-3 cannot be restarted now (Refused: ${why})`;
    expect(condition(world, 'UpgradeBlocked')).toBe(`True RestartRefused ${refused}`);
    expect(condition(world, 'Progressing')).toBe(`True Waiting restarting sea-3: Refused: ${why}`);
    expect(world.actions).toEqual([]);
    expect(warnings(world)).toEqual(['ActionRefused', 'RestartRefused']);
    const evictions = world.server.asked
      .slice(before)
      .filter(({ resource }) => resource === 'pods/eviction');
    // Not once a second: by the resync.
    expect(evictions.length).toBeLessThan(60);
    answer.error = null;
    await world.settle(NAME, 5 * MINUTE_MS);
    expect(condition(world, 'UpgradeBlocked')).toBe('False NotBlocked ');
    expect(world.actions.filter((type) => type === 'RestartPod')).toHaveLength(3);
    expect(world.breaches).toEqual([]);
  },
);

test('an API server that has too much to do for an eviction is waited for, without a warning', async () => {
  const answer: { error: KubeError | null } = { error: null };
  const world = await worldWhoseEvictionsAre(answer);
  answer.error = new KubeError(429, '', 'Too many requests');
  world.apply(NAME, { image: 'better' });
  await world.run(MINUTE_MS);
  expect(condition(world, 'Progressing')).toBe(
    'True Waiting restarting sea-3: Busy: Too many requests',
  );
  expect([warnings(world), world.actions]).toEqual([[], []]);
  answer.error = null;
  await world.settle(NAME, 5 * MINUTE_MS);
  expect(world.breaches).toEqual([]);
});

test('a note on a claim that is refused holds up nothing of a cluster that has begun', async () => {
  const hook: Hook = { resource: null };
  const world = worldWith(hook, 403);
  world.apply(NAME, {});
  await world.settle(NAME, 5 * MINUTE_MS);
  hook.resource = 'persistentvolumeclaims';
  world.apply(NAME, { replicas: 4, image: 'better' });
  await world.settle(NAME, 10 * MINUTE_MS);
  expect(condition(world, 'ConfigurationValid')).toBe('True Valid ');
  expect(warnings(world)).toEqual(['NoteRefused']);
  const claim = (): unknown =>
    world.server.find('PersistentVolumeClaim', NAMESPACE, 'data-sea-4')?.metadata['annotations'];
  expect(claim()).not.toHaveProperty([BOOTSTRAP_DISK_ANNOTATION]);
  hook.resource = null;
  await world.run(11 * MINUTE_MS);
  expect(claim()).toHaveProperty([BOOTSTRAP_DISK_ANNOTATION]);
  expect(world.breaches).toEqual([]);
});

test('a note on a claim that is refused is waited for before a cluster begins', async () => {
  const hook: Hook = { resource: 'persistentvolumeclaims' };
  const world = worldWith(hook, 403);
  world.apply(NAME, {});
  await world.run(3 * MINUTE_MS);
  expect(condition(world, 'ConfigurationValid')).toMatch(/^False Refused PersistentVolumeClaim/);
  expect(world.actions).toEqual([]);
  hook.resource = null;
  await world.settle(NAME, 5 * MINUTE_MS);
  expect(world.breaches).toEqual([]);
});

test('nodes that do not know how to change their voters are told of, and asked again with the resync', async () => {
  const world = new World();
  const { admin } = world.startOperator('first');
  world.apply(NAME, { replicas: 5 });
  await world.settle(NAME, 10 * MINUTE_MS);
  admin.unknown.set('voters', 0);
  world.apply(NAME, { metadataVoters: 5 });
  await world.run(10 * MINUTE_MS);
  expect(condition(world, 'Progressing')).toBe(
    'True Waiting asking for 5 metadata voters: NotSupported: POST /admin/v1/voters is not known',
  );
  expect(admin.unknown.get('voters')).toBeLessThan(60);
  expect(warnings(world)).toEqual(['ActionRefused']);
  admin.unknown.clear();
  await world.settle(NAME, 5 * MINUTE_MS);
  expect(world.breaches).toEqual([]);
});
