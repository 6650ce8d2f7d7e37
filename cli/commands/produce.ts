/** `walrus produce`: lines of stdin or of files, or whole files, as records. */
import fs from 'node:fs';
import process from 'node:process';
import { setImmediate as turnOfEvents } from 'node:timers/promises';
import { messageOf } from '../../base/errors.ts';
import { WalrusError, isWalrusError } from '../../client/index.ts';
import type { Acks, Producer, ProducerCounts } from '../../client/index.ts';
import type { Command, CommandContext, Given } from '../command.ts';
import { argumentOf, integerOf, isGiven, textOf } from '../command.ts';
import { EXIT } from '../output.ts';
import { ProgressLine } from '../progress.ts';
import { RecordCutter } from '../recordCutter.ts';
import { UsageError } from '../usageError.ts';
import { untilAborted } from '../untilAborted.ts';
import { delimiterBytes } from '../values.ts';

const STDIN_FD = 0;
/** Standard input, where a file is expected. */
const STDIN_FILE = '-';
const CHUNK_BYTES = 256 * 1024;

export const produce: Command = {
  name: 'produce',
  endsBySignal: true,
  summary: 'Sends records to a topic: lines of standard input or of files.',
  args: [
    { name: 'TOPIC', description: 'the topic, which must exist' },
    {
      name: 'FILE',
      description: 'files to read instead of standard input; - is standard input',
      isOptional: true,
      isList: true,
    },
  ],
  flags: {
    delimiter: {
      kind: 'text',
      value: 'TEXT',
      description: 'What ends a record; \\n \\r \\t \\0 \\xNN are understood.',
      default: '\\n',
    },
    'key-separator': {
      kind: 'text',
      value: 'TEXT',
      description: 'What separates a key from its value; a record without it has no key.',
    },
    'keep-delimiter': {
      kind: 'switch',
      description: 'Leaves the delimiter in the records (see below).',
    },
    'whole-files': { kind: 'switch', description: 'Each file is one record.' },
    acks: {
      kind: 'text',
      value: 'WHO',
      description: 'Who must have stored a record.',
      choices: ['leader', 'quorum', 'all'],
      default: 'quorum',
    },
    partition: { kind: 'integer', value: 'N', description: 'Sends everything to this partition.' },
    'linger-ms': {
      kind: 'integer',
      value: 'MS',
      description: 'How long a batch waits for more records.',
      default: '5',
    },
    'delivery-timeout-ms': {
      kind: 'integer',
      value: 'MS',
      min: 1,
      description: 'How long a record is tried.',
      default: '120000',
    },
  },
  notes: [
    'Ctrl-C sends the records that are whole, waits until they are acknowledged, and ends with exit code 130. At the prompt of `walrus repl` a FILE is needed: what is typed there are commands.',
    'A record has at most what the nodes take: a little less than their `maxFrameBytes`, 1 MiB by default (`walrus node --max-frame-bytes`, up to 64 MiB; every node). A larger one is refused at once; the message then says how many records were acknowledged.',
    'What follows the last delimiter is a record of its own, unless it is empty. So `consume`, which writes a delimiter after every record, gives a file back byte for byte when it ends with the delimiter; with `consume --no-final-delimiter` when it does not.',
    'With `--keep-delimiter` here and `--format raw` there, every file comes back as it is. All this goes for topics of one partition: there is no order between partitions.',
  ],
  async run(context) {
    const topic = argumentOf(context, 0);
    checkInput(context);
    const client = await context.client();
    const partition = integerOf(context, 'partition');
    const producer = await client.producer({
      topic,
      acks: (textOf(context, 'acks') ?? 'quorum') as Acks,
      ...(partition === undefined ? {} : { partition }),
      lingerMs: integerOf(context, 'linger-ms') ?? 5,
      deliveryTimeoutMs: integerOf(context, 'delivery-timeout-ms') ?? 120_000,
    });
    const counts = (): { records: number; bytes: number } => ({
      records: producer.counts.acknowledgedRecords,
      bytes: producer.counts.acknowledgedBytes,
    });
    const progress = new ProgressLine(context.output.isJson, counts);
    const failure = await sendAndClose(context, producer);
    progress.end();
    if (failure !== null) throw withCounts(failure, producer.counts);
    const { records } = counts();
    if (context.output.isJson) context.output.result({ topic, records }, []);
    return context.signal.aborted ? EXIT.interrupted : EXIT.ok;
  },
};

/** @returns the first failure. What was taken before it is stored all the same, as far as that is possible. */
async function sendAndClose(context: CommandContext, producer: Producer): Promise<unknown> {
  let failure: unknown = null;
  for (const step of [() => sendAll(context, producer), () => producer.close()]) {
    try {
      await step();
    } catch (error) {
      failure ??= error;
    }
  }
  return failure;
}

function withCounts(failure: unknown, counts: ProducerCounts): unknown {
  if (!isWalrusError(failure)) return failure;
  const { acknowledgedRecords, failedRecords } = counts;
  const { code, message, cause } = failure;
  const details = { ...failure.details, acknowledgedRecords, failedRecords };
  const outcome =
    `${acknowledgedRecords} records are acknowledged, ${failedRecords} are not, and what follows them in the input ` +
    'was not sent';
  return new WalrusError(code, `${message}; ${outcome}`, { details, cause });
}

/** What says nothing about a file that is one record. */
const CUTTING_FLAGS = ['delimiter', 'keep-delimiter', 'key-separator'];

/** Before anything is sent. */
function checkInput(context: CommandContext): void {
  const files = context.args.slice(1);
  checkFiles(files);
  if (context.isAtPrompt && (files.length === 0 || files.includes(STDIN_FILE))) {
    throw new UsageError(
      'produce needs a FILE here: what is typed at the prompt are commands; put appends one record',
    );
  }
  if (!isGiven(context, 'whole-files')) return;
  if (files.length === 0) throw new UsageError('--whole-files needs at least one FILE');
  const unused = CUTTING_FLAGS.find((flag) => isGiven(context, flag));
  if (unused === undefined) return;
  throw new UsageError(`--${unused} has no meaning with --whole-files: leave one of them out`);
}

function checkFiles(files: readonly string[]): void {
  for (const file of files) {
    if (file === STDIN_FILE) continue;
    try {
      fs.accessSync(file, fs.constants.R_OK);
      if (!fs.statSync(file).isDirectory()) continue;
    } catch (error) {
      const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      const why = isMissing ? 'there is no such file' : messageOf(error);
      throw new UsageError(`Cannot read ${file}: ${why}`);
    }
    throw new UsageError(`Cannot read ${file}: it is a directory`);
  }
}

async function sendAll(context: CommandContext, producer: Producer): Promise<void> {
  const files = context.args.slice(1);
  if (isGiven(context, 'whole-files')) {
    for (const file of files) {
      const value = await wholeFile(file, context.signal);
      if (context.signal.aborted) return;
      await producer.sendValue(value);
    }
    return;
  }
  const send = senderOf(context, producer);
  const sources = files.length === 0 ? [STDIN_FILE] : files;
  for (const file of sources) {
    if (context.signal.aborted) return;
    const stream = file === STDIN_FILE ? standardInput() : chunksOf(file);
    await sendStream({ context, producer, send }, stream);
  }
}

async function wholeFile(file: string, signal: AbortSignal): Promise<Buffer> {
  if (file !== STDIN_FILE) return await fs.promises.readFile(file);
  const chunks: Buffer[] = [];
  for await (const chunk of untilAborted(standardInput(), signal)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

function standardInput(): AsyncIterable<Buffer> {
  return fs.fstatSync(STDIN_FD).isFile() ? regularFile(STDIN_FD) : process.stdin;
}

async function* chunksOf(file: string): AsyncGenerator<Buffer, void, undefined> {
  const fd = fs.openSync(file, 'r');
  if (!fs.fstatSync(fd).isFile()) {
    yield* fs.createReadStream(file, { fd });
    return;
  }
  try {
    yield* regularFile(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * The chunks of a regular file, all in one buffer: each is gone when the next one is asked for. The reads block: what
 * comes next is mostly in memory already, and to wake a thread for it would take longer.
 */
async function* regularFile(fd: number): AsyncGenerator<Buffer, void, undefined> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  for (;;) {
    const count = fs.readSync(fd, buffer, 0, CHUNK_BYTES, null);
    if (count === 0) return;
    yield buffer.subarray(0, count);
    await turnOfEvents(); // answers and signals come in between
  }
}

type SendRange = (bytes: Buffer, start: number, length: number) => Promise<void> | undefined;

function senderOf(given: Given, producer: Producer): SendRange {
  const separatorText = textOf(given, 'key-separator');
  if (separatorText === undefined) {
    return (bytes, start, length) => producer.sendRange(bytes, start, length);
  }
  const separator = delimiterBytes(separatorText);
  return (bytes, start, length) => {
    const record = bytes.subarray(start, start + length);
    const at = record.indexOf(separator);
    if (at < 0) return producer.sendValue(record);
    return producer.send({
      key: record.subarray(0, at),
      value: record.subarray(at + separator.length),
    });
  };
}

interface Sending {
  readonly context: CommandContext;
  readonly producer: Producer;
  readonly send: SendRange;
}

async function sendStream(sending: Sending, stream: AsyncIterable<Buffer>): Promise<void> {
  const { context: given, producer, send } = sending;
  const cutter = new RecordCutter({
    delimiter: delimiterBytes(textOf(given, 'delimiter') ?? '\\n'),
    keepsDelimiter: isGiven(given, 'keep-delimiter'),
    maxRecordBytes: producer.maxValueBytes,
  });
  for await (const chunk of untilAborted(stream, given.signal)) {
    cutter.push(chunk);
    while (cutter.next()) {
      const room = send(cutter.bytes, cutter.start, cutter.length);
      if (room !== undefined) await room;
    }
  }
  if (given.signal.aborted) return; // what is left may be the beginning of a record only
  if (cutter.last()) await send(cutter.bytes, cutter.start, cutter.length);
}
