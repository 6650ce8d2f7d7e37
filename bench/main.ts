/** `npm run bench`: every target beside its baseline, by turns, in one run. See docs/benchmarks.md. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { messageOf } from '../base/errors.ts';
import { SILENT } from '../base/log.ts';
import { installNativeCrc32c } from '../node/io/nativeCrc32c.ts';
import { Cluster } from './cluster.ts';
import { EMBEDDED_ITEMS } from './items/embedded.ts';
import { LIFE_ITEMS } from './items/life.ts';
import { STREAM_ITEMS } from './items/stream.ts';
import { TEXT_GET_ITEMS } from './items/textGet.ts';
import { TEXT_PUT_ITEMS } from './items/textPut.ts';
import { parseOptions, usage } from './options.ts';
import { stopAll } from './processes.ts';
import { RAW_WRITER, runRawWriter } from './rawWriter.ts';
import type { BenchOptions } from './options.ts';
import { showResults } from './report.ts';
import { compare, measure } from './run.ts';
import type { ComparisonResult, MeasurementResult } from './run.ts';
import type { BenchContext, BenchItem } from './types.ts';

const ITEMS: readonly BenchItem[] = [
  ...EMBEDDED_ITEMS,
  ...TEXT_PUT_ITEMS,
  ...STREAM_ITEMS,
  ...TEXT_GET_ITEMS,
  ...LIFE_ITEMS,
];

/** Where and under which conditions the figures came about. */
function conditions(): Record<string, string | number> {
  const [cpu] = os.cpus();
  return {
    date: new Date().toISOString().slice(0, 16),
    processor: `${os.cpus().length} x ${cpu?.model.trim() ?? 'unknown'}`,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()}`,
    node: process.version,
    loadAverage: os.loadavg()[0]?.toFixed(1) ?? '',
  };
}

async function run(options: BenchOptions, items: readonly BenchItem[]): Promise<void> {
  const directory = fs.mkdtempSync(path.join(options.dataDir ?? os.tmpdir(), 'walrus-bench-'));
  let shared: Promise<Cluster> | null = null;
  const context: BenchContext = {
    ...options,
    directory,
    cluster: () => (shared ??= Cluster.start(path.join(directory, 'cluster'), 3)),
    say: (line) => void process.stderr.write(`bench: ${line}\n`),
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stopAll();
      context.say(`interrupted; data are left in ${directory}`);
      process.exit(1);
    });
  }
  const end = async (): Promise<void> => {
    const cluster = await shared;
    shared = null;
    await cluster?.end();
  };
  const before = conditions();
  const comparisons: ComparisonResult[] = [];
  const measurements: MeasurementResult[] = [];
  const failures: string[] = [];
  const runItem = async (item: BenchItem): Promise<void> => {
    if (item.kind === 'comparison') {
      comparisons.push(await compare(item, context));
      return;
    }
    await end(); // nothing else runs beside what is measured by itself
    measurements.push(await measure(item, context));
  };
  try {
    for (const item of items) {
      await runItem(item).catch((error: unknown) => {
        failures.push(`${item.name}: ${messageOf(error)}`);
        context.say(`FAILED: ${failures.at(-1) ?? ''}`);
      });
    }
  } finally {
    await end();
    fs.rmSync(directory, { recursive: true });
  }
  const loadAverageAfter = conditions()['loadAverage'];
  const results = { conditions: { ...before, loadAverageAfter }, comparisons, measurements };
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ ...results, failures })}\n`
      : `${JSON.stringify(results.conditions)}\n\n${showResults(comparisons, measurements)}`,
  );
  if (failures.length > 0) process.exitCode = 1;
}

async function main(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv);
  if (typeof options === 'string') {
    const items = ITEMS.map(({ name, title }) => `${name.padEnd(20)} ${title}`);
    const isHelp = argv.includes('--help');
    process[isHelp ? 'stdout' : 'stderr'].write(`${options}${usage(items)}`);
    process.exitCode = isHelp ? 0 : 2;
    return;
  }
  const { only } = options;
  const unknown = only.filter((start) => !ITEMS.some(({ name }) => name.startsWith(start)));
  if (unknown.length > 0) {
    process.stderr.write(`no item has a name that begins with ${unknown.join(' or ')}\n`);
    process.exitCode = 2;
    return;
  }
  await installNativeCrc32c(SILENT);
  await run(
    options,
    ITEMS.filter(({ name }) => only.length === 0 || only.some((start) => name.startsWith(start))),
  );
}

const [word, ...rest] = process.argv.slice(2);
if (word === RAW_WRITER) await runRawWriter(rest);
else await main(process.argv.slice(2));
