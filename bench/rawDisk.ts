/** The baselines: what the disk gives to a program that does nothing but write. */
import fs from 'node:fs';
import path from 'node:path';
import { Latencies, startWatch } from './stats.ts';
import type { BenchContext, Sample } from './types.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
/** The one buffer that is written again and again. */
export const BUFFER_BYTES = 256 * KIB;
/** No leg without syncs writes more: what is measured is the page cache's rate, not that of its eviction. */
export const UNSYNCED_BYTES_MAX = 1024 * MIB;
const PREWRITTEN_BYTES = 64 * MIB;

/** Plain `writeSync` of 256 KiB buffers to a file that grows; payload in MB/s. */
export function writeBuffers(context: BenchContext, bytesMax: number): Sample {
  const file = path.join(context.directory, 'raw-buffers');
  const fd = fs.openSync(file, 'w');
  const buffer = Buffer.alloc(BUFFER_BYTES, 'walrus');
  const watch = startWatch();
  const endMs = performance.now() + 1000 * context.seconds;
  let bytes = 0;
  while (bytes < bytesMax && performance.now() < endMs) {
    bytes += fs.writeSync(fd, buffer, 0, BUFFER_BYTES);
  }
  const { ms, processorMs } = watch();
  fs.closeSync(fd);
  fs.rmSync(file);
  return { rate: bytes / 1e3 / ms, processorRate: bytes / 1e3 / processorMs };
}

/** A loop of `writeSync` and `fdatasyncSync` of `sizeBytes` each on a file written before; operations a second. */
export function syncLoop(context: BenchContext, sizeBytes: number): Sample {
  const file = path.join(context.directory, 'raw-synced');
  const fd = prewrittenFile(file);
  const buffer = Buffer.alloc(sizeBytes, 'walrus');
  const latencies = new Latencies();
  const startMs = performance.now();
  const endMs = startMs + 1000 * context.seconds;
  let nowMs = startMs;
  for (let at = 0; nowMs < endMs; at = (at + sizeBytes) % (PREWRITTEN_BYTES - sizeBytes)) {
    const beforeMs = nowMs;
    fs.writeSync(fd, buffer, 0, sizeBytes, at);
    fs.fdatasyncSync(fd);
    nowMs = performance.now();
    latencies.add(nowMs - beforeMs);
  }
  fs.closeSync(fd);
  const { p50, p99 } = latencies.summary();
  return { rate: (1000 * latencies.count) / (nowMs - startMs), p50Ms: p50, p99Ms: p99 };
}

/** Opens a file that has all its blocks, written and synced; made by the first call. */
function prewrittenFile(file: string): number {
  if (fs.existsSync(file)) return fs.openSync(file, 'r+');
  const fd = fs.openSync(file, 'w+');
  const zeros = Buffer.alloc(MIB);
  for (let at = 0; at < PREWRITTEN_BYTES; at += MIB) fs.writeSync(fd, zeros, 0, MIB, at);
  fs.fsyncSync(fd);
  return fd;
}
