/**
 * TransferLeadership: the metadata is led by another node. Nothing changes when that node leads already.
 *
 * Request: optional u64 nodeId; absent = whoever is fit.
 * Response: u64 nodeId, who leads now.
 */
import type { NodeId } from '../../base/units.ts';
import type { Api } from './codec.ts';
import { readNodeId } from './codec.ts';

export interface TransferLeadershipRequest {
  readonly nodeId: NodeId | undefined;
}

export interface TransferLeadershipResponse {
  readonly nodeId: NodeId;
}

export const transferLeadership: Api<TransferLeadershipRequest, TransferLeadershipResponse> = {
  apiKey: 19,
  name: 'TransferLeadership',
  minVersion: 0,
  maxVersion: 0,
  writeRequest(writer, request) {
    writer.optional(request.nodeId, (w, id) => w.u64(id));
  },
  readRequest(reader) {
    return { nodeId: reader.optional(readNodeId) };
  },
  writeResponse(writer, response) {
    writer.u64(response.nodeId);
  },
  readResponse(reader) {
    return { nodeId: readNodeId(reader) };
  },
};
