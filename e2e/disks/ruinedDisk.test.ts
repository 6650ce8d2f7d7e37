/** Real processes on disks that are not what they were: refused with a message that says what to do, then replaced. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Cluster } from '../chaos/cluster.ts';
import type { NodeProcess } from '../chaos/nodeProcess.ts';
import { waitFor } from '../chaos/wait.ts';

const TEST_MS_MAX = 180_000;
const READY_MS_MAX = 60_000;
const EXIT_FAILURE = 1;

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-disks-'));
let cluster: Cluster;
let node: NodeProcess;

beforeAll(async () => {
  const command = ['cli/walrus.mjs', 'node'];
  cluster = await Cluster.start({ nodesCount: 3, directory, command, settings: [] });
  node = cluster.nodes[2] ?? fail();
}, TEST_MS_MAX);

afterAll(async () => {
  await cluster.end();
  expect(cluster.failures).toEqual([]);
  fs.rmSync(directory, { recursive: true });
}, TEST_MS_MAX);

function fail(): never {
  throw new Error('There are three nodes');
}

async function startAndServe(extra: readonly string[] = []): Promise<void> {
  cluster.startNode(node, { extra });
  await waitFor(`node ${node.nodeId} serves`, READY_MS_MAX, () => node.isReady());
}

/** What a start says that must be refused. */
async function refusal(): Promise<string> {
  cluster.startNode(node, { mayEnd: true });
  const { code } = await node.ended();
  expect(code).toBe(EXIT_FAILURE);
  const log = node.readLog();
  expect(log).toContain('DISK_REFUSED');
  expect(log).toContain('--replace-disk');
  return log;
}

/** Puts a copy in the place of the node's data directory. */
function putBack(copy: string): void {
  fs.rmSync(node.dataDir, { recursive: true });
  fs.cpSync(copy, node.dataDir, { recursive: true });
}

async function stopAndCopy(name: string): Promise<string> {
  const copy = path.join(directory, name);
  expect((await node.stop()).code).toBe(0);
  fs.cpSync(node.dataDir, copy, { recursive: true });
  return copy;
}

// Only the last test loses the disk: a second loss before the first is mended is more than a cluster survives.
describe('a node is refused', () => {
  test(
    'with a copy of its data directory that was made before its last start, each time',
    async () => {
      const older = await stopAndCopy('older');
      await startAndServe();
      const newest = await stopAndCopy('newest');
      putBack(older);
      for (let attempt = 0; attempt < 2; attempt += 1)
        expect(await refusal()).toMatch(/is an older state or a copy of that disk: .* start/);
      putBack(newest);
      await startAndServe();
    },
    TEST_MS_MAX,
  );

  test(
    'with an emptied Raft log',
    async () => {
      const copy = await stopAndCopy('whole');
      fs.rmSync(path.join(node.dataDir, 'raft'), { recursive: true });
      expect(await refusal()).toContain('raft/ is empty, but this disk was registered');
      putBack(copy);
      await startAndServe();
    },
    TEST_MS_MAX,
  );

  test(
    'with an empty data directory under its node id, until its disk is declared lost',
    async () => {
      await node.kill();
      fs.rmSync(node.dataDir, { recursive: true });
      expect(await refusal()).toContain('Node 3 is registered with disk');
      await startAndServe(['--replace-disk']);
    },
    TEST_MS_MAX,
  );
});
