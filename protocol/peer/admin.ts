/**
 * What the admin API (protocol/admin/types.ts) asks of the metadata leader, whichever node was asked by http. The
 * answers are JSON, as they go to the one who asked: a node passes on what a later version says, and need not know it.
 */
import type { NodeId } from '../../base/units.ts';
import type { ClusterStatus, Verdict, VotersRequest, VotersStatus } from '../admin/types.ts';
import { INTERNAL_API_KEY_MIN } from '../client/apis.ts';
import { readNodeId } from '../client/codec.ts';
import type { Api } from '../client/codec.ts';
import type { ByteReader } from '../../base/bytes.ts';
import { VERSIONS } from './rpc.ts';

/** The answer of another node, of this version or a later one. */
function readJson(reader: ByteReader): unknown {
  const text = reader.text();
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return reader.fail('an answer is no JSON');
  }
}

/** ClusterStatus: the cluster as a leader has it that a majority has just confirmed. Request: empty. */
export const CLUSTER_STATUS: Api<null, ClusterStatus> = {
  apiKey: INTERNAL_API_KEY_MIN + 15,
  name: 'ClusterStatus',
  ...VERSIONS,
  writeRequest: () => undefined,
  readRequest: () => null,
  writeResponse: (w, status) => w.text(JSON.stringify(status)),
  readResponse: (r) => readJson(r) as ClusterStatus,
};

/** CanRestart: whether a node may be restarted now. */
export interface CanRestartRequest {
  readonly nodeId: NodeId;
}

export const CAN_RESTART: Api<CanRestartRequest, Verdict> = {
  apiKey: INTERNAL_API_KEY_MIN + 16,
  name: 'CanRestart',
  ...VERSIONS,
  writeRequest: (w, request) => w.u64(request.nodeId),
  readRequest: (r) => ({ nodeId: readNodeId(r) }),
  writeResponse: (w, verdict) => w.text(JSON.stringify(verdict)),
  readResponse: (r) => readJson(r) as Verdict,
};

/** MoveLeadership: hands the metadata to another voter, if their epoch is still the one that was decided upon. */
export interface MoveLeadershipRequest {
  /** undefined: whichever voter is best. */
  readonly to: NodeId | undefined;
  readonly epoch: number;
}

export const MOVE_LEADERSHIP: Api<MoveLeadershipRequest, { readonly nodeId: NodeId }> = {
  apiKey: INTERNAL_API_KEY_MIN + 17,
  name: 'MoveLeadership',
  ...VERSIONS,
  writeRequest: (w, request) =>
    w.optional(request.to, (item, to) => item.u64(to)).u64(request.epoch),
  readRequest: (r) => ({ to: r.optional(readNodeId), epoch: r.u64() }),
  writeResponse: (w, response) => w.u64(response.nodeId),
  readResponse: (r) => ({ nodeId: readNodeId(r) }),
};

/** SetVoters: how many voters the metadata are to have, if their epoch is still the one that was decided upon. */
export const SET_VOTERS: Api<VotersRequest, VotersStatus> = {
  apiKey: INTERNAL_API_KEY_MIN + 19,
  name: 'SetVoters',
  ...VERSIONS,
  writeRequest: (w, request) => w.u64(request.metadataVoters).u64(request.epoch),
  readRequest: (r) => ({ metadataVoters: r.u64(), epoch: r.u64() }),
  writeResponse: (w, status) => w.u64(status.metadataVoters).u64(status.voters),
  readResponse: (r) => ({ metadataVoters: r.u64(), voters: r.u64() }),
};
