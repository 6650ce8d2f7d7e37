/**
 * Fetch: committed record batches from several partitions; waits for some when there are none.
 *
 * Request: u32 maxWaitMs, u32 minBytes, u32 maxBytes, list partitions (text topic, u32 partition, u64 offset).
 * Response: list results, in the order of the request:
 *   u16 error number; when 0: u64 committedOffset, u64 logStartOffset, u64 nextOffset, u32 batchesBytes;
 *   else a failure (failure.ts); then, after the list, the batches of all results, one after the other.
 */
import type { ByteReader } from '../../base/bytes.ts';
import { WalrusError } from '../../base/errors.ts';
import type { Offset } from '../../base/units.ts';
import { NO_ERROR } from '../errorCodes.ts';
import { readFailureBody, writeFailure } from '../failure.ts';
import type { Api, BodyWriter } from './codec.ts';
import { readOffset, readTopicName } from './codec.ts';

export interface FetchPartition {
  readonly topic: string;
  readonly partition: number;
  /** The next record that is wanted. */
  readonly offset: Offset;
}

export interface FetchRequest {
  /** How long to wait for `minBytes`, in ms. */
  readonly maxWaitMs: number;
  readonly minBytes: number;
  /** About how much to answer with, in bytes; at least one batch comes when there is one. */
  readonly maxBytes: number;
  readonly partitions: readonly FetchPartition[];
}

export interface FetchedPartition {
  readonly committedOffset: Offset;
  readonly logStartOffset: Offset;
  /** What to ask for next: the offset after the last batch. */
  readonly nextOffset: Offset;
  /** Whole batches; the first may begin before the wanted offset. */
  readonly batches: Uint8Array;
}

/** A partition's records, or why there are none. */
export type FetchResult = FetchedPartition | WalrusError;

export interface FetchResponse {
  /** One for each partition of the request, in order. */
  readonly results: readonly FetchResult[];
}

function writeResult(writer: BodyWriter, result: FetchResult): void {
  if (result instanceof WalrusError) {
    writeFailure(writer, result);
    return;
  }
  writer.u16(NO_ERROR).u64(result.committedOffset).u64(result.logStartOffset);
  writer.u64(result.nextOffset).u32(result.batches.length);
  writer.appendTail(result.batches);
}

type ResultHead = WalrusError | (Omit<FetchedPartition, 'batches'> & { readonly length: number });

function readResultHead(reader: ByteReader): ResultHead {
  const number = reader.u16();
  if (number !== NO_ERROR) return readFailureBody(reader, number);
  return {
    committedOffset: readOffset(reader),
    logStartOffset: readOffset(reader),
    nextOffset: readOffset(reader),
    length: reader.u32(),
  };
}

function readResult(reader: ByteReader, head: ResultHead): FetchResult {
  if (head instanceof WalrusError) return head;
  const { length, ...rest } = head;
  return { ...rest, batches: reader.raw(length) };
}

export const fetch: Api<FetchRequest, FetchResponse> = {
  apiKey: 7,
  name: 'Fetch',
  minVersion: 0,
  maxVersion: 0,
  writeRequest(writer, request) {
    writer.u32(request.maxWaitMs).u32(request.minBytes).u32(request.maxBytes);
    writer.list(request.partitions, (w, item) =>
      w.text(item.topic).u32(item.partition).u64(item.offset),
    );
  },
  readRequest(reader) {
    return {
      maxWaitMs: reader.u32(),
      minBytes: reader.u32(),
      maxBytes: reader.u32(),
      partitions: reader.list((r) => ({
        topic: readTopicName(r),
        partition: r.u32(),
        offset: readOffset(r),
      })),
    };
  },
  writeResponse(writer, response) {
    writer.list(response.results, (_, result) => writeResult(writer, result));
  },
  readResponse(reader) {
    const heads = reader.list(readResultHead);
    return { results: heads.map((head) => readResult(reader, head)) };
  },
};
