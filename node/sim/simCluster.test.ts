import { expect, test } from '@jest/globals';
import { SimCluster } from './simCluster.ts';

const CONFIG = {
  metadataVoters: 3,
  maxSegmentEntries: 1000,
  maxSegmentBytes: 1024 * 1024,
  maxSegmentAgeMs: 3_600_000,
};

test('three nodes form a cluster with three metadata voters', async () => {
  const lines: string[] = [];
  const cluster = new SimCluster({
    seed: 1,
    nodeCount: 3,
    config: CONFIG,
    trace: (line) => lines.push(line),
  });
  try {
    await cluster.startAll();
    await cluster.runUntil(
      () => cluster.machines[0]?.parts?.raft.status().configuration.voters.length === 3,
      5000,
    );
  } catch (error) {
    console.log(lines.slice(-60).join('\n'));
    throw error;
  }
  const nodes = cluster.machines.map((machine) => machine.parts?.metadata.metadata.nodes.size);
  expect(nodes).toEqual([3, 3, 3]);
});
