/**
 * DeleteRecords: lets a partition begin later. The metadata takes a start up to where the sealed segments end; for
 * an offset beyond, the open segment is closed first.
 */
import { WalrusError } from '../../base/errors.ts';
import type { Offset } from '../../base/units.ts';
import type {
  DeleteRecordsRequest,
  DeleteRecordsResponse,
} from '../../protocol/client/deleteRecords.ts';
import { ROLL_SEGMENT } from '../../protocol/peer/replicas.ts';
import { unsealedSegment } from '../state/queries.ts';
import type { SegmentRecord } from '../state/types.ts';
import type { OffsetServices, OffsetsService } from './offsetsService.ts';

const ROLL_TIMEOUT_MS = 1000;
/** Between two requests to close the segment. */
const RETRY_MS = 200;

export class RecordDeletion {
  readonly #services: OffsetServices;
  readonly #offsets: OffsetsService;

  constructor(services: OffsetServices, offsets: OffsetsService) {
    this.#services = services;
    this.#offsets = offsets;
  }

  /** @throws {WalrusError} TOPIC_NOT_FOUND, PARTITION_NOT_FOUND, OFFSET_OUT_OF_RANGE, METADATA_UNAVAILABLE, TIMED_OUT */
  async delete(request: DeleteRecordsRequest): Promise<DeleteRecordsResponse> {
    const { clock, limits } = this.#services.context;
    const deadlineMs = clock.monotonicMs() + limits.requestTimeoutMs;
    const { beforeOffset } = request;
    await this.#checkEnd(request);
    for (;;) {
      const { logStartOffset } = await this.#services.router.findPartition(request);
      if (beforeOffset <= logStartOffset) return { logStartOffset };
      const open = this.#openSegment(request);
      if (beforeOffset <= open.baseOffset) await this.#advance(request, open.topicId);
      else if (clock.monotonicMs() >= deadlineMs) throw notClosed(open);
      else await this.#close(open);
    }
  }

  async #checkEnd({ topic, partition, beforeOffset }: DeleteRecordsRequest): Promise<void> {
    const { logStartOffset } = await this.#services.router.findPartition({ topic, partition });
    if (beforeOffset <= logStartOffset) return; // nothing is asked of the leader
    const { offset: end } = await this.#offsets.list({ topic, partition, at: { type: 'latest' } });
    if (beforeOffset <= end) return;
    throw new WalrusError(
      'OFFSET_OUT_OF_RANGE',
      `Cannot delete the records of ${topic}/${partition} before ${beforeOffset}: it ends at ${end}`,
      { details: { topic, partition, logStartOffset, endOffset: end } },
    );
  }

  #openSegment({ topic, partition }: DeleteRecordsRequest): SegmentRecord {
    const segment = unsealedSegment(this.#services.router.metadata, topic, partition);
    if (segment !== undefined) return segment;
    throw new WalrusError('TOPIC_NOT_FOUND', `Topic ${topic} has been deleted`);
  }

  async #advance(request: DeleteRecordsRequest, topicId: number): Promise<void> {
    const { topic, partition, beforeOffset: logStartOffset } = request;
    const { metadata } = this.#services.context.parts;
    const result = await metadata.propose({
      type: 'AdvanceLogStart',
      topic,
      topicId,
      partition,
      logStartOffset,
    });
    // Somebody may have gone further meanwhile: the next look tells.
    if (result.ok || this.#startOf(request) >= logStartOffset) return;
    throw new WalrusError(result.code, result.message);
  }

  #startOf({ topic, partition }: DeleteRecordsRequest): Offset | -1 {
    const record = this.#services.router.metadata.topics.get(topic)?.partitions[partition];
    return record?.logStartOffset ?? -1;
  }

  /** Asks the leader to close its segment, and waits until the topic moves, or for a moment. */
  async #close(segment: SegmentRecord): Promise<void> {
    const { context, router, progress } = this.#services;
    const address = router.addressOf(segment.leader.nodeId);
    if (address !== null) {
      const request = { segmentId: segment.segmentId };
      context.parts.rpc
        .call(address, ROLL_SEGMENT, request, ROLL_TIMEOUT_MS)
        .catch((error: unknown) => {
          context.logger.log('info', 'cannot ask for a roll', { ...request, error: String(error) });
        });
    }
    await progress.moved(segment.topic, RETRY_MS, context.clock);
  }
}

function notClosed({ topic, partition }: SegmentRecord): WalrusError {
  const what = `the open segment of ${topic}/${partition} could not be closed in time`;
  return new WalrusError('TIMED_OUT', `Cannot delete records: ${what}`);
}
