/** `npm run chaos`: three real nodes, real faults, every acknowledged record read back. See docs/chaos.md. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { messageOf } from '../../base/errors.ts';
import { useNativeCrc32c } from '../../client/io/system.ts';
import { Cluster } from './cluster.ts';
import { USAGE, parseOptions } from './options.ts';
import type { ChaosOptions } from './options.ts';
import { showReport } from './report.ts';
import { runFailover, showFailover } from './scenarioFailover.ts';
import { runFaults } from './scenarioFaults.ts';
import { runFile, showFile } from './scenarioFile.ts';

const root = path.resolve(import.meta.dirname, '..', '..');
const walrus = [path.join(root, 'cli', 'main.ts')];

interface Outcome {
  readonly ok: boolean;
  readonly report: object;
  readonly text: string;
}

async function runScenario(
  cluster: Cluster,
  options: ChaosOptions,
  directory: string,
): Promise<Outcome> {
  const startMs = performance.now();
  const say = (line: string): void => {
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    process.stderr.write(`chaos: ${seconds.padStart(6)} s  ${line}\n`);
  };
  switch (options.scenario) {
    case 'faults': {
      const report = await runFaults(cluster, options, say);
      return { ok: report.ok, report, text: showReport(report) };
    }
    case 'failover': {
      const report = await runFailover(cluster, options, say);
      return { ok: report.ok, report, text: showFailover(report) };
    }
    case 'file': {
      const report = await runFile(cluster, { options, directory, walrus }, say);
      return { ok: report.ok, report, text: showFile(report) };
    }
  }
}

async function main(options: ChaosOptions): Promise<boolean> {
  await useNativeCrc32c();
  const directory =
    options.dataDir ?? fs.mkdtempSync(path.join(os.tmpdir(), `walrus-chaos-${options.seed}-`));
  process.stderr.write(`chaos: seed ${options.seed}, data and logs in ${directory}\n`);
  const cluster = await Cluster.start({
    nodesCount: options.nodes,
    directory,
    command: [...walrus, 'node'],
    settings: [
      ...['--max-segment-entries', String(options.maxSegmentEntries)],
      ...['--scrub-interval', '2s'], // so that rot is found within the run
    ],
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void cluster.end().then(() => process.exit(1)));
  }
  let ok = false;
  try {
    const outcome = await runScenario(cluster, options, directory);
    ok = outcome.ok;
    process.stdout.write(options.json ? `${JSON.stringify(outcome.report)}\n` : outcome.text);
  } finally {
    await cluster.end();
    if (ok && !options.keep && options.dataDir === undefined) {
      fs.rmSync(directory, { recursive: true });
    } else {
      process.stderr.write(`chaos: data and logs are left in ${directory}\n`);
    }
  }
  return ok;
}

const options = parseOptions(process.argv.slice(2), Date.now());
if (process.argv.includes('--help')) {
  process.stdout.write(USAGE);
} else if (typeof options === 'string') {
  process.stderr.write(options);
  process.exitCode = 2;
} else {
  try {
    process.exitCode = (await main(options)) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`chaos: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}
