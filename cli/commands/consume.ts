/** `walrus consume`: records of a topic to standard output. */
import process from 'node:process';
import type { ConsumedBatch, Consumer, PartitionPosition } from '../../client/index.ts';
import type { Command, CommandContext } from '../command.ts';
import { argumentOf, integerOf, isGiven, textOf } from '../command.ts';
import { EXIT } from '../output.ts';
import { ProgressLine } from '../progress.ts';
import { formatterOf } from '../recordFormat.ts';
import type { Formatter } from '../recordFormat.ts';
import { UsageError } from '../usageError.ts';
import { startPosition } from '../values.ts';

const COMMIT_INTERVAL_MS = 1000;

export const consume: Command = {
  name: 'consume',
  endsBySignal: true,
  summary: 'Writes the records of a topic to standard output.',
  args: [{ name: 'TOPIC', description: 'the topic' }],
  hints: { OFFSET_OUT_OF_RANGE: 'give --from earliest to begin at the oldest record' },
  flags: {
    from: {
      kind: 'text',
      value: 'POSITION',
      description:
        'Where to begin: earliest, latest, an offset, a time (2026-01-31T12:00:00Z) or an age (-10m).',
      default: 'earliest',
    },
    follow: {
      kind: 'switch',
      description: 'Waits for new records instead of ending at the last one.',
    },
    max: { kind: 'integer', value: 'N', description: 'Ends after so many records.' },
    group: {
      kind: 'text',
      value: 'NAME',
      description: 'Goes on where this group stopped, and moves its position.',
    },
    partition: { kind: 'list', value: 'N[,N]', description: 'Only these partitions.' },
    format: {
      kind: 'text',
      value: 'FORMAT',
      description: 'What is written of a record; raw: the value without a delimiter.',
      choices: ['value', 'key-value', 'json', 'raw'],
      default: 'value',
    },
    delimiter: {
      kind: 'text',
      value: 'TEXT',
      description: 'Written after every record.',
      default: '\\n',
    },
    'no-final-delimiter': {
      kind: 'switch',
      description: 'Writes the delimiter between records only.',
    },
    'key-separator': {
      kind: 'text',
      value: 'TEXT',
      description: 'Written between key and value.',
      default: '\\t',
    },
  },
  notes: ['With `--follow` there is no end but Ctrl-C: the exit code is 0 then.'],
  async run(context) {
    checkFormat(context);
    const client = await context.client();
    const group = textOf(context, 'group');
    const partitions = context.flags.get('partition')?.map(partitionNumber);
    const consumer = await client.consumer({
      topic: argumentOf(context, 0),
      from: startPosition(textOf(context, 'from') ?? 'earliest', Date.now()),
      until: isGiven(context, 'follow') ? 'never' : 'latest',
      ...(group === undefined ? {} : { group }),
      ...(partitions === undefined ? {} : { partitions }),
    });
    context.signal.addEventListener('abort', () => consumer.abort());
    await new Consumption(context, consumer).run();
    return context.signal.aborted && !isGiven(context, 'follow') ? EXIT.interrupted : EXIT.ok;
  },
};

/** Flags that say nothing in the chosen format are mistakes. */
function checkFormat(context: CommandContext): void {
  const format = textOf(context, 'format') ?? (context.output.isJson ? 'json' : 'value');
  const isKeyShown = format === 'key-value';
  const unused = (format === 'raw' ? ['delimiter', 'no-final-delimiter'] : []).concat(
    isKeyShown ? [] : ['key-separator'],
  );
  const given = unused.find((flag) => isGiven(context, flag));
  if (given === undefined) return;
  throw new UsageError(`--${given} has no meaning with --format ${format}: leave one of them out`);
}

function partitionNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--partition takes numbers, not "${text}"`);
  return Number(text);
}

class Consumption {
  readonly #consumer: Consumer;
  readonly #format: Formatter;
  readonly #hasGroup: boolean;
  readonly #progress: ProgressLine;
  readonly #written = new Map<number, PartitionPosition>();
  #left: number;
  #records = 0;
  #bytes = 0;
  #committedMs = performance.now();

  constructor(context: CommandContext, consumer: Consumer) {
    this.#consumer = consumer;
    this.#format = formatterOf(context);
    this.#hasGroup = isGiven(context, 'group');
    this.#left = integerOf(context, 'max') ?? Infinity;
    const isQuiet = context.output.isJson || process.stdout.isTTY;
    this.#progress = new ProgressLine(isQuiet, () => ({
      records: this.#records,
      bytes: this.#bytes,
    }));
  }

  async run(): Promise<void> {
    try {
      if (this.#left > 0) await this.#writeAll();
      await this.#commit(0);
    } finally {
      this.#consumer.abort();
      this.#progress.end();
    }
  }

  async #writeAll(): Promise<void> {
    for await (const batch of this.#consumer.batches()) {
      const { bytes, count, nextOffset } = this.#format(batch, this.#left);
      this.#records += count;
      this.#bytes += bytes.length;
      this.#left -= count;
      await writeOut(bytes);
      this.#note(batch, nextOffset);
      await this.#commit(COMMIT_INTERVAL_MS);
      if (this.#left <= 0) return;
    }
  }

  #note({ partition }: ConsumedBatch, nextOffset: PartitionPosition['offset']): void {
    this.#written.set(partition, { partition, offset: nextOffset });
  }

  /** Moves the group behind what is written. */
  async #commit(intervalMs: number): Promise<void> {
    const nowMs = performance.now();
    if (!this.#hasGroup || this.#written.size === 0 || nowMs - this.#committedMs < intervalMs)
      return;
    this.#committedMs = nowMs;
    await this.#consumer.commit([...this.#written.values()]);
    this.#written.clear();
  }
}

/** Resolves when the bytes may change. A failure is the process's (main.ts). */
function writeOut(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    if (bytes.length === 0) resolve();
    else process.stdout.write(bytes, () => resolve());
  });
}
