/** All requests of the binary client protocol in one place. Keys are never reused. */
import { WalrusError } from '../../base/errors.ts';
import type { AnyApi } from './codec.ts';
import { commitPositions } from './commitPositions.ts';
import { createTopic } from './createTopic.ts';
import { deleteGroup } from './deleteGroup.ts';
import { deleteRecords } from './deleteRecords.ts';
import { deleteTopic } from './deleteTopic.ts';
import { describeCluster } from './describeCluster.ts';
import { describeTopic } from './describeTopic.ts';
import { fetch } from './fetch.ts';
import { fetchPositions } from './fetchPositions.ts';
import { getNext } from './getNext.ts';
import type { ApiVersions } from './handshake.ts';
import { handshake } from './handshake.ts';
import { initProducer } from './initProducer.ts';
import { listGroups } from './listGroups.ts';
import { listOffsets } from './listOffsets.ts';
import { markDiskLost } from './markDiskLost.ts';
import { metadata } from './metadata.ts';
import { produce } from './produce.ts';
import { sealUnclean } from './sealUnclean.ts';
import { transferLeadership } from './transferLeadership.ts';

/** Every api by its name. */
export const APIS = {
  Handshake: handshake,
  Metadata: metadata,
  CreateTopic: createTopic,
  DeleteTopic: deleteTopic,
  InitProducer: initProducer,
  Produce: produce,
  Fetch: fetch,
  ListOffsets: listOffsets,
  CommitPositions: commitPositions,
  FetchPositions: fetchPositions,
  DeleteGroup: deleteGroup,
  ListGroups: listGroups,
  DescribeTopic: describeTopic,
  DescribeCluster: describeCluster,
  SealUnclean: sealUnclean,
  GetNext: getNext,
  DeleteRecords: deleteRecords,
  MarkDiskLost: markDiskLost,
  TransferLeadership: transferLeadership,
} as const;

export type ApiName = keyof typeof APIS;
/** Keys from here on are for requests between nodes (protocol/peer), never for clients. */
export const INTERNAL_API_KEY_MIN = 1000;

const NAMES = new Map<number, ApiName>(
  Object.entries(APIS).map(([name, api]) => [api.apiKey, name as ApiName]),
);

/** The name of the api with a key; undefined when there is none. */
export function apiNameOf(apiKey: number): ApiName | undefined {
  return NAMES.get(apiKey);
}

/** What this build speaks, for the handshake, in the order of the keys. */
export function spokenVersions(): ApiVersions[] {
  return Object.values(APIS).map(({ apiKey, minVersion, maxVersion }) => ({
    apiKey,
    minVersion,
    maxVersion,
  }));
}

/**
 * Checks that a version of an api is spoken here.
 * @throws {WalrusError} UNSUPPORTED_VERSION, naming the versions that are.
 */
export function checkVersion(api: AnyApi, version: number): void {
  const { name, apiKey, minVersion, maxVersion } = api;
  if (version >= minVersion && version <= maxVersion) return;
  throw new WalrusError(
    'UNSUPPORTED_VERSION',
    `Cannot serve ${name} in version ${version}: this node speaks ${minVersion} to ${maxVersion}`,
    { details: { apiKey, minVersion, maxVersion } },
  );
}
