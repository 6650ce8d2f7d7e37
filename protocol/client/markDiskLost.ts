/**
 * MarkDiskLost: gives a disk up for ever (DESIGN I3). Operators only. Refused while its node is alive on it.
 *
 * Request: text diskId, bool confirm.
 * Response: u64 nodeId, bool isLost (before the request), u32 segments, u32 blocked. Without `confirm` nothing is
 * done: the response says what would be.
 */
import type { NodeId } from '../../base/units.ts';
import type { Api } from './codec.ts';
import { readNodeId } from './codec.ts';

export interface MarkDiskLostRequest {
  /** 32 hex digits. */
  readonly diskId: string;
  /** false: only say what would be. */
  readonly confirm: boolean;
}

export interface MarkDiskLostResponse {
  /** Whose disk it is. */
  readonly nodeId: NodeId;
  /** It was lost already. */
  readonly isLost: boolean;
  /** Segments that lose a copy. */
  readonly segments: number;
  /** Of these, the ones whose copies left are too few: not without the disk, or with records given up. */
  readonly blocked: number;
}

export const markDiskLost: Api<MarkDiskLostRequest, MarkDiskLostResponse> = {
  apiKey: 18,
  name: 'MarkDiskLost',
  minVersion: 0,
  maxVersion: 0,
  writeRequest(writer, request) {
    writer.text(request.diskId).bool(request.confirm);
  },
  readRequest(reader) {
    return { diskId: reader.text(), confirm: reader.bool() };
  },
  writeResponse(writer, response) {
    writer.u64(response.nodeId).bool(response.isLost).u32(response.segments).u32(response.blocked);
  },
  readResponse(reader) {
    return {
      nodeId: readNodeId(reader),
      isLost: reader.bool(),
      segments: reader.u32(),
      blocked: reader.u32(),
    };
  },
};
