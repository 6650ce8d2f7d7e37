/**
 * CommitPositions: where a group goes on reading. All positions are set, or none (CONFLICT).
 *
 * Request: text group, optional u64 unchangedSince, list positions (text topic, u32 partition, u64 offset).
 * Response: u64 metadataEpoch. A CONFLICT has it in its details.
 */
import type { Offset } from '../../base/units.ts';
import type { Api } from './codec.ts';
import { readGroupName, readOffset, readTopicName } from './codec.ts';

export interface NewPosition {
  readonly topic: string;
  readonly partition: number;
  /** The next record to read. */
  readonly offset: Offset;
}

export interface CommitPositionsRequest {
  readonly group: string;
  /**
   * The metadata epoch of what the caller knows, from an earlier answer: each position is set only if it has not changed
   * after it, or is already what is wanted. undefined: whatever it is now.
   */
  readonly unchangedSince?: number | undefined;
  readonly positions: readonly NewPosition[];
}

export interface CommitPositionsResponse {
  /** What the positions are as of. */
  readonly metadataEpoch: number;
}

export const commitPositions: Api<CommitPositionsRequest, CommitPositionsResponse> = {
  apiKey: 9,
  name: 'CommitPositions',
  minVersion: 1,
  maxVersion: 1,
  writeRequest(writer, request) {
    writer.text(request.group).optional(request.unchangedSince, (w, epoch) => w.u64(epoch));
    writer.list(request.positions, (w, position) => {
      w.text(position.topic).u32(position.partition).u64(position.offset);
    });
  },
  readRequest(reader) {
    return {
      group: readGroupName(reader),
      unchangedSince: reader.optional((r) => r.u64()),
      positions: reader.list((r) => ({
        topic: readTopicName(r),
        partition: r.u32(),
        offset: readOffset(r),
      })),
    };
  },
  writeResponse: (writer, { metadataEpoch }) => void writer.u64(metadataEpoch),
  readResponse: (reader) => ({ metadataEpoch: reader.u64() }),
};
