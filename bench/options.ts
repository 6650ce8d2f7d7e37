/** The command line of `npm run bench`. */
import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** Names of items, or the beginnings of names; empty for all. */
  readonly only: readonly string[];
  readonly seconds: number;
  readonly rounds: number;
  readonly kills: number;
  readonly logMegabytes: number;
  readonly json: boolean;
  readonly dataDir: string | undefined;
}

/** @param items - One line for each item. */
export function usage(items: readonly string[]): string {
  return `npm run bench -- [options]: each item beside its baseline, by turns, in one run

  --only NAME[,NAME]   only the items whose names begin so
  --seconds N          about how long one leg lasts, default 3
  --rounds N           legs of each side, default 5
  --kills N            of the item failover, default 20
  --log-megabytes N    how much log the item restart has, default 1024
  --data-dir DIR       a directory on the disk to be measured, default: the temporary one
  --json               the results as one JSON object on stdout

${items.map((line) => `  ${line}\n`).join('')}`;
}

/** Reads the arguments; a string is what to tell the user instead. */
export function parseOptions(argv: readonly string[]): BenchOptions | string {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        only: { type: 'string', multiple: true, default: [] },
        seconds: { type: 'string', default: '3' },
        rounds: { type: 'string', default: '5' },
        kills: { type: 'string', default: '20' },
        'log-megabytes': { type: 'string', default: '1024' },
        'data-dir': { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    return `${error instanceof Error ? error.message : String(error)}\n`;
  }
  if (values.help) return '';
  const problems: string[] = [];
  const number = (name: string, given: string, min: number, max: number): number => {
    const value = Number(given);
    if (given !== '' && value >= min && value <= max) return value;
    problems.push(`--${name} must be a number in ${min}..${max}, not "${given}"\n`);
    return min;
  };
  const options: BenchOptions = {
    only: values.only.flatMap((list) => list.split(',')),
    seconds: number('seconds', values.seconds, 0.1, 600),
    rounds: Math.round(number('rounds', values.rounds, 1, 1000)),
    kills: Math.round(number('kills', values.kills, 1, 1000)),
    logMegabytes: Math.round(number('log-megabytes', values['log-megabytes'], 1, 10_000)),
    json: values.json,
    dataDir: values['data-dir'],
  };
  return problems.length === 0 ? options : problems.join('');
}
