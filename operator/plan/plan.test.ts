import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BOOTSTRAP_DISK_ANNOTATION, CLUSTER_ID_ANNOTATION } from '../api/walrusCluster.ts';
import { ModelCluster } from './testing/model.ts';
import type { Plan } from './types.ts';

/** More than any sequence of restarts and joins needs in these sizes. */
const PASSES_MAX = 400;

function settle(cluster: ModelCluster): Plan {
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

function conditionOf({ conditions }: Plan, type: string): string {
  const condition = conditions.find((candidate) => candidate.type === type);
  return `${condition?.status} ${condition?.reason}`;
}

type Happening =
  | { readonly type: 'tick' | 'pass' | 'cutOff' | 'wait' }
  | { readonly type: 'losePod'; readonly ordinal: number }
  | { readonly type: 'image'; readonly image: string }
  | { readonly type: 'grow'; readonly by: number };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Happening>({ type: 'tick' }) },
  { weight: 6, arbitrary: fc.constant<Happening>({ type: 'pass' }) },
  { weight: 2, arbitrary: fc.constant<Happening>({ type: 'cutOff' }) },
  { weight: 1, arbitrary: fc.constant<Happening>({ type: 'wait' }) },
  fc.record({ type: fc.constant('losePod' as const), ordinal: fc.integer({ min: 1, max: 5 }) }),
  fc.record({
    type: fc.constant('image' as const),
    image: fc.constantFrom('good', 'better', 'bad'),
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
    case 'cutOff':
      cluster.pass(true);
      break;
    case 'wait':
      cluster.wait();
      break;
    case 'losePod':
      cluster.losePod(event.ordinal);
      break;
    case 'image':
      cluster.change({ image: event.image });
      break;
    case 'grow':
      cluster.change({ replicas: Math.min(7, cluster.spec.replicas + event.by) });
      break;
  }
}

describe('a plan', () => {
  test.each([1, 3, 5])('brings %i nodes up, and then does nothing more', (replicas) => {
    const cluster = new ModelCluster(replicas);
    const last = settle(cluster);
    expect(cluster.violations).toEqual([]);
    expect(conditionOf(last, 'Ready')).toBe('True AllNodesServe');
    expect(conditionOf(last, 'Progressing')).toBe('False Stable');
    expect(last.requeueAfterMs).toBeNull();
    const { annotations } = cluster.observe().cluster.metadata;
    expect(annotations?.[CLUSTER_ID_ANNOTATION]).toMatch(/^[0-9]{32}$/);
    expect(annotations?.[BOOTSTRAP_DISK_ANNOTATION]).toMatch(/^disk-/);
  });

  test('whatever happens: safe at every step, and done once it is quiet', () => {
    const run = fc.property(
      fc.constantFrom(1, 3, 5),
      fc.array(happening, { maxLength: 60 }),
      (replicas, happenings) => {
        const cluster = new ModelCluster(replicas);
        cluster.badImages.add('bad');
        for (const event of happenings) {
          happen(cluster, event);
          expect(cluster.violations).toEqual([]);
        }
        cluster.change({ image: 'good' });
        const last = settle(cluster);
        expect(cluster.violations).toEqual([]);
        expect([last.operation, conditionOf(last, 'Ready')]).toEqual([null, 'True AllNodesServe']);
      },
    );
    fc.assert(run, { numRuns: 1000 });
  });

  test('a new revision that does not run stops at one pod, and reverting it heals', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.badImages.add('bad');
    cluster.change({ image: 'bad' });
    let last = cluster.pass();
    for (let i = 0; i < 50; i++) {
      cluster.tick();
      last = cluster.pass();
    }
    const { pods } = cluster.observe();
    expect(pods.filter(({ trouble }) => trouble !== null)).toHaveLength(1);
    expect(conditionOf(last, 'UpgradeBlocked')).toBe('True NewRevisionFails');
    expect(conditionOf(last, 'Available')).toBe('True QuorumServes');
    cluster.change({ image: 'good' });
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
    expect(cluster.violations).toEqual([]);
  });

  test('no node is restarted while the nodes refuse it, and the roll goes on once they do not', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.change({ image: 'better' });
    cluster.isRefusing = true;
    const before = cluster.observe().pods.map(({ uid }) => uid);
    let last = cluster.pass();
    for (let i = 0; i < 20; i++) {
      cluster.tick();
      last = cluster.pass();
    }
    expect(cluster.observe().pods.map(({ uid }) => uid)).toEqual(before);
    expect(conditionOf(last, 'UpgradeBlocked')).toBe('True RestartRefused');
    cluster.isRefusing = false;
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
    expect(cluster.violations).toEqual([]);
  });

  test('fewer nodes are refused, with a condition, and nothing is done', () => {
    const cluster = new ModelCluster(5);
    settle(cluster);
    cluster.change({ replicas: 3 });
    const last = cluster.pass();
    expect(last.risky).toBeNull();
    expect(conditionOf(last, 'ConfigurationValid')).toBe('False ScaleInNotSupported');
    cluster.change({ replicas: 5 });
    expect(conditionOf(settle(cluster), 'ConfigurationValid')).toBe('True Valid');
  });

  test('a cluster that is made again on its volumes is found, and not begun', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    const id = cluster.observe().cluster.metadata.annotations?.[CLUSTER_ID_ANNOTATION];
    cluster.recreate();
    const last = settle(cluster);
    expect(conditionOf(last, 'Ready')).toBe('True AllNodesServe');
    expect(cluster.observe().cluster.metadata.annotations?.[CLUSTER_ID_ANNOTATION]).toBe(id);
    expect(cluster.violations).toEqual([]);
  });

  test('the disk on which a cluster began is lost before anybody joined: it never begins again', () => {
    const cluster = new ModelCluster(1);
    settle(cluster);
    cluster.loseDisk(1);
    let last = cluster.pass();
    for (let i = 0; i < 10; i++) {
      cluster.tick();
      last = cluster.pass();
    }
    expect(conditionOf(last, 'ConfigurationValid')).toBe('False BootstrapDiskLost');
    expect(cluster.violations).toEqual([]);
  });

  test('paused: looks, and does nothing', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.change({ paused: true, image: 'better', replicas: 5 });
    const last = cluster.pass();
    expect([last.writes, last.risky]).toEqual([[], null]);
    expect(conditionOf(last, 'Paused')).toBe('True SpecPaused');
  });

  test('a paused upgrade changes the template and restarts nobody', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.change({ image: 'better', upgrade: { strategy: 'Paused', catchUpTimeout: '10m' } });
    cluster.pass();
    const last = cluster.pass();
    expect(last.risky).toBeNull();
    expect(conditionOf(last, 'UpgradeBlocked')).toBe('True StrategyPaused');
  });
});
