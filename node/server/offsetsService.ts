/** ListOffsets: the earliest offset, the end as the leader knows it, or the first batch of a time. */
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import { offset } from '../../base/units.ts';
import type { Offset } from '../../base/units.ts';
import { APIS } from '../../protocol/client/apis.ts';
import type { ListOffsetsRequest, ListOffsetsResponse } from '../../protocol/client/listOffsets.ts';
import { baseOffsetOf, batchSizeOf, maxTimestampOf } from '../../protocol/recordBatch.ts';
import { isMember } from '../state/queries.ts';
import type { SegmentRecord } from '../state/types.ts';
import type { LogReader } from './logReader.ts';
import type { Progress } from './progress.ts';
import type { Router } from './router.ts';
import type { ServerContext } from './serverContext.ts';

const ASK_TIMEOUT_MS = 1000;
const RETRY_MS = 25;
/** The longest that a question for the end waits for a leader: less than any client waits for its answer. */
const END_WAIT_MS = 1500;
/** Bytes of a copy elsewhere that are looked through at a time. */
const SCAN_BYTES = 1024 * 1024;

export interface OffsetServices {
  readonly context: ServerContext;
  readonly router: Router;
  readonly reader: LogReader;
  readonly progress: Progress;
}

export class OffsetsService {
  readonly #services: OffsetServices;

  constructor(services: OffsetServices) {
    this.#services = services;
    services.context.parts.rpc.handle(APIS.ListOffsets, (request) => this.#asLeader(request));
  }

  /** @throws {WalrusError} TOPIC_NOT_FOUND, PARTITION_NOT_FOUND, NOT_LEADER when none serves in time ... */
  async list(request: ListOffsetsRequest): Promise<ListOffsetsResponse> {
    const { logStartOffset } = await this.#services.router.findPartition(request);
    if (request.at.type === 'earliest') return { offset: logStartOffset };
    if (request.at.type === 'time') {
      const found = await this.#findTime(request, request.at.timestampMs);
      if (found !== null) return { offset: found };
    }
    return await this.#latest(request);
  }

  /** The end, from the leader: a copy may know of less. */
  async #latest(request: ListOffsetsRequest): Promise<ListOffsetsResponse> {
    const { clock, limits, parts } = this.#services.context;
    const latest: ListOffsetsRequest = { ...request, at: { type: 'latest' } };
    const deadlineMs = clock.monotonicMs() + Math.min(END_WAIT_MS, limits.requestTimeoutMs);
    for (;;) {
      try {
        const leadership = this.#services.router.leadership(request);
        if (leadership?.type !== 'There') return this.#asLeader(latest);
        const leftMs = Math.max(1, deadlineMs - clock.monotonicMs());
        const timeoutMs = Math.min(ASK_TIMEOUT_MS, leftMs);
        return await parts.rpc.call(leadership.address, APIS.ListOffsets, latest, timeoutMs);
      } catch (error) {
        if (!isWalrusError(error) || !error.retriable) throw error;
        if (clock.monotonicMs() + RETRY_MS >= deadlineMs) throw this.#endUnknown(request, error);
      }
      await new Promise<void>((resolve) => clock.setTimer(RETRY_MS, resolve));
    }
  }

  #endUnknown({ topic, partition }: ListOffsetsRequest, cause: WalrusError): WalrusError {
    const { session } = this.#services.context.parts;
    const what = `Cannot say where ${topic}/${partition} ends`;
    if (session.isFresh) {
      return new WalrusError('NOT_LEADER', `${what}: nobody leads it now`, { cause });
    }
    const why = 'this node has lost touch with the metadata leader';
    return new WalrusError('METADATA_UNAVAILABLE', `${what}: ${why}`, { cause });
  }

  #asLeader({ topic, partition }: ListOffsetsRequest): ListOffsetsResponse {
    const { router, context } = this.#services;
    const leadership = router.leadership({ topic, partition });
    if (leadership?.type !== 'Here' || !context.parts.segments.namesEnd(leadership.segment)) {
      throw new WalrusError('NOT_LEADER', `This node does not lead ${topic}/${partition} now`);
    }
    return { offset: context.parts.host.committedOffset(leadership.segment) };
  }

  /** null: no committed batch is of that time or later. */
  async #findTime(request: ListOffsetsRequest, timestampMs: number): Promise<Offset | null> {
    const { router } = this.#services;
    const { logStartOffset, segments } = await router.findPartition(request);
    for (const segmentId of segments) {
      const segment = router.metadata.segments.get(segmentId);
      if (segment === undefined || segment.endOffset === segment.baseOffset) continue;
      const found = await this.#findIn(segment, timestampMs);
      if (found !== null) return offset(Math.max(found, logStartOffset));
    }
    return null;
  }

  async #findIn(segment: SegmentRecord, timestampMs: number): Promise<Offset | null> {
    const { host, self } = this.#services.context.parts;
    const replica = host.replica(segment.segmentId);
    const end = segment.endOffset ?? host.committedOffset(segment);
    const isWhole = replica !== undefined && replica.damage === null && replica.tail >= end;
    if (isWhole && isMember(segment, self.diskId)) {
      const found = replica.findByTime(timestampMs);
      return found !== null && found < end ? found : null;
    }
    return segment.endOffset === null ? null : await this.#scan(segment, timestampMs);
  }

  /** A sealed segment that others have: looked through batch by batch. */
  async #scan(segment: SegmentRecord, timestampMs: number): Promise<Offset | null> {
    const end = segment.endOffset ?? segment.baseOffset;
    let from = segment.baseOffset;
    while (from < end) {
      const { bytes, nextOffset } = await this.#services.reader.readElsewhere(
        segment,
        from,
        SCAN_BYTES,
      );
      for (let at = 0; at < bytes.length; at += batchSizeOf(bytes, at)) {
        if (maxTimestampOf(bytes, at) >= timestampMs) return baseOffsetOf(bytes, at);
      }
      from = nextOffset;
    }
    return null;
  }
}
