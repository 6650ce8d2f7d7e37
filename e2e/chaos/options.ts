/** The command line of `npm run chaos`. */
import { parseArgs } from 'node:util';

export const SCENARIOS = ['faults', 'failover', 'file'] as const;
export type Scenario = (typeof SCENARIOS)[number];

export interface ChaosOptions {
  readonly scenario: Scenario;
  /** How long there is load, faults included. */
  readonly seconds: number;
  readonly seed: number;
  readonly nodes: number;
  /** Idempotent producers of small records; beside them there are text and streaming writers. */
  readonly producers: number;
  /** Where the nodes' data and logs go; undefined for a new directory that is removed after a success. */
  readonly dataDir: string | undefined;
  readonly maxSegmentEntries: number;
  /** Kills of a leader in the scenario `failover`. */
  readonly kills: number;
  /** The size of the file in the scenario `file`. */
  readonly megabytes: number;
  readonly json: boolean;
  readonly keep: boolean;
}

export const USAGE = `npm run chaos -- [options]: real processes, real faults, every acknowledged record read back

  --seconds N              how long, default 60
  --short                  the short form of continuous integration: 40 seconds
  --seed N                 the faults are drawn from it; default: the time
  --scenario NAME          faults (default), failover (kills leaders, measures), file (a file through walrus)
  --nodes N                3 or 5, default 3
  --producers N            idempotent producers, default 2
  --max-segment-entries N  default 2000, so that segments roll all the time
  --kills N                of --scenario failover, default 20
  --megabytes N            of --scenario file, default 100
  --data-dir DIR           where data and logs go, default: a new temporary directory
  --keep                   leaves data and logs where they are
  --json                   the report as one JSON object on stdout
`;

const SHORT_SECONDS = 40;
const SECONDS_MAX = 24 * 3600;

/** Reads the arguments; a string is what to tell the user instead. */
export function parseOptions(argv: readonly string[], nowMs: number): ChaosOptions | string {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        seconds: { type: 'string' },
        short: { type: 'boolean', default: false },
        seed: { type: 'string', default: String(Math.floor(nowMs) % 1_000_000) },
        scenario: { type: 'string', default: 'faults' },
        nodes: { type: 'string', default: '3' },
        producers: { type: 'string', default: '2' },
        'max-segment-entries': { type: 'string', default: '2000' },
        kills: { type: 'string', default: '20' },
        megabytes: { type: 'string', default: '100' },
        'data-dir': { type: 'string' },
        keep: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    return `${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`;
  }
  if (values.help) return USAGE;
  const scenario = SCENARIOS.find((name) => name === values.scenario);
  if (scenario === undefined) return `--scenario must be one of ${SCENARIOS.join(', ')}\n`;
  const problems: string[] = [];
  const whole = (name: string, given: string, min: number, max: number): number => {
    const value = Number(given);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    problems.push(`--${name} must be a whole number in ${min}..${max}, not "${given}"`);
    return min;
  };
  const seconds = values.seconds ?? String(values.short ? SHORT_SECONDS : 60);
  const options: ChaosOptions = {
    scenario,
    seconds: whole('seconds', seconds, 5, SECONDS_MAX),
    seed: whole('seed', values.seed, 0, 2 ** 32 - 1),
    nodes: whole('nodes', values.nodes, 3, 5),
    producers: whole('producers', values.producers, 1, 50),
    maxSegmentEntries: whole('max-segment-entries', values['max-segment-entries'], 10, 1e9),
    kills: whole('kills', values.kills, 1, 1000),
    megabytes: whole('megabytes', values.megabytes, 1, 10_000),
    dataDir: values['data-dir'],
    keep: values.keep,
    json: values.json,
  };
  return problems.length === 0 ? options : `${problems.join('\n')}\n`;
}
