/**
 * DeleteRecords: a partition begins later; what is before is gone for readers at once, and from the disks segment by
 * segment. A repeat, or an offset that is behind already, changes nothing.
 *
 * Request: text topic, u32 partition, u64 beforeOffset.
 * Response: u64 logStartOffset.
 */
import type { Offset } from '../../base/units.ts';
import type { Api } from './codec.ts';
import { readOffset, readTopicName } from './codec.ts';

export interface DeleteRecordsRequest {
  readonly topic: string;
  readonly partition: number;
  /** The first record that is kept; at most the end. */
  readonly beforeOffset: Offset;
}

export interface DeleteRecordsResponse {
  readonly logStartOffset: Offset;
}

export const deleteRecords: Api<DeleteRecordsRequest, DeleteRecordsResponse> = {
  apiKey: 17,
  name: 'DeleteRecords',
  minVersion: 0,
  maxVersion: 0,
  writeRequest(writer, request) {
    writer.text(request.topic).u32(request.partition).u64(request.beforeOffset);
  },
  readRequest(reader) {
    return {
      topic: readTopicName(reader),
      partition: reader.u32(),
      beforeOffset: readOffset(reader),
    };
  },
  writeResponse(writer, response) {
    writer.u64(response.logStartOffset);
  },
  readResponse(reader) {
    return { logStartOffset: readOffset(reader) };
  },
};
