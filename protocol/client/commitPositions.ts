/**
 * CommitPositions: where a group goes on reading. All positions are set, or none (CONFLICT).
 *
 * Request: text group, list positions (text topic, u32 partition, u64 offset, optional u64 expected).
 * Response: no fields.
 */
import type { Offset } from '../../base/units.ts';
import type { Api, Empty } from './codec.ts';
import { readEmpty, readGroupName, readOffset, readTopicName, writeEmpty } from './codec.ts';

export interface NewPosition {
  readonly topic: string;
  readonly partition: number;
  /** The next record to read. */
  readonly offset: Offset;
  /** Set only while the position is still this one. */
  readonly expected?: Offset | undefined;
}

export interface CommitPositionsRequest {
  readonly group: string;
  readonly positions: readonly NewPosition[];
}

export const commitPositions: Api<CommitPositionsRequest, Empty> = {
  apiKey: 9,
  name: 'CommitPositions',
  minVersion: 0,
  maxVersion: 0,
  writeRequest(writer, request) {
    writer.text(request.group).list(request.positions, (w, position) => {
      w.text(position.topic).u32(position.partition).u64(position.offset);
      w.optional(position.expected, (inner, expected) => inner.u64(expected));
    });
  },
  readRequest(reader) {
    return {
      group: readGroupName(reader),
      positions: reader.list((r) => ({
        topic: readTopicName(r),
        partition: r.u32(),
        offset: readOffset(r),
        expected: r.optional(readOffset),
      })),
    };
  },
  writeResponse: writeEmpty,
  readResponse: readEmpty,
};
