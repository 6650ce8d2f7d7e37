/**
 * Recovery of one segment whose leader is gone (DESIGN R1-R6), run by the Raft leader.
 *
 *   BeginRecovery(e)  ->  fence the members  ->  F answers: the end is the highest tail
 *     ->  copy up to the end until W disks hold it durably  ->  SealAndOpen in one command
 *
 * The segment's leader may live, and hear of it late. Fenced, it acknowledges nothing; and nobody is put in its place before it
 * knows or has no lease, since it would tell readers that there is nothing more.
 *
 * Nothing here is remembered: any step may be repeated by another Raft leader with a higher epoch, which fences
 * this one out. An answer counts as evidence only from a member disk that the metadata names, fenced with this
 * epoch; everything else is UNKNOWN, and with fewer than F answers the recovery waits.
 */
import type { Clock } from '../../base/clock.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import { offset } from '../../base/units.ts';
import type { LogIndex, Offset } from '../../base/units.ts';
import { FENCE_SEGMENT } from '../../protocol/peer/replicas.ts';
import type { FenceSegmentResponse } from '../../protocol/peer/replicas.ts';
import { SEGMENT_ENTRIES_MAX } from '../replication/segmentLeader.ts';
import type { OpenPlan } from '../state/commands.ts';
import { registeredAddress } from '../state/queries.ts';
import type { LossyRange, ReplicaPlace, SegmentRecord } from '../state/types.ts';
import { consistent, evidenceNeeded, highest } from './evidence.ts';
import type { Evidence } from './evidence.ts';
import { RecoveryCopies } from './recoveryCopies.ts';
import type { RecoveryCopiesOptions } from './recoveryCopies.ts';
import type { Propose } from './types.ts';

const FENCE_TIMEOUT_MS = 1000;
/** How often is looked whether the leader has heard of the recovery. */
const LEADER_POLL_MS = 20;
/** How long a recovery waits for that; then it gets no lease any more until it has heard of it. */
export const LEADER_KNOWS_MS_MAX = 2000;
/** How long a recovery waits in all before it begins anew. */
export const LEADER_GONE_MS_MAX = 5000;
/** How long an unclean seal waits for a member: what a slow one has would be given up. */
export const UNCLEAN_FENCE_TIMEOUT_MS = 3000;
/** After F answers, how long the other members may still answer: each one spares a copy. */
export const FENCE_GRACE_MS = 50;
/** A batch counts its records in 31 bits. */
const BATCH_RECORDS_MAX = 2 ** 31;
/** No leader hands out an offset so far above the base of its segment: a full one takes no batch more. */
const HANDED_OUT_COUNT_MAX = SEGMENT_ENTRIES_MAX + BATCH_RECORDS_MAX;

export interface RecoveryOptions extends RecoveryCopiesOptions {
  readonly clock: Clock;
  /** Places for the successor. @throws {WalrusError} NOT_ENOUGH_REPLICAS */
  planNext(segment: SegmentRecord): OpenPlan;
  /** As Sessions. */
  mayStillLead(segment: SegmentRecord, decidedIndex: LogIndex): boolean;
  /** As Sessions. */
  withhold(segment: SegmentRecord, decidedIndex: LogIndex): void;
}

/** A recovery that is in the metadata. */
interface Begun {
  readonly segment: SegmentRecord;
  /** Whoever has applied so much knows that the segment is being recovered. */
  readonly decidedIndex: LogIndex;
}

/** Where an unclean seal ends, and what it gives up. */
export interface UncleanEnd {
  readonly endOffset: Offset;
  readonly lossy: LossyRange | null;
}

export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #copies: RecoveryCopies;

  constructor(options: RecoveryOptions) {
    this.#options = options;
    this.#copies = new RecoveryCopies(options);
  }

  /**
   * Recovers a segment to its seal.
   * @throws {WalrusError} NOT_LEADER as MetadataService.asLeader; CONFLICT when another recovery or the leader's close came first; REPLICA_UNKNOWN while
   *   fewer than F members answer; NOT_ENOUGH_REPLICAS while fewer than W disks can take the copy.
   */
  async run(found: SegmentRecord): Promise<void> {
    const propose = this.#options.metadata.asLeader();
    const begun = await this.#begin(found, propose);
    const evidence = await this.#fence(begun.segment);
    await this.#seal(begun, { evidence, lossy: null }, propose);
  }

  /**
   * S4, on an operator's word: seals a segment with whatever members answer, one at least, be it a damaged one with what
   * is sound of it, and marks what may be missing as lost. Its successor begins above every offset that may have been handed out.
   * @param confirmedEnd - The end that the operator was told; null: only says what would be lost.
   * @throws {WalrusError} CONFLICT unless its recovery waits, and would end there; REPLICA_UNKNOWN when no member
   *   answers at all.
   */
  async runUnclean(found: SegmentRecord, confirmedEnd: Offset | null): Promise<UncleanEnd> {
    if (found.state !== 'RECOVERING') {
      const why = `it is ${found.state}, and not waiting for its recovery`;
      throw new WalrusError('CONFLICT', `Cannot seal segment ${found.segmentId} unclean: ${why}`);
    }
    const propose = this.#options.metadata.asLeader();
    const begun = confirmedEnd === null ? null : await this.#begin(found, propose);
    const { segment } = begun ?? { segment: found };
    const answers = await this.#fenceAll(segment);
    const believed = consistent(answers.filter(({ isDamaged = false }) => !isDamaged));
    const isWhole = believed.length >= evidenceNeeded(segment);
    const evidence = isWhole ? believed : answers;
    const { tail } = highest(evidence);
    const lossy = isWhole
      ? null
      : { from: tail, to: offset(segment.baseOffset + HANDED_OUT_COUNT_MAX) };
    if (begun !== null && confirmedEnd !== null) {
      if (tail !== confirmedEnd) throw endsElsewhere(segment, tail, confirmedEnd);
      await this.#seal(begun, { evidence, lossy }, propose);
    }
    return { endOffset: tail, lossy };
  }

  /** R1 */
  async #begin(found: SegmentRecord, propose: Propose): Promise<Begun> {
    const epoch = found.epoch + 1;
    const { segmentId } = found;
    const { metadata } = this.#options;
    const foundIndex = metadata.metadata.lastApplied;
    await propose({ type: 'BeginRecovery', segmentId, epoch });
    const { segments, lastApplied } = metadata.metadata;
    const segment = segments.get(segmentId);
    if (segment?.state !== 'RECOVERING' || segment.epoch !== epoch) {
      throw new WalrusError('CONFLICT', `Segment ${segmentId} is being recovered by another one`);
    }
    const isFirst = found.state === 'OPEN';
    return { segment, decidedIndex: isFirst ? lastApplied : foundIndex };
  }

  /** R4-R6 */
  async #seal(
    begun: Begun,
    { evidence, lossy }: { evidence: readonly Evidence[]; lossy: LossyRange | null },
    propose: Propose,
  ): Promise<void> {
    const { segment } = begun;
    const { segmentId, epoch } = segment;
    const source = highest(evidence);
    const replicas = await this.#copies.make(segment, { evidence, end: source }, propose);
    await this.#untilLeaderKnows(begun);
    await propose({
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

  /** Until nobody acts as the segment's leader any more. @throws {WalrusError} CONFLICT */
  async #untilLeaderKnows({ segment, decidedIndex }: Begun): Promise<void> {
    const { clock } = this.#options;
    const beganMs = clock.monotonicMs();
    while (this.#options.mayStillLead(segment, decidedIndex)) {
      const waitedMs = clock.monotonicMs() - beganMs;
      if (waitedMs >= LEADER_KNOWS_MS_MAX) this.#options.withhold(segment, decidedIndex);
      if (waitedMs >= LEADER_GONE_MS_MAX) {
        const why = `node ${segment.leader.nodeId}, which has led it, lives and has not heard of it yet`;
        throw new WalrusError('CONFLICT', `Cannot recover segment ${segment.segmentId}: ${why}`);
      }
      await new Promise<void>((resolve) => clock.setTimer(LEADER_POLL_MS, resolve));
    }
  }

  /** R2, R3: fences every member; resolves with F answers that do not contradict each other, or more. */
  #fence(segment: SegmentRecord): Promise<readonly Evidence[]> {
    const needed = evidenceNeeded(segment);
    return new Promise((resolve, reject) => {
      const answers: Evidence[] = [];
      let settled = 0;
      let isLate = false;
      const finish = (): void => {
        const evidence = consistent(answers);
        if (evidence.length >= needed) resolve(evidence);
        else if (settled === segment.ensemble.length) reject(tooFew(segment, answers, evidence));
      };
      const took = (): void => {
        settled += 1;
        if (isLate || settled === segment.ensemble.length) finish();
        else if (answers.length === needed) {
          this.#options.clock.setTimer(FENCE_GRACE_MS, () => {
            isLate = true;
            finish();
          });
        }
      };
      for (const place of segment.ensemble) {
        const how = { timeoutMs: FENCE_TIMEOUT_MS, takesDamaged: false };
        void this.#fenceOne(segment, place, how).then((answer) => {
          if (answer !== null) answers.push(answer);
          took();
        });
      }
    });
  }

  /** The answers of all members that give one in time, those of intact copies first: they are read from rather. */
  async #fenceAll(segment: SegmentRecord): Promise<readonly Evidence[]> {
    const how = { timeoutMs: UNCLEAN_FENCE_TIMEOUT_MS, takesDamaged: true };
    const answers = await Promise.all(
      segment.ensemble.map((place) => this.#fenceOne(segment, place, how)),
    );
    const evidence = answers.filter((answer) => answer !== null);
    if (evidence.length > 0) {
      return evidence.toSorted(
        (a, b) => Number(a.isDamaged ?? false) - Number(b.isDamaged ?? false),
      );
    }
    const { segmentId } = segment;
    throw new WalrusError(
      'REPLICA_UNKNOWN',
      `Cannot seal segment ${segmentId} unclean: no member of it answers`,
    );
  }

  /** null: UNKNOWN. */
  async #fenceOne(
    segment: SegmentRecord,
    place: ReplicaPlace,
    { timeoutMs, takesDamaged }: { readonly timeoutMs: number; readonly takesDamaged: boolean },
  ): Promise<Evidence | null> {
    const { segmentId, token, epoch } = segment;
    const address = registeredAddress(this.#options.metadata.metadata, place);
    if (address === null) return null;
    try {
      const request = { segmentId, token, epoch, diskId: place.diskId, takesDamaged };
      const answer: FenceSegmentResponse = await this.#options.rpc.call(
        address,
        FENCE_SEGMENT,
        request,
        timeoutMs,
      );
      if (answer.diskId !== place.diskId) return null;
      if (answer.isDamaged) return takesDamaged ? { place, ...answer } : null;
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
}

/** Why a recovery has to wait. */
function tooFew(
  segment: SegmentRecord,
  answers: readonly Evidence[],
  evidence: readonly Evidence[],
): WalrusError {
  const { segmentId } = segment;
  const needed = evidenceNeeded(segment);
  const apart = answers.length - evidence.length;
  const what =
    apart === 0
      ? `${answers.length} of the ${needed} members that it needs answer`
      : `${apart} of the ${answers.length} members that answer hold different bytes up to the same offset`;
  return new WalrusError('REPLICA_UNKNOWN', `Cannot recover segment ${segmentId}: ${what}`);
}

function endsElsewhere({ segmentId }: SegmentRecord, tail: Offset, end: Offset): WalrusError {
  const why = `from those that answer now it would end at ${tail}, not at ${end}; look again`;
  return new WalrusError('CONFLICT', `Cannot seal segment ${segmentId} unclean: ${why}`);
}
