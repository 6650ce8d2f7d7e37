/** `walrus produce` and `walrus consume` as the processes that a user starts, start-up included. */
import fs from 'node:fs';
import path from 'node:path';
import { closed, runNode, startNode } from '../processes.ts';
import { RAW_WRITER } from '../rawWriter.ts';
import type { BenchContext, Comparison, Sample } from '../types.ts';

const LINE_BYTES = 1000;
/** How much a leg moves for each second that it should last. */
const BYTES_PER_SECOND = 100_000_000;
const BYTES_MAX = 1_000_000_000;
const RAW_WRITERS_COUNT = 3;
/** How much a raw writer writes between two syncs. */
const RAW_SYNC_BYTES = 1024 * 1024;
const READ_BYTES = 256 * 1024;
const CONSUMED_TOPIC = 'bench-consumed';

let topicsCount = 0;

function linesCount(context: BenchContext): number {
  return Math.ceil(Math.min(BYTES_MAX, context.seconds * BYTES_PER_SECOND) / LINE_BYTES);
}

/** A file of different lines, made by the first call. */
function linesFile(context: BenchContext): string {
  const file = path.join(context.directory, 'lines');
  if (fs.existsSync(file)) return file;
  const fd = fs.openSync(file, 'w');
  const perChunk = 1000;
  const count = linesCount(context);
  for (let from = 0; from < count; from += perChunk) {
    const lines = Array.from({ length: Math.min(perChunk, count - from) }, (_, i) =>
      `line ${from + i} `.padEnd(LINE_BYTES - 1, 'walrus '),
    );
    fs.writeSync(fd, `${lines.join('\n')}\n`);
  }
  fs.closeSync(fd);
  return file;
}

/** Produces the file to a topic and checks the count. */
async function produceFile(context: BenchContext, topic: string): Promise<Sample> {
  const file = linesFile(context);
  const cluster = await context.cluster();
  await cluster.client.admin.createTopic({ name: topic, replicas: 3, ackQuorum: 2 });
  const args = ['produce', topic, file, '--json', '--addr', cluster.addresses.join(',')];
  const startMs = performance.now();
  const printed = await runNode('cli/walrus.mjs', args);
  const ms = performance.now() - startMs;
  const { records } = JSON.parse(printed) as { records: number };
  if (records !== linesCount(context)) throw new Error(`${records} records were acknowledged`);
  return { rate: (records * LINE_BYTES) / 1e3 / ms };
}

interface RawWriter {
  readonly ready: Promise<unknown>;
  /** The ms that it took. */
  readonly ended: Promise<number>;
  readonly begin: () => void;
}

function startRawWriter(file: string, bytes: number): RawWriter {
  const args = [RAW_WRITER, file, String(bytes), String(RAW_SYNC_BYTES)];
  const child = startNode('bench/main.ts', args, ['pipe', 'pipe', 'inherit']);
  let printed = '';
  const ready = new Promise<void>((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
      resolve();
    });
  });
  return {
    ready,
    ended: closed(child, 'a raw writer').then(() => Number(printed.trim().split('\n').at(-1))),
    begin: () => child.stdin?.end(),
  };
}

/** Three processes that write and sync the same bytes at the same time; the slowest one counts. */
async function writeRaw(context: BenchContext): Promise<Sample> {
  const bytes = fs.statSync(linesFile(context)).size;
  const writers = Array.from({ length: RAW_WRITERS_COUNT }, (_, i) =>
    startRawWriter(path.join(context.directory, `raw-writer-${i}`), bytes),
  );
  const ends = Promise.all(writers.map(({ ended }) => ended));
  await Promise.race([Promise.all(writers.map(({ ready }) => ready)), ends]);
  for (const { begin } of writers) begin();
  const times = await ends;
  return { rate: bytes / 1e3 / Math.max(...times) };
}

const produce: Comparison = {
  kind: 'comparison',
  name: 'produce',
  title: 'three nodes, walrus produce of 1 KB lines',
  unit: 'MB/s',
  baselineName: 'three processes that write and sync',
  targetRatio: 0.6,
  targetRate: 150,
  isEither: true,
  baseline: writeRaw,
  async subject(context) {
    topicsCount += 1;
    const topic = `bench-produce-${topicsCount}`;
    const sample = await produceFile(context, topic);
    await (await context.cluster()).client.admin.deleteTopic(topic);
    return sample;
  },
};

let hasConsumedTopic = false;

const consume: Comparison = {
  kind: 'comparison',
  name: 'consume',
  title: 'three nodes, walrus consume of 1 KB lines',
  unit: 'MB/s',
  baselineName: 'readSync of 256 KiB of the same file',
  baseline(context) {
    const fd = fs.openSync(linesFile(context), 'r');
    const buffer = Buffer.alloc(READ_BYTES);
    const startMs = performance.now();
    let bytes = 0;
    for (let read = 1; read > 0; bytes += read) read = fs.readSync(fd, buffer);
    const ms = performance.now() - startMs;
    fs.closeSync(fd);
    return Promise.resolve({ rate: bytes / 1e3 / ms });
  },
  async subject(context) {
    const cluster = await context.cluster();
    if (!hasConsumedTopic) await produceFile(context, CONSUMED_TOPIC);
    hasConsumedTopic = true;
    const args = ['consume', CONSUMED_TOPIC, '--addr', cluster.addresses.join(',')];
    const startMs = performance.now();
    const child = startNode('cli/walrus.mjs', args, ['ignore', 'pipe', 'inherit']);
    let bytes = 0;
    child.stdout?.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    await closed(child, 'walrus consume');
    const ms = performance.now() - startMs;
    const expected = fs.statSync(linesFile(context)).size;
    if (bytes !== expected) throw new Error(`${bytes} of ${expected} bytes were consumed`);
    return { rate: bytes / 1e3 / ms };
  },
};

export const STREAM_ITEMS: readonly Comparison[] = [produce, consume];
