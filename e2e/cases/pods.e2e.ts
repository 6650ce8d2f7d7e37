import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { waitFor } from '../chaos/wait.ts';
import { CommandError } from '../kube/commands.ts';
import { TestedCluster } from './testedCluster.ts';

const WHOLE = { errors: [], problems: [] };
const READY_MS_MAX = 120_000;

/** Pods that go away under load, on a real Kubernetes. */
describe('a WalrusCluster under load', () => {
  let sea: TestedCluster;

  beforeAll(async () => {
    sea = await TestedCluster.open('cases-e2e', 'sea');
    await sea.helmInstall();
    await sea.apply({ drainTimeout: '10s' });
    await sea.ready();
  });

  afterAll(async () => {
    await sea.remove();
  });

  async function leader(): Promise<string> {
    const found: { pod?: string } = {};
    await waitFor('the metadata have a leader', READY_MS_MAX, async () => {
      const status = await sea.status();
      if (status.leader !== undefined) found.pod = status.leader;
      return found.pod !== undefined;
    });
    return found.pod ?? '';
  }

  test('loses nothing when a pod is deleted', async () => {
    const before = await sea.uids();
    const victim = await leader();
    const report = await sea.underLoad('deleted', async () => {
      await sea.kubectl(['delete', 'pod', victim]);
      await sea.readyPods(3);
      await sea.ready();
    });
    expect(report).toMatchObject(WHOLE);
    const now = await sea.uids();
    expect([...before].filter(([name, uid]) => now.get(name) !== uid)).toHaveLength(1);
  });

  test('loses nothing when a container is killed', async () => {
    const victim = await leader();
    const restarts = async (): Promise<number> => {
      const pods = await sea.pods();
      const pod = pods.find(({ metadata }) => metadata.name === victim);
      return pod?.status.containerStatuses?.[0]?.restartCount ?? 0;
    };
    const before = await restarts();
    const report = await sea.underLoad('killed', async () => {
      await sea.killContainer(victim);
      await waitFor('the container is started again', READY_MS_MAX, async () => {
        return (await restarts()) > before;
      });
      await sea.readyPods(3);
      await sea.ready();
    });
    expect(report).toMatchObject(WHOLE);
  });

  test('loses nothing when all pods are deleted at once', async () => {
    const before = await sea.uids();
    const report = await sea.underLoad('all-deleted', async () => {
      await sea.kubectl(['delete', 'pod', '--wait=false', ...before.keys()]);
      await sea.replaced(before);
      await sea.readyPods(3);
      await sea.ready();
    });
    expect(report).toMatchObject(WHOLE);
  });

  test('is rolled to a new version without an error', async () => {
    const before = await sea.uids();
    const next = await sea.tagImage('next');
    const report = await sea.underLoad('rolled', async () => {
      await sea.patch({ image: next });
      await sea.replaced(before);
      await sea.ready();
    });
    expect(report).toMatchObject(WHOLE);
  });

  test('lets only one pod be evicted at a time', async () => {
    const [first = '', second = ''] = [...(await sea.uids()).keys()];
    const report = await sea.underLoad('evicted', async () => {
      await sea.evict(first);
      await expect(sea.evict(second)).rejects.toThrow(/disruption budget/);
      await expect(sea.evict(second)).rejects.toThrow(CommandError);
      await sea.readyPods(3);
      await sea.ready();
      await sea.evict(second);
      await sea.readyPods(3);
      await sea.ready();
    });
    expect(report).toMatchObject(WHOLE);
  });
});
