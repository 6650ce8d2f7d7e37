/**
 * `npm run tla`: model-checks the specifications in this folder as their manifests say.
 * Exit codes: 0 all as it must be, 1 something failed, 2 wrong usage or a missing tool.
 */
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseManifest } from './manifest.ts';
import type { Manifest } from './manifest.ts';
import { countVerdicts, modelTable, mutantTable, toJson } from './report.ts';
import { USAGE, UsageError, jobName, parseOptions, selectJobs } from './selection.ts';
import type { Job, Options } from './selection.ts';
import { parseTlcOutput } from './tlcOutput.ts';
import { ToolchainError, findJava, findTlc } from './toolchain.ts';
import { runTlc } from './tlc.ts';
import type { TlcSetup } from './tlc.ts';
import { judge } from './verdict.ts';
import type { Verdict } from './verdict.ts';

const DIRECTORY = import.meta.dirname;

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

function readManifests(): Manifest[] {
  const files = readdirSync(DIRECTORY).filter((file) => file.endsWith('.models.json'));
  return files
    .sort()
    .map((file) => parseManifest(JSON.parse(readFileSync(join(DIRECTORY, file), 'utf8')), file));
}

/** Models one after another on all threads; mutants side by side on one thread each, since their
 *  searches are short and a search on one thread finds a shortest trace, the same each time. */
async function runJobs(jobs: readonly Job[], setup: TlcSetup): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const job of jobs.filter(({ kind }) => kind === 'model')) {
    verdicts.push(await runJob(job, setup));
  }
  const queue = jobs.filter(({ kind }) => kind !== 'model');
  const order = new Map(queue.map((job, index) => [job, index]));
  const broken: Verdict[] = [];
  const lane = async (): Promise<void> => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      broken.push(await runJob(job, { ...setup, workers: 1 }));
    }
  };
  await Promise.all(Array.from({ length: setup.workers }, lane));
  broken.sort((a, b) => (order.get(a.job) ?? 0) - (order.get(b.job) ?? 0));
  return [...verdicts, ...broken];
}

async function runJob(job: Job, setup: TlcSetup): Promise<Verdict> {
  const run = await runTlc(job, setup);
  const verdict = judge(job, parseTlcOutput(run.output), run);
  const name = `${job.spec}/${jobName(job)}`;
  log(`${verdict.isPassed ? 'ok    ' : 'FAILED'} ${name} (${run.seconds.toFixed(1)} s)`);
  if (!verdict.isPassed) explain(verdict, run.output);
  return verdict;
}

function explain({ job, result, reason }: Verdict, output: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'walrus-tla-failed-'));
  const file = join(folder, `${job.spec}.${jobName(job)}.txt`);
  writeFileSync(file, output);
  log(reason);
  if (job.kind === 'model' && result.trace !== '') log(result.trace);
  log(`full output of TLC: ${file}`);
}

function print(verdicts: readonly Verdict[], options: Options): void {
  const tables = [
    modelTable(verdicts),
    mutantTable(verdicts, 'mutant'),
    mutantTable(verdicts, 'witness'),
  ].filter((table) => table !== '');
  const { passed, failed } = countVerdicts(verdicts);
  const text = `\n${tables.join('\n\n')}\n\n${String(passed)} passed, ${String(failed)} failed\n`;
  if (options.json) process.stdout.write(`${toJson(verdicts)}\n`);
  (options.json ? process.stderr : process.stdout).write(text);
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const jobs = selectJobs(readManifests(), options);
  const tools = { java: findJava(process.env), jar: findTlc(process.env) };
  const setup: TlcSetup = { ...tools, directory: DIRECTORY, workers: options.workers };
  const verdicts = await runJobs(jobs, setup);
  print(verdicts, options);
  return verdicts.every(({ isPassed }) => isPassed) && verdicts.length > 0 ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => process.exit(130));
}
try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError || error instanceof ToolchainError)) throw error;
  log(error.message);
  if (error instanceof UsageError) log(USAGE);
  process.exitCode = 2;
}
