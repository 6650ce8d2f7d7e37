/** What comes in a request of the admin API, checked: anything may come. */
import { WalrusError } from '../../../base/errors.ts';
import { nodeId } from '../../../base/units.ts';
import type { NodeId } from '../../../base/units.ts';
import type {
  BootstrapRequest,
  LeadershipRequest,
  VotersRequest,
} from '../../../protocol/admin/types.ts';
import { VOTER_COUNTS } from '../../state/handlers/clusterConfig.ts';

function malformed(message: string): WalrusError {
  return new WalrusError('MALFORMED', message);
}

/** A node id as it stands in a path. @throws {WalrusError} MALFORMED */
export function nodeIdOf(text: string): NodeId {
  const id = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(id) || id < 1) {
    throw malformed(`"${text}" is no node id: a number from 1 is wanted`);
  }
  return nodeId(id);
}

/** Of cluster and disk ids. */
const ID = /^[0-9a-f]{32}$/;

/** @throws {WalrusError} MALFORMED */
export function bootstrapRequestOf(body: unknown): BootstrapRequest {
  const wanted = '{"clusterId": 32 hex digits, "diskId": 32 hex digits}';
  const { clusterId, diskId } = fieldsOf(body, wanted);
  const isId = (value: unknown): value is string => typeof value === 'string' && ID.test(value);
  if (!isId(clusterId) || !isId(diskId)) throw malformed(`An id is missing or no id: ${wanted}`);
  return { clusterId, diskId };
}

function fieldsOf(body: unknown, wanted: string): Readonly<Record<string, unknown>> {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return { ...body };
  throw malformed(`The body must be JSON, of the type application/json: ${wanted}`);
}

/** @throws {WalrusError} MALFORMED */
export function leadershipRequestOf(body: unknown): LeadershipRequest {
  const wanted = '{"to": node id or null, "epoch": number}';
  const { to, ...rest } = fieldsOf(body, wanted);
  const epoch = epochOf(rest, wanted);
  if (to === null || to === undefined) return { to: null, epoch };
  if (typeof to !== 'number') throw malformed(`"to" is no node id: ${wanted}`);
  return { to: nodeIdOf(String(to)), epoch };
}

function epochOf({ epoch }: Readonly<Record<string, unknown>>, wanted: string): number {
  if (typeof epoch === 'number' && Number.isSafeInteger(epoch) && epoch >= 0) return epoch;
  throw malformed(`"epoch" is missing or no whole number: ${wanted}`);
}

/** @throws {WalrusError} MALFORMED */
export function votersRequestOf(body: unknown): VotersRequest {
  const wanted = '{"metadataVoters": 1, 3, 5 or 7, "epoch": number}';
  const { metadataVoters, ...rest } = fieldsOf(body, wanted);
  const epoch = epochOf(rest, wanted);
  const count = VOTER_COUNTS.find((each) => each === metadataVoters);
  if (count === undefined) throw malformed(`"metadataVoters" is no such number: ${wanted}`);
  return { metadataVoters: count, epoch };
}
