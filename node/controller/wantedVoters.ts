/** Changes how many voters the metadata are to have; the leader's passes then promote or demote, one at a time. */
import { WalrusError } from '../../base/errors.ts';
import { registeredPlaces } from '../state/queries.ts';
import type { MetadataService } from './types.ts';

/**
 * Sets the wanted number; a repeat changes nothing. Only on the metadata leader.
 * @param metadataVoters - 1, 3, 5 or 7, and no more than there are nodes.
 * @throws {WalrusError} INVALID_CONFIG, INVALID_MEMBERSHIP with too few nodes, METADATA_UNAVAILABLE, TIMED_OUT.
 */
export async function setWantedVoters(
  service: MetadataService,
  metadataVoters: number,
): Promise<void> {
  const { metadata } = service;
  if (metadata.config.metadataVoters === metadataVoters) return;
  const nodes = registeredPlaces(metadata).length;
  if (metadataVoters > nodes) {
    const why = `the cluster has ${nodes} nodes with a disk that is not lost`;
    throw new WalrusError(
      'INVALID_MEMBERSHIP',
      `Cannot have ${metadataVoters} metadata voters: ${why}`,
    );
  }
  const config = { ...metadata.config, metadataVoters };
  const result = await service.propose({ type: 'SetConfig', config });
  if (!result.ok) throw new WalrusError(result.code, result.message);
}
