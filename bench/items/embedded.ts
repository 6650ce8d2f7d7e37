/** The engine in this process, without a cluster. */
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import v8 from 'node:v8';
import vm from 'node:vm';
import { openStore } from '../../node/io/embedded.ts';
import type { EmbeddedStore, EmbeddedTopic } from '../../node/io/embedded.ts';
import { occupiedMebibytes } from '../processes.ts';
import { BUFFER_BYTES, UNSYNCED_BYTES_MAX, syncLoop, writeBuffers } from '../rawDisk.ts';
import { Latencies, startWatch } from '../stats.ts';
import type { BenchContext, BenchItem, Comparison, Measurement } from '../types.ts';

const MIB = 1024 * 1024;
const SMALL_BYTES = 100;
const TOPICS_COUNT = 10_000;
/** Records of a batched append are accepted in groups of this size, and each group is awaited. */
const GROUP_BYTES = MIB;
const SEED = 1;

async function withStore<T>(
  context: BenchContext,
  sync: 'always' | 'none',
  body: (store: EmbeddedStore, directory: string) => Promise<T>,
): Promise<T> {
  const directory = path.join(context.directory, 'embedded');
  const store = await openStore({ directory, sync });
  try {
    return await body(store, directory);
  } finally {
    await store.close();
    fs.rmSync(directory, { recursive: true });
  }
}

/**
 * Values of the sizes, in an arbitrary order that is the same in every leg. Together they are as large as the one buffer
 * that the baseline writes: neither side measures how fast the memory of a load generator is.
 */
function valuesOf(minBytes: number, maxBytes: number): Uint8Array[] {
  const count = Math.floor((2 * BUFFER_BYTES) / (minBytes + maxBytes));
  let state = SEED;
  return Array.from({ length: count }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return new Uint8Array(minBytes + (state % (maxBytes - minBytes + 1))).fill(state);
  });
}

interface Appended {
  readonly bytes: number;
  readonly count: number;
  readonly ms: number;
  readonly processorMs: number;
}

/** Appends for the time of a leg; then, with the clock stopped, reads all of it back. */
async function appendTo(
  topic: EmbeddedTopic,
  context: BenchContext,
  values: readonly Uint8Array[],
): Promise<Appended> {
  let bytes = 0;
  let count = 0;
  const watch = startWatch();
  const endMs = performance.now() + 1000 * context.seconds;
  while (bytes < UNSYNCED_BYTES_MAX && performance.now() < endMs) {
    let last = Promise.resolve();
    for (let group = 0; group < GROUP_BYTES; count += 1) {
      const value = values[count % values.length] as Uint8Array;
      last = topic.append(value);
      group += value.length;
      bytes += value.length;
    }
    await last;
  }
  const appended = { bytes, count, ...watch() };
  requireAll(topic, values, count);
  return appended;
}

/** @throws when a record is missing or is another than the one that was appended. */
function requireAll(topic: EmbeddedTopic, values: readonly Uint8Array[], count: number): void {
  let at = 0;
  for (const { offset, value } of topic.records()) {
    const expected = values[at % values.length] as Uint8Array;
    if (offset !== at || value === null || Buffer.compare(value, expected) !== 0) {
      throw new Error(`the record at offset ${at} is not the one that was appended`);
    }
    at += 1;
  }
  if (at !== count) throw new Error(`${at} of ${count} records were read back`);
}

function appendBatched(context: BenchContext, values: readonly Uint8Array[]): Promise<Appended> {
  return withStore(context, 'none', (store) => appendTo(store.topic('bench'), context, values));
}

/** The same into blocks that a deleted topic has left: what a store does that keeps a bounded log. */
function appendReusing(context: BenchContext, values: readonly Uint8Array[]): Promise<Appended> {
  return withStore(context, 'none', async (store) => {
    await appendTo(store.topic('old'), context, values);
    store.deleteTopic('old');
    await store.flushed();
    return appendTo(store.topic('bench'), context, values);
  });
}

function batched(
  name: string,
  title: string,
  sizes: readonly [number, number],
  append = appendBatched,
): Comparison {
  const values = valuesOf(...sizes);
  return {
    kind: 'comparison',
    name: `append-${name}`,
    title: `embedded append without fsync, batched, ${title}`,
    unit: 'MB/s',
    baselineName: 'writeSync of 256 KiB',
    targetRatio: 0.4,
    baseline: (context) => Promise.resolve(writeBuffers(context, UNSYNCED_BYTES_MAX)),
    async subject(context) {
      const { bytes, ms, processorMs } = await append(context, values);
      return { rate: bytes / 1e3 / ms, processorRate: bytes / 1e3 / processorMs };
    },
  };
}

/** The same as a count of appends, which is what others publish. */
function batchedCount(): Comparison {
  const values = valuesOf(500, 1024);
  const meanBytes = values.reduce((sum, value) => sum + value.length, 0) / values.length;
  return {
    kind: 'comparison',
    name: 'append-mixed-count',
    title: 'embedded append without fsync, batched, 500-1024 B, as a count',
    unit: 'appends/s',
    baselineName: 'writeSync of 256 KiB, as so many records',
    targetRate: 1.2e6,
    baseline(context) {
      const { rate, processorRate = NaN } = writeBuffers(context, UNSYNCED_BYTES_MAX);
      const recordsOf = (megabytes: number): number => (megabytes * 1e6) / meanBytes;
      return Promise.resolve({ rate: recordsOf(rate), processorRate: recordsOf(processorRate) });
    },
    async subject(context) {
      const { count, ms, processorMs } = await appendBatched(context, values);
      return { rate: (1000 * count) / ms, processorRate: (1000 * count) / processorMs };
    },
  };
}

/** Callers that each await every append. */
function durable(callers: number, targetRatio: number): Comparison {
  const value = new Uint8Array(SMALL_BYTES).fill(7);
  return {
    kind: 'comparison',
    name: `durable-${callers}`,
    title: `embedded append of 100 B, each awaited durably, callers: ${callers}`,
    unit: 'appends/s',
    baselineName: 'write+fdatasync loop',
    targetRatio,
    baseline: (context) => Promise.resolve(syncLoop(context, SMALL_BYTES)),
    subject: (context) =>
      withStore(context, 'always', async (store) => {
        const topic = store.topic('bench');
        const latencies = new Latencies();
        const beginMs = performance.now();
        // Like the baseline's file, the store's is written before the clock starts: it has just begun to prepare space.
        const startMs = beginMs + (1000 * context.seconds) / 6;
        const endMs = startMs + 1000 * context.seconds;
        const call = async (): Promise<void> => {
          for (let nowMs = beginMs; nowMs < endMs;) {
            const beforeMs = nowMs;
            await topic.append(value);
            nowMs = performance.now();
            if (beforeMs >= startMs) latencies.add(nowMs - beforeMs);
          }
        };
        await Promise.all(Array.from({ length: callers }, call));
        const { p50, p99 } = latencies.summary();
        const rate = (1000 * latencies.count) / (performance.now() - startMs);
        return { rate, p50Ms: p50, p99Ms: p99 };
      }),
  };
}

/** What topics cost that nobody writes to, and an empty store. */
const topics: Measurement = {
  kind: 'measurement',
  name: 'topics',
  title: `an empty store, and ${TOPICS_COUNT} idle topics in it`,
  async measure(context) {
    const opened: number[] = [];
    const empty: number[] = [];
    const full: number[] = [];
    const heap: number[] = [];
    const resident: number[] = [];
    for (let round = 0; round < context.rounds; round += 1) {
      const startMs = performance.now();
      await withStore(context, 'always', async (store, directory) => {
        opened.push(performance.now() - startMs);
        empty.push(occupiedMebibytes(directory));
        const before = memoryMebibytes();
        for (let i = 0; i < TOPICS_COUNT; i += 1) store.topic(`topic-${i}`);
        await store.flushed();
        const after = memoryMebibytes();
        full.push(occupiedMebibytes(directory));
        heap.push(after.heap - before.heap);
        resident.push(after.resident - before.resident);
      });
    }
    return [
      { label: 'opens an empty store', unit: 'ms', values: opened, limit: 1000 },
      { label: 'disk of an empty store', unit: 'MiB', values: empty, limit: 64 },
      { label: 'disk with the topics', unit: 'MiB', values: full, limit: 1024 },
      { label: 'memory in use for the topics', unit: 'MiB', values: heap, limit: 40 },
      { label: 'resident memory for the topics', unit: 'MiB', values: resident },
    ];
  },
};

/** After a full collection of garbage. */
function memoryMebibytes(): { readonly heap: number; readonly resident: number } {
  collectGarbage();
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  return { heap: (heapUsed + arrayBuffers) / MIB, resident: rss / MIB };
}

function collectGarbage(): void {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc') as () => void;
  collect();
}

export const EMBEDDED_ITEMS: readonly BenchItem[] = [
  batched('100', '100 B', [100, 100]),
  batched('1k', '1 KB', [1000, 1000]),
  batched('mixed', '500-1024 B', [500, 1024]),
  batchedCount(),
  batched('100-reused', '100 B, into reused blocks', [100, 100], appendReusing),
  durable(1, 0.8),
  durable(64, 8),
  topics,
];
