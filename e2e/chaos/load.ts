/** All writers and the reader of one run. */
import { systemWorld } from '../../client/io/system.ts';
import type { Cluster } from './cluster.ts';
import { CursorReader, nameOf } from './cursorReader.ts';
import type { Ledger } from '../load/ledger.ts';
import { waitFor } from './wait.ts';
import { BinaryWriter, TextWriter } from '../load/writers.ts';

export const TOPICS = {
  binary: 'chaos-binary',
  text: 'chaos-text',
  stream: 'chaos-stream',
} as const;
export const TOPIC_NAMES: readonly string[] = Object.values(TOPICS);

const KIB = 1024;
const SMALL_BATCH_BYTES = 64 * KIB;
const STREAM_BATCH_BYTES = 256 * KIB;
/** How long writers may take to be served again after the last fault of a kind has healed. */
const SERVED_MS_MAX = 60_000;
/** How long what is under way may take at the end: more than the time that a producer tries. */
const DRAINED_MS_MAX = 150_000;

export class Load {
  readonly reader: CursorReader;
  readonly #writers: readonly (BinaryWriter | TextWriter)[];
  #running: Promise<unknown> = Promise.resolve();
  #reading: Promise<unknown> = Promise.resolve();

  constructor(cluster: Cluster, producersCount: number) {
    const home = (writer: number): string[] => rotated(cluster.addresses, writer);
    const writers: (BinaryWriter | TextWriter)[] = [];
    const world = systemWorld();
    const common = (topic: string) => {
      const writer = writers.length;
      return { writer, world, addresses: home(writer), topic };
    };
    for (let i = 0; i < producersCount; i += 1) {
      const limits = { recordBytesMax: KIB, perSecond: 1500, inFlightMax: 256 };
      const options = { ...common(TOPICS.binary), ...limits };
      writers.push(new BinaryWriter(options, 'binary', SMALL_BATCH_BYTES));
    }
    for (const inFlightMax of [1, 16]) {
      const limits = { recordBytesMax: KIB, perSecond: 200, inFlightMax };
      writers.push(new TextWriter({ ...common(TOPICS.text), ...limits }));
    }
    const limits = { recordBytesMax: 16 * KIB, perSecond: 500, inFlightMax: 512 };
    const stream = { ...common(TOPICS.stream), ...limits };
    writers.push(new BinaryWriter(stream, 'stream', STREAM_BATCH_BYTES));
    this.#writers = writers;
    this.reader = new CursorReader(home(1), TOPICS.text);
  }

  get ledgers(): Ledger[] {
    return this.#writers.map(({ ledger }) => ledger);
  }

  /** Whether a record was acknowledged, by its key. */
  isAcknowledged(key: number): boolean {
    const { writer, sequence } = nameOf(key);
    return this.#writers[writer]?.ledger.isAcknowledged(sequence) === true;
  }

  /** Why writers gave up. */
  get failures(): string[] {
    return this.#writers.flatMap(({ failure }) => failure ?? []);
  }

  get uncertainCount(): number {
    return this.#writers.reduce(
      (sum, writer) => sum + (writer instanceof TextWriter ? writer.uncertainCount : 0),
      0,
    );
  }

  start(): void {
    this.#running = Promise.all(this.#writers.map((writer) => writer.run()));
    this.#reading = this.reader.run();
  }

  /** Waits until every writer got an answer to something sent from now on. @throws {DeadlineError} */
  async waitUntilServed(): Promise<void> {
    const nowMs = performance.now();
    for (const { ledger } of this.#writers) {
      await waitFor(`writer ${ledger.writer} (${ledger.kind}) is served`, SERVED_MS_MAX, () => {
        return ledger.lastAckedSentMs > nowMs || this.failures.length > 0;
      });
    }
  }

  /** Ends the writers, then the reader once it has everything. @throws {DeadlineError} */
  async finish(): Promise<void> {
    for (const writer of this.#writers) writer.stop();
    await within('the writers end', this.#running);
    this.reader.drain();
    try {
      await within('the reader gets to the end', this.#reading);
    } finally {
      this.reader.stop();
    }
  }
}

async function within(what: string, work: Promise<unknown>): Promise<void> {
  let isDone = false;
  const ended = work.finally(() => {
    isDone = true;
  });
  ended.catch(() => undefined); // thrown below, once it is looked at
  await waitFor(what, DRAINED_MS_MAX, () => isDone);
  await ended;
}

function rotated<T>(items: readonly T[], by: number): T[] {
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}
