/**
 * GetNext: the next record for a topic's shared cursor, which then stands after it: the text protocol's GET.
 *
 * Request: text topic.
 * Response: optional record (u32 partition, u64 offset, u32 value length), then the value's bytes.
 */
import type { Offset } from '../../base/units.ts';
import type { Api } from './codec.ts';
import { readOffset, readTopicName } from './codec.ts';

export interface GetNextRequest {
  readonly topic: string;
}

export interface NextRecord {
  readonly partition: number;
  readonly offset: Offset;
  readonly value: Uint8Array;
}

export interface GetNextResponse {
  /** undefined when the cursor stands at the end. */
  readonly record: NextRecord | undefined;
}

export const getNext: Api<GetNextRequest, GetNextResponse> = {
  apiKey: 16,
  name: 'GetNext',
  minVersion: 0,
  maxVersion: 0,
  writeRequest(writer, request) {
    writer.text(request.topic);
  },
  readRequest(reader) {
    return { topic: readTopicName(reader) };
  },
  writeResponse(writer, response) {
    const { record } = response;
    writer.bool(record !== undefined);
    if (record === undefined) return;
    writer.u32(record.partition).u64(record.offset).u32(record.value.length);
    writer.appendTail(record.value);
  },
  readResponse(reader) {
    const record = reader.optional((r) => ({
      partition: r.u32(),
      offset: readOffset(r),
      value: r.bytes(),
    }));
    return { record };
  },
};
