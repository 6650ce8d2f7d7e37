/** Changes how many voters the metadata are to have; the leader's passes then promote or demote, one at a time. */
import { WalrusError } from '../../base/errors.ts';
import { registeredPlaces } from '../state/queries.ts';
import type { MetadataService } from './types.ts';

/**
 * Sets the wanted number; a repeat changes nothing. Only on the metadata leader.
 * @param metadataVoters - 1, 3, 5 or 7, and no more than there are nodes.
 * @throws {WalrusError} INVALID_MEMBERSHIP with too few nodes, NOT_LEADER, TIMED_OUT (outcome unknown), and INVALID_CONFIG.
 */
export async function setWantedVoters(
  service: MetadataService,
  metadataVoters: number,
): Promise<void> {
  const { metadata } = service;
  if (metadata.config.metadataVoters === metadataVoters) return;
  const nodes = registeredPlaces(metadata).length;
  if (metadataVoters > nodes) {
    const why = `the cluster has ${nodes} ${nodes === 1 ? 'node' : 'nodes'} with a disk that is not lost`;
    throw new WalrusError(
      'INVALID_MEMBERSHIP',
      `Cannot have ${metadataVoters} metadata voters: ${why}`,
    );
  }
  const config = { ...metadata.config, metadataVoters };
  await service.asLeader()({ type: 'SetConfig', config });
}
