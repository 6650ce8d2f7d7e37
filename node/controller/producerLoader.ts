/**
 * What a new leader must know before it takes its first batch: the producers' state at its base offset, from the
 * partition's earlier segments. Without it a retry would be stored twice.
 */
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { PRODUCER_SNAPSHOT } from '../../protocol/peer/requests.ts';
import { ProducerStates } from '../replication/producerStates.ts';
import type { ReplicaHost } from '../replication/replicaHost.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import { partitionRecord } from '../state/queries.ts';
import type { SegmentRecord } from '../state/types.ts';
import type { PeerRpc } from './types.ts';

const ASK_TIMEOUT_MS = 1000;

export interface ProducerLoaderOptions {
  readonly host: ReplicaHost;
  readonly rpc: PeerRpc;
  readonly metadata: () => IndexedMetadata;
  readonly logger: Logger;
}

export class ProducerLoader {
  readonly #options: ProducerLoaderOptions;

  constructor(options: ProducerLoaderOptions) {
    this.#options = options;
    options.rpc.handle(PRODUCER_SNAPSHOT, ({ segmentId, endOffset }) => {
      const segment = options.metadata().segments.get(segmentId);
      if (segment === undefined) {
        throw new WalrusError(
          'SEGMENT_NOT_FOUND',
          `This node does not know segment ${segmentId} yet`,
        );
      }
      return { snapshot: options.host.producersAt(segment, endOffset).encode() };
    });
  }

  /**
   * The state at a segment's base offset.
   * @throws {WalrusError} REPLICA_UNKNOWN when no copy that can be reached knows it now: try again.
   */
  async load(segment: SegmentRecord): Promise<ProducerStates> {
    let successor = segment;
    for (;;) {
      const previous = this.#predecessor(successor);
      if (previous === undefined) return new ProducerStates();
      const states = await this.#ask(previous);
      if (states !== null) return states;
      // An empty segment may have been closed before any copy learned its state: it is its predecessor's.
      if (previous.endOffset !== previous.baseOffset) {
        const what = `the producers of ${segment.topic}/${segment.partition}`;
        throw new WalrusError(
          'REPLICA_UNKNOWN',
          `No copy can tell ${what} at ${segment.baseOffset} now`,
        );
      }
      successor = previous;
    }
  }

  #predecessor(segment: SegmentRecord): SegmentRecord | undefined {
    const metadata = this.#options.metadata();
    const ids = partitionRecord(metadata, segment.topic, segment.partition)?.segments ?? [];
    const at = ids.lastIndexOf(segment.segmentId); // the newest: found at once
    const id = at > 0 ? ids[at - 1] : undefined;
    return id === undefined ? undefined : metadata.segments.get(id);
  }

  async #ask(segment: SegmentRecord): Promise<ProducerStates | null> {
    const end = segment.endOffset ?? segment.baseOffset;
    const { host, rpc, logger } = this.#options;
    try {
      // A copy of its own: the other one goes on with the closed segment's log.
      return ProducerStates.decode(host.producersAt(segment, end).encode());
    } catch (error) {
      if (!isWalrusError(error)) throw error;
    }
    const request = { segmentId: segment.segmentId, endOffset: end };
    for (const place of segment.ensemble) {
      const address = this.#options.metadata().nodes.get(place.nodeId)?.peerAddress;
      if (address === undefined || place.diskId === host.diskId) continue;
      try {
        const { snapshot } = await rpc.call(address, PRODUCER_SNAPSHOT, request, ASK_TIMEOUT_MS);
        return ProducerStates.decode(snapshot);
      } catch (error) {
        if (!isWalrusError(error)) throw error;
        logger.log('info', 'a copy cannot tell its producers', {
          segmentId: segment.segmentId,
          nodeId: place.nodeId,
          code: error.code,
        });
      }
    }
    return null;
  }
}
