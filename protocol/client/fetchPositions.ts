/**
 * FetchPositions: where a group goes on reading.
 *
 * Request: text group, optional list partitions (text topic, u32 partition); absent = all that the group has.
 * Response: u64 metadataEpoch, list positions (text topic, u32 partition, optional u64 offset; absent = never committed).
 */
import type { Offset } from '../../base/units.ts';
import type { Api } from './codec.ts';
import { readGroupName, readOffset, readTopicName } from './codec.ts';

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface FetchPositionsRequest {
  readonly group: string;
  /** undefined for all that the group has. */
  readonly partitions?: readonly TopicPartition[] | undefined;
}

export interface Position extends TopicPartition {
  /** The next record to read; undefined when the group has never committed one here. */
  readonly offset: Offset | undefined;
}

export interface FetchPositionsResponse {
  /** What the positions are as of: for `unchangedSince` of a commit. */
  readonly metadataEpoch: number;
  readonly positions: readonly Position[];
}

export const fetchPositions: Api<FetchPositionsRequest, FetchPositionsResponse> = {
  apiKey: 10,
  name: 'FetchPositions',
  minVersion: 1,
  maxVersion: 1,
  writeRequest(writer, request) {
    writer.text(request.group).optional(request.partitions, (w, partitions) => {
      w.list(partitions, (inner, item) => inner.text(item.topic).u32(item.partition));
    });
  },
  readRequest(reader) {
    return {
      group: readGroupName(reader),
      partitions: reader.optional((r) =>
        r.list((inner) => ({ topic: readTopicName(inner), partition: inner.u32() })),
      ),
    };
  },
  writeResponse(writer, response) {
    writer.u64(response.metadataEpoch).list(response.positions, (w, position) => {
      w.text(position.topic).u32(position.partition);
      w.optional(position.offset, (inner, offset) => inner.u64(offset));
    });
  },
  readResponse(reader) {
    return {
      metadataEpoch: reader.u64(),
      positions: reader.list((r) => ({
        topic: readTopicName(r),
        partition: r.u32(),
        offset: r.optional(readOffset),
      })),
    };
  },
};
