/**
 * What a new leader must know before it takes its first batch: the producers' state at its base offset, from the
 * partition's earlier segments. Without it a retry would be stored twice.
 */
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Offset } from '../../base/units.ts';
import { PRODUCER_SNAPSHOT, READ_SEGMENT } from '../../protocol/peer/replicas.ts';
import type { ReadSegmentResponse } from '../../protocol/peer/replicas.ts';
import { ProducerStates } from '../replication/producerStates.ts';
import type { ReplicaHost } from '../replication/replicaHost.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import { partitionRecord } from '../state/queries.ts';
import type { SegmentRecord } from '../state/types.ts';
import type { PeerRpc } from './types.ts';

const ASK_TIMEOUT_MS = 1000;
const READ_BYTES_MAX = 1024 * 1024;

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
    options.rpc.handle(PRODUCER_SNAPSHOT, async ({ segmentId, endOffset }) => {
      const segment = options.metadata().segments.get(segmentId);
      if (segment === undefined) {
        throw new WalrusError(
          'SEGMENT_NOT_FOUND',
          `This node does not know segment ${segmentId} yet`,
        );
      }
      return { snapshot: await options.host.producersAt(segment, endOffset) };
    });
  }

  /**
   * The state at a segment's base offset: from the newest earlier segment of which some copy knows it, and the
   * records since. A copy that a fence created does not know it (ADR 0111).
   * @throws {WalrusError} REPLICA_UNKNOWN when it cannot be known now: try again.
   */
  async load(segment: SegmentRecord): Promise<ProducerStates> {
    const unfolded: SegmentRecord[] = [];
    let states: ProducerStates | null = null;
    for (let at = segment; states === null;) {
      const previous = this.#predecessor(at);
      if (previous === undefined) {
        if (at.baseOffset > 0) throw unknownAt(segment); // deleted is not the same as never there
        states = new ProducerStates();
      } else {
        states = await this.#ask(previous);
        if (states === null) unfolded.push(previous);
        at = previous;
      }
    }
    for (const previous of unfolded.reverse()) await this.#fold(previous, states);
    return states;
  }

  /** Records the whole of a sealed segment, from whatever copy can be read. */
  async #fold(segment: SegmentRecord, states: ProducerStates): Promise<void> {
    const end = segment.endOffset ?? segment.baseOffset;
    let at = segment.baseOffset;
    while (at < end) {
      const { batches, nextOffset } = await this.#read(segment, at, end);
      states.recordAll(batches, at);
      at = nextOffset;
    }
  }

  async #read(segment: SegmentRecord, from: Offset, limit: Offset): Promise<ReadSegmentResponse> {
    const { segmentId } = segment;
    for (const { nodeId, diskId } of segment.ensemble) {
      const node = this.#options.metadata().nodes.get(nodeId);
      if (node?.diskId !== diskId) continue;
      const request = { segmentId, diskId, from, limit, maxBytes: READ_BYTES_MAX };
      try {
        const { rpc } = this.#options;
        const answer = await rpc.call(node.peerAddress, READ_SEGMENT, request, ASK_TIMEOUT_MS);
        if (answer.nextOffset > from) return answer;
      } catch (error) {
        if (!isWalrusError(error)) throw error;
        this.#options.logger.log('info', 'a copy cannot be read', {
          segmentId,
          nodeId,
          code: error.code,
        });
      }
    }
    throw unknownAt(segment);
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
      return ProducerStates.decode(await host.producersAt(segment, end));
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

function unknownAt(segment: SegmentRecord): WalrusError {
  const what = `the producers of ${segment.topic}/${segment.partition} at ${segment.baseOffset}`;
  return new WalrusError('REPLICA_UNKNOWN', `No copy can tell ${what} now`);
}
