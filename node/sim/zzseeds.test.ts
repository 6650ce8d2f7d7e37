import { test, expect } from '@jest/globals';
import { SimClients } from './simClients.ts';
import { SimCluster } from './simCluster.ts';
const CONFIG = {
  metadataVoters: 3,
  maxSegmentEntries: 10,
  maxSegmentBytes: 16e6,
  maxSegmentAgeMs: 3_600_000,
};
for (let seed = 1; seed <= 12; seed += 1)
  test('seed ' + seed, async () => {
    const lines: string[] = [];
    const cluster = new SimCluster({
      seed,
      nodeCount: 3,
      config: CONFIG,
      trace: (l) => lines.push(l),
    });
    const at = new SimClients(cluster);
    await cluster.startAll();
    const c = cluster.machines.map((m) => at.text(m));
    const got: number[] = [];
    let done = 0;
    const bad: string[] = [];
    const run = async () => {
      await c[0]!.ask('REGISTER t');
      const put = async (k: number) => {
        for (let i = 0; i < 60; i += 1) {
          const r = await c[k]!.ask('PUT t ' + (k * 1000 + i));
          if (r !== 'OK') bad.push(r);
        }
      };
      const get = async (k: number) => {
        while (got.length < 180) {
          const r = await c[k]!.ask('GET t');
          if (r.startsWith('OK ')) got.push(Number(r.slice(3)));
          else if (r !== 'EMPTY') bad.push(r);
        }
      };
      await Promise.all([put(0), put(1), put(2), get(0), get(1), get(2), get(0)]);
      done = 1;
    };
    void run();
    try {
      await cluster.runUntil(() => done === 1, 60000);
    } catch (e) {
      console.log(got.length, bad, lines.slice(-30).join('\n'));
      throw e;
    }
    expect(bad).toEqual([]);
    expect([...got].sort((a, b) => a - b).length).toBe(new Set(got).size);
  });
