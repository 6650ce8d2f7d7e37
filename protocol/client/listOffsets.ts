/**
 * ListOffsets: the offset of a position in a partition.
 *
 * Request: text topic, u32 partition, u8 at (0 earliest, 1 latest, 2 time), with 2: u64 timestampMs.
 * Response: u64 offset. For a time: of the first batch with a record of that time or later; latest when none has.
 */
import type { ByteReader } from '../../base/bytes.ts';
import type { Offset } from '../../base/units.ts';
import type { Api } from './codec.ts';
import { readChoice, readOffset, readTopicName } from './codec.ts';

/** A position: the oldest record, the next one to be committed, or a time in ms since 1970. */
export type OffsetPosition =
  | { readonly type: 'earliest' }
  | { readonly type: 'latest' }
  | { readonly type: 'time'; readonly timestampMs: number };

const TYPES = ['earliest', 'latest', 'time'] as const;

export interface ListOffsetsRequest {
  readonly topic: string;
  readonly partition: number;
  readonly at: OffsetPosition;
}

export interface ListOffsetsResponse {
  readonly offset: Offset;
}

function readPosition(reader: ByteReader): OffsetPosition {
  const type = readChoice(reader, TYPES, 'a position');
  return type === 'time' ? { type, timestampMs: reader.u64() } : { type };
}

export const listOffsets: Api<ListOffsetsRequest, ListOffsetsResponse> = {
  apiKey: 8,
  name: 'ListOffsets',
  minVersion: 0,
  maxVersion: 0,
  writeRequest(writer, request) {
    const { at } = request;
    writer.text(request.topic).u32(request.partition).u8(TYPES.indexOf(at.type));
    if (at.type === 'time') writer.u64(at.timestampMs);
  },
  readRequest(reader) {
    return { topic: readTopicName(reader), partition: reader.u32(), at: readPosition(reader) };
  },
  writeResponse(writer, response) {
    writer.u64(response.offset);
  },
  readResponse(reader) {
    return { offset: readOffset(reader) };
  },
};
