/**
 * Recovery of one segment whose leader is gone (DESIGN R1-R6), run by the Raft leader.
 *
 *   BeginRecovery(e)  ->  fence the members  ->  F answers: the end is the highest tail
 *     ->  copy up to the end until W disks hold it durably  ->  SealAndOpen in one command
 *
 * Nothing here is remembered: any step may be repeated by another Raft leader with a higher epoch, which fences
 * this one out. An answer counts as evidence only from a member disk that the metadata names, fenced with this
 * epoch; everything else is UNKNOWN, and with fewer than F answers the recovery waits.
 */
import type { Clock } from '../../base/clock.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { offset } from '../../base/units.ts';
import type { Offset } from '../../base/units.ts';
import { COPY_SEGMENT, FENCE_SEGMENT, READ_SEGMENT } from '../../protocol/peer/requests.ts';
import type { FenceSegmentResponse } from '../../protocol/peer/requests.ts';
import type { OpenPlan } from '../state/commands.ts';
import type { LossyRange, ReplicaPlace, SegmentRecord } from '../state/types.ts';
import type { MetadataService, PeerRpc } from './types.ts';

const FENCE_TIMEOUT_MS = 1000;
/** After F answers, how long the other members may still answer: each one spares a copy. */
export const FENCE_GRACE_MS = 50;
const COPY_TIMEOUT_MS = 10_000;
/** Records that may be under way beyond a full segment: more than any bound on batches in flight lets through. */
const UNDER_WAY_COUNT_MAX = 2 ** 32;
/** Bytes of one copied piece. */
const COPY_BYTES_MAX = 1024 * 1024;

export interface RecoveryOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rpc: PeerRpc;
  readonly metadata: MetadataService;
  /** Places for the successor. @throws {WalrusError} NOT_ENOUGH_REPLICAS */
  planNext(segment: SegmentRecord): OpenPlan;
  /** Healthy disks that hold nothing of the segment, best first: for copies when members are missing (R5). */
  freshPlaces(segment: SegmentRecord): readonly ReplicaPlace[];
}

/** A member's answer to the fence. */
interface Evidence {
  readonly place: ReplicaPlace;
  readonly tail: Offset;
  readonly digest: string;
}

/** Where an unclean seal ends, and what it gives up. */
export interface UncleanEnd {
  readonly endOffset: Offset;
  readonly lossy: LossyRange | null;
}

/** F = n - W + 1: with so many answers, one of them is of a disk that held whatever was acknowledged. */
function evidenceNeeded(segment: SegmentRecord): number {
  return segment.ensemble.length - segment.ackQuorum + 1;
}

/** R4: the answer with the highest tail. */
function highest(evidence: readonly Evidence[]): Evidence {
  return evidence.reduce((best, next) => (next.tail > best.tail ? next : best));
}

export class Recovery {
  readonly #options: RecoveryOptions;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /**
   * Recovers a segment to its seal.
   * @throws {WalrusError} CONFLICT when another recovery or the leader's close came first; REPLICA_UNKNOWN while
   *   fewer than F members answer; NOT_ENOUGH_REPLICAS while fewer than W disks can take the copy.
   */
  async run(found: SegmentRecord): Promise<void> {
    const segment = await this.#begin(found);
    const evidence = await this.#fence(segment, evidenceNeeded(segment));
    await this.#seal(segment, evidence, null);
  }

  /**
   * S4, on an operator's word: seals a segment with whatever members answer, one at least, and marks what may be
   * missing as lost. Its successor begins above every offset that may have been handed out.
   * @param hasConfirmed - false: only says what would be lost.
   * @throws {WalrusError} CONFLICT unless its recovery waits; REPLICA_UNKNOWN when no member answers at all.
   */
  async runUnclean(found: SegmentRecord, hasConfirmed: boolean): Promise<UncleanEnd> {
    if (found.state !== 'RECOVERING') {
      const why = `it is ${found.state}, and not waiting for its recovery`;
      throw new WalrusError('CONFLICT', `Cannot seal segment ${found.segmentId} unclean: ${why}`);
    }
    const segment = hasConfirmed ? await this.#begin(found) : found;
    const evidence = await this.#fence(segment, 1);
    const { tail } = highest(evidence);
    const isWhole = evidence.length >= evidenceNeeded(segment);
    const lossy = isWhole ? null : { from: tail, to: this.#aboveHandedOut(segment, tail) };
    if (hasConfirmed) await this.#seal(segment, evidence, lossy);
    return { endOffset: tail, lossy };
  }

  /** No leader hands out more than a full segment and what is under way. */
  #aboveHandedOut(segment: SegmentRecord, tail: Offset): Offset {
    const { maxSegmentEntries } = this.#options.metadata.metadata.config;
    return offset(Math.max(tail, segment.baseOffset + maxSegmentEntries) + UNDER_WAY_COUNT_MAX);
  }

  /** R1 */
  async #begin(found: SegmentRecord): Promise<SegmentRecord> {
    const epoch = found.epoch + 1;
    const { segmentId } = found;
    await this.#propose({ type: 'BeginRecovery', segmentId, epoch });
    const segment = this.#options.metadata.metadata.segments.get(segmentId);
    if (segment?.state !== 'RECOVERING' || segment.epoch !== epoch) {
      throw new WalrusError('CONFLICT', `Segment ${segmentId} is being recovered by another one`);
    }
    return segment;
  }

  /** R4-R6 */
  async #seal(
    segment: SegmentRecord,
    evidence: readonly Evidence[],
    lossy: LossyRange | null,
  ): Promise<void> {
    const { segmentId, epoch } = segment;
    const source = highest(evidence);
    const replicas = await this.#copy(segment, evidence, source);
    await this.#propose({
      type: 'SealAndOpen',
      segmentId,
      expected: { state: 'RECOVERING', epoch },
      endOffset: source.tail,
      digest: source.digest,
      replicas,
      lossy,
      next: this.#options.planNext(segment),
      nowMs: this.#options.clock.wallMs(),
    });
    const level = lossy === null ? 'info' : 'error';
    this.#options.logger.log(level, 'recovered a segment', {
      segmentId,
      epoch,
      endOffset: source.tail,
      lostFrom: lossy?.from,
      lostTo: lossy?.to,
    });
  }

  async #propose(command: Parameters<MetadataService['propose']>[0]): Promise<void> {
    const result = await this.#options.metadata.propose(command);
    if (!result.ok) throw new WalrusError(result.code, result.message);
  }

  /** R2, R3: fences every member; resolves with `needed` answers or more. */
  #fence(segment: SegmentRecord, needed: number): Promise<readonly Evidence[]> {
    return new Promise((resolve, reject) => {
      const evidence: Evidence[] = [];
      let settled = 0;
      const finish = (): void => {
        if (evidence.length >= needed) resolve(evidence);
        else {
          const have = `${evidence.length} of the ${needed} members that it needs answer`;
          reject(
            new WalrusError(
              'REPLICA_UNKNOWN',
              `Cannot recover segment ${segment.segmentId}: ${have}`,
            ),
          );
        }
      };
      const took = (): void => {
        settled += 1;
        if (settled === segment.ensemble.length) finish();
        else if (evidence.length === needed) this.#options.clock.setTimer(FENCE_GRACE_MS, finish);
      };
      for (const place of segment.ensemble) {
        void this.#fenceOne(segment, place).then((answer) => {
          if (answer !== null) evidence.push(answer);
          took();
        });
      }
    });
  }

  /** null: UNKNOWN. */
  async #fenceOne(segment: SegmentRecord, place: ReplicaPlace): Promise<Evidence | null> {
    const { segmentId, token, epoch } = segment;
    const address = this.#addressOf(place);
    if (address === null) return null;
    try {
      const request = { segmentId, token, epoch, diskId: place.diskId };
      const answer: FenceSegmentResponse = await this.#options.rpc.call(
        address,
        FENCE_SEGMENT,
        request,
        FENCE_TIMEOUT_MS,
      );
      if (answer.diskId !== place.diskId) return null;
      return { place, tail: answer.tail, digest: answer.digest };
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      const { nodeId } = place;
      this.#options.logger.log('warn', 'a member is no evidence', {
        segmentId,
        nodeId,
        code: error.code,
      });
      return null;
    }
  }

  /** A place's peer address; null when the disk is lost or another one is in its node now. */
  #addressOf(place: ReplicaPlace): string | null {
    const { nodes, disks } = this.#options.metadata.metadata;
    const node = nodes.get(place.nodeId);
    if (node?.diskId !== place.diskId || disks.get(place.diskId)?.state !== 'REGISTERED')
      return null;
    return node.peerAddress;
  }

  /** R5: resolves with the disks that hold everything up to the end durably, W or more. */
  async #copy(
    segment: SegmentRecord,
    evidence: readonly Evidence[],
    source: Evidence,
  ): Promise<readonly ReplicaPlace[]> {
    const holders = evidence.filter(({ tail }) => tail === source.tail).map(({ place }) => place);
    const behind = evidence.filter(({ tail }) => tail < source.tail);
    for (const { place, tail } of behind.sort((a, b) => b.tail - a.tail)) {
      if (holders.length >= segment.ackQuorum) break;
      if (await this.#tryCopy(segment, { source, to: place, from: tail })) holders.push(place);
    }
    for (const place of this.#freshFor(segment)) {
      if (holders.length >= segment.ackQuorum) break;
      await this.#propose({ type: 'PlanCopies', segmentId: segment.segmentId, places: [place] });
      const from = segment.baseOffset;
      if (await this.#tryCopy(segment, { source, to: place, from })) holders.push(place);
    }
    if (holders.length < segment.ackQuorum) {
      const have = `${holders.length} of ${segment.ackQuorum} disks hold it up to ${source.tail}`;
      throw new WalrusError(
        'NOT_ENOUGH_REPLICAS',
        `Cannot seal segment ${segment.segmentId}: ${have}`,
      );
    }
    return holders;
  }

  /** Fresh disks on nodes that have no member: never evidence, only homes for a copy. */
  #freshFor(segment: SegmentRecord): readonly ReplicaPlace[] {
    return this.#options
      .freshPlaces(segment)
      .filter((place) => !segment.ensemble.some((member) => member.diskId === place.diskId));
  }

  async #tryCopy(
    segment: SegmentRecord,
    copy: { source: Evidence; to: ReplicaPlace; from: Offset },
  ): Promise<boolean> {
    try {
      return (await this.#copyTo(segment, copy)) >= copy.source.tail;
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      const { segmentId } = segment;
      const { nodeId } = copy.to;
      this.#options.logger.log('warn', 'a copy failed', { segmentId, nodeId, code: error.code });
      return false;
    }
  }

  async #copyTo(
    segment: SegmentRecord,
    { source, to, from }: { source: Evidence; to: ReplicaPlace; from: Offset },
  ): Promise<Offset> {
    const { segmentId, token, epoch } = segment;
    const readFrom = this.#addressOf(source.place);
    const writeTo = this.#addressOf(to);
    if (readFrom === null || writeTo === null) {
      throw new WalrusError('REPLICA_UNKNOWN', `A disk of segment ${segmentId} has gone`);
    }
    const { rpc } = this.#options;
    let at = from;
    for (;;) {
      const range = { from: at, limit: source.tail, maxBytes: COPY_BYTES_MAX };
      const read = { segmentId, diskId: source.place.diskId, ...range };
      const piece = await rpc.call(readFrom, READ_SEGMENT, read, COPY_TIMEOUT_MS);
      const { batches, producerSnapshot } = piece;
      const write = { segmentId, token, diskId: to.diskId, epoch, producerSnapshot, batches };
      const { durableTail } = await rpc.call(writeTo, COPY_SEGMENT, write, COPY_TIMEOUT_MS);
      if (durableTail >= source.tail) return durableTail;
      if (durableTail <= at) {
        throw new WalrusError(
          'REPLICA_UNKNOWN',
          `A copy of segment ${segmentId} does not get beyond ${at}`,
        );
      }
      at = durableTail;
    }
  }
}
