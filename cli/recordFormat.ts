/** Turns record batches into the bytes that `consume` writes. */
import type { ConsumedBatch, PartitionPosition, RecordIterator } from '../client/index.ts';
import type { CommandContext } from './command.ts';
import { isGiven, textOf } from './command.ts';
import { delimiterBytes } from './values.ts';

export interface Formatted {
  /** Valid until the next batch is formatted. */
  readonly bytes: Uint8Array;
  readonly count: number;
  /** The record after the last one that is in `bytes`. */
  readonly nextOffset: PartitionPosition['offset'];
}

/** Formats at most `max` records of a batch. */
export type Formatter = (batch: ConsumedBatch, max: number) => Formatted;

/** Writes into a buffer that grows, and is used again for each batch. */
class Sink {
  bytes: Buffer = Buffer.alloc(0);
  length = 0;

  /** Begins anew, with about so much to come. */
  clear(sizeBytes: number): void {
    this.length = 0;
    if (this.bytes.length < sizeBytes) this.bytes = Buffer.allocUnsafeSlow(sizeBytes);
  }

  add(source: Uint8Array, start: number, length: number): void {
    if (this.length + length > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(2 * (this.length + length));
      this.bytes.copy(grown, 0, 0, this.length);
      this.bytes = grown;
    }
    const part = length === source.length ? source : source.subarray(start, start + length);
    this.bytes.set(part, this.length);
    this.length += length;
  }
}

/** The formatter that the flags ask for. */
export function formatterOf(context: CommandContext): Formatter {
  const format = context.output.isJson ? 'json' : (textOf(context, 'format') ?? 'value');
  const delimiter = delimiterBytes(textOf(context, 'delimiter') ?? '\\n');
  const separator = delimiterBytes(textOf(context, 'key-separator') ?? '\\t');
  const isBetween = isGiven(context, 'no-final-delimiter');
  const write = writerOf(format, separator);
  let isFirst = true;
  const sink = new Sink();
  return (batch, max) => {
    sink.clear(batch.sizeBytes + batch.recordsCount * delimiter.length);
    let count = 0;
    let { nextOffset } = batch;
    batch.forEach((record) => {
      if (count >= max) return;
      count += 1;
      nextOffset = (record.offset + 1) as typeof nextOffset;
      if (format !== 'raw' && isBetween && !isFirst) sink.add(delimiter, 0, delimiter.length);
      isFirst = false;
      write(sink, record, batch);
      if (format !== 'raw' && !isBetween) sink.add(delimiter, 0, delimiter.length);
    });
    if (count < max) ({ nextOffset } = batch);
    return { bytes: sink.bytes.subarray(0, sink.length), count, nextOffset };
  };
}

type WriteRecord = (sink: Sink, record: RecordIterator, batch: ConsumedBatch) => void;

function writerOf(format: string, separator: Uint8Array): WriteRecord {
  if (format === 'json') return writeJson;
  if (format === 'key-value') {
    return (sink, record) => {
      if (record.keyLength >= 0) {
        sink.add(record.bytes, record.keyStart, record.keyLength);
        sink.add(separator, 0, separator.length);
      }
      writeValue(sink, record);
    };
  }
  return writeValue;
}

function writeValue(sink: Sink, record: RecordIterator): void {
  if (record.valueLength > 0) sink.add(record.bytes, record.valueStart, record.valueLength);
}

function writeJson(sink: Sink, record: RecordIterator, batch: ConsumedBatch): void {
  const { offset, timestampMs } = record;
  const headers = record
    .headers()
    .map(({ key, value }) => ({ name: key, ...shown('value', value) }));
  const text = JSON.stringify({
    topic: batch.topic,
    partition: batch.partition,
    offset,
    timestamp: new Date(timestampMs).toISOString(),
    ...shown('key', record.key()),
    ...shown('value', record.value()),
    ...(headers.length === 0 ? {} : { headers }),
  });
  const bytes = Buffer.from(text);
  sink.add(bytes, 0, bytes.length);
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes as text, or as `keyBase64` when they are none. */
function shown(name: string, bytes: Uint8Array | null): Record<string, string | null> {
  if (bytes === null) return { [name]: null };
  try {
    return { [name]: UTF8.decode(bytes) };
  } catch {
    return { [`${name}Base64`]: Buffer.from(bytes).toString('base64') };
  }
}
