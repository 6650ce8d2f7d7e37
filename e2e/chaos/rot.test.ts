/** Bits rot on the disk of a real node while it is down: found, served by the others, repaired, the same bytes after. */
import { afterEach, expect, test } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { SeededRandom } from '../../base/random.ts';
import { connect } from '../../client/index.ts';
import { Cluster } from './cluster.ts';
import type { NodeProcess } from './nodeProcess.ts';
import { readBack } from '../load/readBack.ts';
import { rotArenas } from './rot.ts';
import { waitFor } from './wait.ts';

const LIMIT_MS = 120_000;
const TOPIC = 'rotten';
const RECORDS = 2000;
/** Sealed ones: all but the last segment. */
const SEALED = 1500;
const FLIPS = 6;

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}, LIMIT_MS);

async function startCluster(): Promise<Cluster> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-rot-'));
  cleanups.push(() => fs.rmSync(directory, { recursive: true }));
  const walrus = path.resolve(__dirname, '..', '..', 'cli', 'main.ts');
  const cluster = await Cluster.start({
    nodesCount: 3,
    directory,
    command: [walrus, 'node'],
    settings: ['--max-segment-entries', '500', '--scrub-interval', '1s'],
  });
  cleanups.push(() => cluster.end());
  return cluster;
}

async function fill(cluster: Cluster): Promise<void> {
  const client = await connect({ addresses: cluster.addresses, clientName: 'rot-test' });
  cleanups.push(() => client.abort());
  const producer = await client.producer({ topic: TOPIC });
  for (let i = 0; i < RECORDS; i += 1) {
    await producer.send({ value: Buffer.from(`record ${i} ${'.'.repeat(i % 300)}`) });
    if (i % 20 === 0) await producer.flush(); // batches of several groups
  }
  await producer.flush();
}

async function readThrough(node: NodeProcess, endOffset: number): Promise<string> {
  const options = {
    address: node.clientAddress,
    topic: TOPIC,
    endOffset,
    onRecord: () => undefined,
  };
  return (await readBack(options)).sha256;
}

async function metric(node: NodeProcess, line: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${node.ports.http}/metrics`)).text();
  const found = text.split('\n').find((each) => each.startsWith(`${line} `));
  return Number(found?.slice(line.length) ?? 0);
}

test(
  'a node whose disk has rotted serves the same records, and has the same bytes of its own in the end',
  async () => {
    const cluster = await startCluster();
    const [one, two, three] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
    await cluster.createTopic(TOPIC);
    await fill(cluster);
    const whole = await readThrough(one, RECORDS);
    const sealed = await readThrough(one, SEALED);

    await three.kill();
    expect(rotArenas(three.dataDir, new SeededRandom(7), FLIPS)).toBe(FLIPS);
    cluster.startNode(three);
    await cluster.waitUntilReady();
    expect(await readThrough(three, RECORDS)).toBe(whole);

    const isRepaired = async (): Promise<boolean> =>
      (await metric(three, 'walrus_segment_repairs_total{outcome="done"}')) > 0 &&
      (await metric(three, 'walrus_replicas{state="damaged"}')) === 0 &&
      (await cluster.segments([TOPIC]))?.lackingCount === 0;
    await waitFor('the copies are repaired', LIMIT_MS / 2, isRepaired);
    expect(three.readLog()).toContain('A replica is damaged');
    expect(three.readLog()).toContain('a damaged copy was made anew');

    // Alone it can read its own copies only.
    await Promise.all([one.kill(), two.kill()]);
    expect(await readThrough(three, SEALED)).toBe(sealed);
    expect(cluster.failures).toEqual([]);
  },
  LIMIT_MS,
);
