/** Runs TLC on one configuration in a folder of its own, which is removed afterwards. */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, readdir, copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkOnly, invariantNames, overrideConstants, propertyNames } from './modelConfig.ts';
import { jobName } from './selection.ts';
import type { Job } from './selection.ts';

/** Where things are, and how many threads TLC may use. */
export interface TlcSetup {
  readonly java: string;
  readonly jar: string;
  /** The folder of the specifications. */
  readonly directory: string;
  readonly workers: number;
}

/** The raw end of a run. */
export interface TlcRun {
  readonly output: string;
  readonly seconds: number;
  /** The configuration as TLC saw it. */
  readonly config: string;
}

/**
 * Runs TLC.
 * @param job - What to run.
 * @param setup - Java, jar, folder, threads.
 * @returns What TLC printed, and the time it took.
 */
export async function runTlc(job: Job, setup: TlcSetup): Promise<TlcRun> {
  const folder = await mkdtemp(join(tmpdir(), 'walrus-tla-'));
  // An interrupt ends the process without unwinding, and TLC's states may be gigabytes.
  const remove = (): void => {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  process.once('exit', remove);
  try {
    const { config, module } = await prepare(job, setup.directory, folder);
    const start = process.hrtime.bigint();
    const output = await runJava(setup.java, tlcArguments(setup, folder, module), folder);
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    return { output, seconds, config };
  } finally {
    process.off('exit', remove);
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Copies the modules: TLC finds them beside the configuration and writes nothing into ours. */
async function prepare(
  job: Job,
  directory: string,
  folder: string,
): Promise<{ config: string; module: string }> {
  const entry = job.kind === 'model' ? job.model : job.mutant;
  const modules = (await readdir(directory)).filter((file) => file.endsWith('.tla'));
  await Promise.all(modules.map((file) => copyFile(join(directory, file), join(folder, file))));
  await mkdir(join(folder, 'java'));
  const text = await readFile(join(directory, entry.config), 'utf8');
  const mutant = job.kind === 'mutant' ? { Mutant: `"${jobName(job)}"` } : {};
  const config = narrow(job, overrideConstants(text, { ...entry.constants, ...mutant }));
  await writeFile(join(folder, 'model.cfg'), config);
  return { config, module: `${entry.module}.tla` };
}

/** A witness may deny a claim that its configuration does not list: it is then checked alone. */
function narrow(job: Job, config: string): string {
  if (job.kind !== 'witness') return config;
  const claim = job.mutant.violates;
  const listed = [...invariantNames(config), ...propertyNames(config), 'Deadlock'];
  return listed.includes(claim) ? config : checkOnly(config, claim);
}

function tlcArguments(setup: TlcSetup, folder: string, module: string): string[] {
  return [
    '-XX:+UseParallelGC',
    // TLC unpacks the standard modules into the temporary folder under fixed names: two runs at
    // once would read each other's half-written files.
    `-Djava.io.tmpdir=${join(folder, 'java')}`,
    '-cp',
    setup.jar,
    'tlc2.TLC',
    '-workers',
    String(setup.workers),
    '-metadir',
    join(folder, 'states'),
    '-config',
    'model.cfg',
    module,
  ];
}

function runJava(java: string, args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(java, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Uint8Array[] = [];
    const keep = (chunk: Uint8Array): void => {
      chunks.push(chunk);
    };
    const stop = (): void => {
      child.kill('SIGKILL');
    };
    process.once('exit', stop);
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', reject);
    child.once('close', () => {
      process.off('exit', stop);
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
  });
}
