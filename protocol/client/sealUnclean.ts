/**
 * SealUnclean: gives up what the reachable copies of a segment do not hold (DESIGN S4). Operators only.
 *
 * Request: u64 segmentId, optional u64 confirmedEnd.
 * Response: u64 endOffset, optional lossy (u64 from, u64 to). Without `confirmedEnd` nothing is done: the response
 * says where the segment would end and what would be lost. With it the segment is sealed, if that is still its end.
 */
import type { Offset, SegmentId } from '../../base/units.ts';
import type { Api } from './codec.ts';
import { readOffset, readSegmentId } from './codec.ts';
import type { LossyDescription } from './describeTopic.ts';
import { readLossy } from './describeTopic.ts';

export interface SealUncleanRequest {
  readonly segmentId: SegmentId;
  /** The end that an earlier answer named; undefined: only say what would be lost. */
  readonly confirmedEnd: Offset | undefined;
}

export interface SealUncleanResponse {
  readonly endOffset: Offset;
  /** The acknowledged records that are, or would be, given up; undefined for none. */
  readonly lossy: LossyDescription | undefined;
}

export const sealUnclean: Api<SealUncleanRequest, SealUncleanResponse> = {
  apiKey: 15,
  name: 'SealUnclean',
  minVersion: 0,
  maxVersion: 0,
  writeRequest(writer, request) {
    writer.u64(request.segmentId).optional(request.confirmedEnd, (w, end) => w.u64(end));
  },
  readRequest(reader) {
    return { segmentId: readSegmentId(reader), confirmedEnd: reader.optional(readOffset) };
  },
  writeResponse(writer, response) {
    writer.u64(response.endOffset);
    writer.optional(response.lossy, (w, lossy) => w.u64(lossy.from).u64(lossy.to));
  },
  readResponse(reader) {
    return { endOffset: readOffset(reader), lossy: reader.optional(readLossy) };
  },
};
