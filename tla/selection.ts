/** From the command line to the list of runs. Pure. */
import type { Manifest, Model, Mutant } from './manifest.ts';

/** What the command line asked for. */
export interface Options {
  readonly large: boolean;
  readonly mutants: boolean;
  readonly share: { readonly index: number; readonly count: number } | undefined;
  readonly spec: string | undefined;
  readonly only: string | undefined;
  readonly workers: number;
  readonly json: boolean;
  readonly help: boolean;
}

/** One run of TLC. */
export type Job =
  | { readonly kind: 'model'; readonly spec: string; readonly model: Model }
  | { readonly kind: 'mutant' | 'witness'; readonly spec: string; readonly mutant: Mutant };

export const USAGE = `Usage: npm run tla -- [options]
  (no option)        check all small models
  --large            check all large models
  --mutants          check that every mutant is caught and every witness is reached
  --share K/N        with --mutants: only the K-th of N shares (K from 1)
  --spec NAME        only this specification (Segment, Chain, Metadata)
  --only NAME        only the model, mutant or witness of this name
  --workers N        threads (default 2)
  --json             print the results as JSON on stdout, the tables on stderr
  --help             print this text`;

/** A command line that cannot be understood; its message is for the user. */
export class UsageError extends Error {}

type Draft = { -readonly [Key in keyof Options]: Options[Key] };

/**
 * Reads the command line.
 * @param args - The arguments after the program's name.
 * @returns The options with defaults filled in.
 * @throws {UsageError} When an option is unknown or its value is missing or wrong.
 */
export function parseOptions(args: readonly string[]): Options {
  const options: Draft = {
    large: false,
    mutants: false,
    share: undefined,
    spec: undefined,
    only: undefined,
    workers: 2,
    json: false,
    help: false,
  };
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (!applyFlag(options, arg)) applyValue(options, arg, rest.shift());
  }
  if (options.share !== undefined && !options.mutants) {
    throw new UsageError('--share needs --mutants');
  }
  return options;
}

function applyFlag(options: Draft, arg: string): boolean {
  if (arg === '--large') options.large = true;
  else if (arg === '--mutants') options.mutants = true;
  else if (arg === '--json') options.json = true;
  else if (arg === '--help') options.help = true;
  else return false;
  return true;
}

function applyValue(options: Draft, arg: string, value: string | undefined): void {
  if (!['--share', '--spec', '--only', '--workers'].includes(arg)) {
    throw new UsageError(`Unknown option ${arg}`);
  }
  if (value === undefined) throw new UsageError(`${arg} needs a value`);
  if (arg === '--share') options.share = parseShare(value);
  else if (arg === '--spec') options.spec = value;
  else if (arg === '--only') options.only = value;
  else options.workers = parsePositive(arg, value);
}

function parseShare(value: string): { index: number; count: number } {
  const [index, count] = /^(\d+)\/(\d+)$/.exec(value)?.slice(1).map(Number) ?? [];
  if (index === undefined || count === undefined || index < 1 || index > count) {
    throw new UsageError(`--share wants K/N with 1 <= K <= N, not ${value}`);
  }
  return { index, count };
}

function parsePositive(arg: string, value: string): number {
  if (/^[1-9]\d?$/.test(value)) return Number(value);
  throw new UsageError(`${arg} wants a number from 1 to 99, not ${value}`);
}

/**
 * Chooses the runs.
 * @param manifests - All specifications.
 * @param options - The command line.
 * @returns The runs in the order of the manifests.
 * @throws {UsageError} When `--spec` or `--only` names nothing.
 */
export function selectJobs(manifests: readonly Manifest[], options: Options): Job[] {
  const wanted = manifests.filter(
    ({ spec }) => options.spec === undefined || options.spec === spec,
  );
  if (wanted.length === 0) {
    const known = manifests.map(({ spec }) => spec).join(', ');
    throw new UsageError(`No specification ${options.spec ?? ''}; there are: ${known}`);
  }
  if (options.only !== undefined) return selectNamed(wanted, options.only);
  return wanted.flatMap((manifest) => {
    if (options.mutants) return takeShare(brokenJobs(manifest), options.share);
    return modelJobs(manifest, options.large ? 'large' : 'small');
  });
}

function selectNamed(manifests: readonly Manifest[], name: string): Job[] {
  const all = manifests.flatMap((manifest) => [...modelJobs(manifest), ...brokenJobs(manifest)]);
  const named = all.filter((job) => jobName(job) === name);
  if (named.length > 0) return named;
  throw new UsageError(`Nothing is called ${name}; there are: ${all.map(jobName).join(', ')}`);
}

function modelJobs({ spec, models }: Manifest, size?: Model['size']): Job[] {
  const chosen = models.filter((model) => size === undefined || model.size === size);
  return chosen.map((model) => ({ kind: 'model', spec, model }));
}

function brokenJobs({ spec, mutants, witnesses }: Manifest): Job[] {
  return [
    ...mutants.map((mutant): Job => ({ kind: 'mutant', spec, mutant })),
    ...witnesses.map((mutant): Job => ({ kind: 'witness', spec, mutant })),
  ];
}

/** Every share holds a job of each specification, even where there are fewer jobs than shares. */
function takeShare(jobs: readonly Job[], share: Options['share']): Job[] {
  if (share === undefined) return [...jobs];
  const shares = Math.min(share.count, jobs.length);
  return jobs.filter((_, index) => index % shares === (share.index - 1) % shares);
}

/**
 * Names a run as the manifest does.
 * @param job - The run.
 * @returns The name of its model, mutant or witness.
 */
export function jobName(job: Job): string {
  return job.kind === 'model' ? job.model.name : job.mutant.name;
}
