import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { waitFor } from '../chaos/wait.ts';
import { loadCrashingImage } from '../image.ts';
import { TestedCluster, WHOLE, changed } from './testedCluster.ts';

const MS_MAX = 120_000;

/** One cluster, installed by Helm with its operator; things happen to its pods, one after the other. */
describe('a WalrusCluster under load', () => {
  let sea: TestedCluster;

  beforeAll(async () => {
    sea = await TestedCluster.open('cases-e2e', 'sea');
    const spec = { image: sea.image, drainTimeout: '10s', storage: { size: '1Gi' } };
    const cluster = { enabled: true, name: sea.name, spec: { ...sea.smallSpec, ...spec } };
    await sea.helmInstall(['--set-json', `cluster=${JSON.stringify(cluster)}`]);
    await sea.ready();
  });

  afterAll(async () => {
    await sea.remove();
  });

  test('installed by Helm, takes records and gives them back', async () => {
    const report = await sea.underLoad('installed', () => Promise.resolve());
    expect(report).toMatchObject(WHOLE);
    expect(await sea.helm(['test', 'walrus', '--timeout=120s'])).toContain(
      'Phase:          Succeeded',
    );
  });

  test('a pod is deleted', async () => {
    const before = await sea.uids();
    const victim = await sea.leader();
    const report = await sea.underLoad('deleted', async () => {
      await sea.kubectl(['delete', 'pod', victim]);
      await sea.whole();
    });
    expect(report).toMatchObject(WHOLE);
    expect(changed(before, await sea.uids())).toEqual([victim]);
  });

  test('a container is killed with kill -9', async () => {
    const before = await sea.uids();
    const victim = await sea.leader();
    const restarts = await sea.restarts(victim);
    const report = await sea.underLoad('killed', async () => {
      await sea.killContainer(victim);
      await waitFor('the container is started again', MS_MAX, async () => {
        return (await sea.restarts(victim)) > restarts;
      });
      await sea.whole();
    });
    expect(report).toMatchObject(WHOLE);
    expect(changed(before, await sea.uids())).toEqual([]);
  });

  test('all pods are deleted at once', async () => {
    const before = await sea.uids();
    const report = await sea.underLoad('all-deleted', async () => {
      await sea.kubectl(['delete', 'pod', '--wait=false', ...before.keys()]);
      await sea.replaced(before);
      await sea.whole();
    });
    expect(report).toMatchObject(WHOLE);
  });

  test('a second pod cannot be evicted while the first is away', async () => {
    const [first = '', second = ''] = (await sea.uids()).keys();
    const report = await sea.underLoad('evicted', async () => {
      await sea.evict(first);
      await expect(sea.evict(second)).rejects.toThrow(/disruption budget/);
      await sea.whole();
    });
    expect(report).toMatchObject(WHOLE);
  });

  test('is rolled to a new version', async () => {
    const before = await sea.uids();
    const next = await sea.tagImage('next');
    const report = await sea.underLoad('rolled', async () => {
      await sea.patch({ image: next });
      await sea.replaced(before);
      await sea.ready();
    });
    expect(report).toMatchObject(WHOLE);
  });

  test('a new version that crashes stops at one pod, and reverting heals', async () => {
    const before = await sea.uids();
    const { image } = await sea.spec();
    const crashing = await loadCrashingImage(sea.kube);
    const report = await sea.underLoad('crashing', async () => {
      await sea.patch({ image: crashing });
      await sea.becomes('UpgradeBlocked', 'NewRevisionFails');
      expect(changed(before, await sea.uids())).toHaveLength(1);
      expect(await sea.reason('Available')).toBe('QuorumServes');
      await sea.patch({ image });
      await sea.ready();
    });
    expect(report).toMatchObject(WHOLE);
    expect(changed(before, await sea.uids())).toHaveLength(1);
  });
});
