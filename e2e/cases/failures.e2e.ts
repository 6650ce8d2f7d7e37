import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { pause, waitFor } from '../chaos/wait.ts';
import { PAUSE_IMAGE } from '../kube/nodeFiles.ts';
import { TestedCluster, WHOLE, changed } from './testedCluster.ts';

const MS_MAX = 120_000;
/** How long the API server is away. */
const API_DOWN_MS = 60_000;
/** A roll, of which every write costs the time after which another operator takes the lease. */
const KILLED_MS_MAX = 600_000;

/** One cluster whose surroundings fail, one after the other. */
describe('a WalrusCluster under load, on a Kubernetes that fails', () => {
  let sea: TestedCluster;

  beforeAll(async () => {
    sea = await TestedCluster.open('failures-e2e', 'sea');
    await sea.helmInstall();
    await sea.apply({ drainTimeout: '10s' });
    await sea.ready();
  });

  afterAll(async () => {
    await sea.remove();
  });

  test("a node's network is cut and restored", async () => {
    const before = await sea.uids();
    const { cut, other } = await sea.nodesOf(await sea.leader());
    const report = await sea.underLoad(
      'cut-off',
      async () => {
        await sea.kube.cutNetwork(cut);
        await sea.nodeBecomes(cut, 'Unknown');
        await sea.kube.healNetwork(cut);
        await sea.nodeBecomes(cut, 'True');
        await sea.whole();
      },
      { insideNode: other },
    );
    expect(report).toMatchObject(WHOLE);
    expect(changed(before, await sea.uids())).toEqual([]);
  });

  test('a kubelet is stopped', async () => {
    const before = await sea.uids();
    const { cut, other } = await sea.nodesOf(await sea.leader());
    const report = await sea.underLoad(
      'without-kubelet',
      async () => {
        await sea.kube.stopOnNode(cut, 'kubelet');
        await sea.nodeBecomes(cut, 'Unknown');
        await sea.kube.startOnNode(cut, 'kubelet');
        await sea.nodeBecomes(cut, 'True');
        await sea.whole();
      },
      { insideNode: other },
    );
    expect(report).toMatchObject(WHOLE);
    expect(changed(before, await sea.uids())).toEqual([]);
  });

  test('the API server is away for a minute', async () => {
    const before = await sea.uids();
    const report = await sea.underLoad('without-api', async () => {
      await sea.kube.stopApiServer();
      await pause(API_DOWN_MS);
      await sea.kube.startApiServer();
      for (const node of sea.kube.nodes) await sea.nodeBecomes(node, 'True');
      await sea.whole();
      // The operator acts again.
      await sea.patch({ networkPolicy: true });
      await waitFor('the operator makes the NetworkPolicy', MS_MAX, async () => {
        return (
          (await sea.asked(() => sea.kubectl(['get', 'networkpolicy', sea.name]))) !== undefined
        );
      });
    });
    expect(report).toMatchObject(WHOLE);
    expect(changed(before, await sea.uids())).toEqual([]);
  });

  test('a new version that never gets ready stops at one pod, and reverting heals', async () => {
    const before = await sea.uids();
    const { image } = await sea.spec();
    await sea.patch({ upgrade: { catchUpTimeout: '15s' } });
    const report = await sea.underLoad('never-ready', async () => {
      await sea.patch({ image: PAUSE_IMAGE });
      await sea.becomes('UpgradeBlocked', 'CatchUpTimedOut');
      expect(changed(before, await sea.uids())).toHaveLength(1);
      await sea.patch({ image });
      await sea.ready();
    });
    expect(report).toMatchObject(WHOLE);
    expect(changed(before, await sea.uids())).toHaveLength(1);
  });

  test(
    'the operator is killed with kill -9 after each of its writes, all through a roll',
    async () => {
      const before = await sea.uids();
      const next = await sea.tagImage('next');
      const isRolled = async (): Promise<boolean> => {
        const names = changed(before, await sea.uids());
        return names.length === before.size && (await sea.reason('Ready')) === 'AllNodesServe';
      };
      const report = await sea.underLoad('without-operators', async () => {
        await sea.patch({ image: next });
        const kills = await sea.killOperators('the roll is over', isRolled, KILLED_MS_MAX);
        process.stderr.write(`${kills} operators were killed during the roll\n`);
        expect(kills).toBeGreaterThanOrEqual(before.size);
      });
      expect(report).toMatchObject(WHOLE);
    },
    KILLED_MS_MAX + 300_000,
  );

  test('deleted and made again on the same volumes, it goes on', async () => {
    const { clusterId } = await sea.status();
    const report = await sea.underLoad('made-again', async () => {
      await sea.kubectl(['delete', 'wc', sea.name, '--cascade=foreground', '--wait']);
      await waitFor('its pods are gone', MS_MAX, async () => (await sea.uids()).size === 0);
      await sea.apply({ drainTimeout: '10s' });
      await sea.whole();
    });
    expect(report).toMatchObject(WHOLE);
    expect((await sea.status()).clusterId).toBe(clusterId);
  });
});
