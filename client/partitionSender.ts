/**
 * A producer's batches to one partition on their way: which node they go to, when they are sent again, when they are
 * given up. Their order and sequences are the pipeline's (protocol/producerPipeline.ts).
 *
 * Invariant: batches are under way to one node at a time, so that they cannot overtake each other; when the
 * leader changes, those that follow wait until the earlier ones are answered, or given up: who is cut off answers nobody.
 */
import type { Timer } from '../base/clock.ts';
import { WalrusError, isWalrusError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import { APIS } from '../protocol/client/apis.ts';
import type { Acks, ProducedBatch } from '../protocol/client/produce.ts';
import {
  PIPELINE_WINDOW_MAX,
  ProducerPipeline,
  stampProducer,
} from '../protocol/producerPipeline.ts';
import type { ProducerIdentity, Sending } from '../protocol/producerPipeline.ts';
import type { MetadataCache } from './metadataCache.ts';
import { ANSWER_EXTRA_MS } from './pool.ts';
import type { ConnectionPool } from './pool.ts';
import type { ClientWorld } from './world.ts';
import { backOffMs } from './world.ts';

/** How often batches are looked at for having waited too long. */
export const EXPIRY_CHECK_MS = 250;
/** While records flow, the leader is asked for anew so often: to follow it where nodes forward silently. */
export const LEADER_CHECK_MS = 1000;
/** Between attempts, unless nodes have too much to do: mostly nobody leads, and somebody soon does. */
export const LEADERLESS_BACK_OFF_MAX_MS = 250;
/** Answers of nodes that have had too much already. */
const BUSY_CODES: ReadonlySet<ErrorCode> = new Set(['OVERLOADED', 'DISK_FULL']);

/** A finished batch. */
export interface OutgoingBatch {
  /** Of its producer's batches, from 1. */
  readonly number: number;
  bytes: Uint8Array<ArrayBuffer>;
  /** How often it was sent. */
  sendingsCount: number;
  readonly recordsCount: number;
  readonly sizeBytes: number;
  readonly deadlineMs: number;
  /** What the bytes were stamped with; null before the first sending. */
  stamp: { readonly identity: ProducerIdentity; readonly baseSequence: number } | null;
  /** Tells whoever wants to know. */
  readonly done: ((error: WalrusError | null, outcome: ProducedBatch | null) => void) | null;
  /** Whether somebody is told the outcome of every record. */
  readonly isWatched: boolean;
}

export interface SenderContext {
  readonly world: ClientWorld;
  readonly pool: ConnectionPool;
  readonly metadata: MetadataCache;
}

export interface PartitionSenderOptions {
  readonly topic: string;
  readonly partition: number;
  readonly acks: Acks;
  readonly requestTimeoutMs: number;
  settled(batch: OutgoingBatch, error: WalrusError | null, outcome: ProducedBatch | null): void;
  /** Something has changed, and there is room (`hasRoom`). */
  roomMade(): void;
}

export class PartitionSender {
  readonly #context: SenderContext;
  readonly #options: PartitionSenderOptions;
  readonly #pipeline: ProducerPipeline<OutgoingBatch, ProducedBatch>;
  /** The node that batches are under way to. */
  #route: string | null = null;
  /** Whether it was sent to because it leads. */
  #isRouteLeader = false;
  /** Whether somebody else was known to lead at the last look. */
  #isRouteDeposed = false;
  /** Attempts that have not been answered. */
  readonly #underWay = new Set<number>();
  /** Wait for the route to change. */
  #held: Sending<OutgoingBatch>[] = [];
  #failures = 0;
  #expiryTimer: Timer | null = null;
  #isStopped = false;

  constructor(context: SenderContext, options: PartitionSenderOptions) {
    this.#context = context;
    this.#options = options;
    this.#pipeline = new ProducerPipeline({
      windowMax: PIPELINE_WINDOW_MAX,
      send: (sending) => this.#send(sending),
      settled: (batch, error, outcome) => options.settled(batch, error, outcome),
      needIdentity: () => this.#needIdentity(),
      paused: (error) => this.#onPaused(error),
    });
  }

  get isIdle(): boolean {
    return this.#pipeline.isIdle;
  }

  /** Whether a batch added now would be sent at once. */
  get hasRoom(): boolean {
    return this.#held.length === 0 && this.#pipeline.hasRoom;
  }

  add(batch: OutgoingBatch): void {
    this.#pipeline.add(batch, batch.recordsCount);
    this.#watch();
  }

  stop(error: WalrusError): void {
    this.#isStopped = true;
    this.#held = [];
    this.#expiryTimer?.cancel();
    this.#pipeline.stop(error);
  }

  #send(sending: Sending<OutgoingBatch>): void {
    if (this.#isStopped) return;
    const wanted = this.#chooseRoute();
    // The last answer lets the pipeline send on before those that were held are: behind them all the same.
    if (this.#held.length > 0 || (this.#underWay.size > 0 && wanted !== this.#route)) {
      this.#held.push(sending);
      return;
    }
    if (wanted !== this.#route) this.#isRouteDeposed = false;
    this.#route = wanted;
    this.#isRouteLeader = wanted === this.#leader();
    this.#sendTo(wanted, sending);
  }

  /** The leader's node; any other when that is unknown or cannot be reached. */
  #chooseRoute(): string {
    const { pool, metadata } = this.#context;
    metadata.refreshSoon(this.#options.topic, LEADER_CHECK_MS);
    const leader = this.#leader();
    if (leader !== undefined && !pool.isResting(leader)) return leader;
    return pool.any().address;
  }

  #leader(): string | undefined {
    const { topic, partition } = this.#options;
    return this.#context.metadata.leaderAddress(topic, partition);
  }

  #sendTo(address: string, sending: Sending<OutgoingBatch>): void {
    const { topic, partition, acks, requestTimeoutMs: timeoutMs } = this.#options;
    const batches = stamped(sending);
    const request = { topic, partition, acks, timeoutMs, batches };
    this.#underWay.add(sending.attempt);
    sending.batch.sendingsCount += 1;
    this.#context.pool
      .to(address)
      .request(APIS.Produce, request, timeoutMs + ANSWER_EXTRA_MS)
      .then(
        ({ batches: [outcome] }) => {
          if (outcome === undefined) {
            const message = `The outcome is unknown: ${address} answered a Produce without it`;
            this.#failed(sending.attempt, new WalrusError('TIMED_OUT', message));
          } else {
            this.#acknowledged(sending, outcome);
          }
        },
        (error: unknown) => {
          if (!isWalrusError(error)) throw error;
          this.#failed(sending.attempt, error);
        },
      );
  }

  #acknowledged({ attempt }: Sending<OutgoingBatch>, outcome: ProducedBatch): void {
    if (!this.#underWay.delete(attempt)) return; // given up
    this.#failures = 0;
    this.#pipeline.acknowledged(attempt, outcome);
    if (this.#underWay.size === 0) {
      const held = this.#held;
      this.#held = [];
      for (const sending of held) this.#send(sending);
    }
    this.#tellRoom();
  }

  #failed(attempt: number, error: WalrusError): void {
    if (!this.#underWay.delete(attempt)) return; // given up
    // Those that wait were not sent, and must not go before the one that failed: back with them as well.
    const held = this.#held;
    this.#held = [];
    for (const sending of held) this.#pipeline.failed(sending.attempt, notSent());
    this.#pipeline.failed(attempt, error);
    this.#tellRoom();
  }

  /** After everything that may have made room; last, because more batches come of it. */
  #tellRoom(): void {
    if (!this.#isStopped && this.hasRoom) this.#options.roomMade();
  }

  #needIdentity(): void {
    const { pool } = this.#context;
    const { requestTimeoutMs: timeoutMs } = this.#options;
    pool.call(APIS.InitProducer, {}, { timeoutMs }).then(
      (identity) => this.#pipeline.setIdentity(identity),
      (error: unknown) => {
        if (!isWalrusError(error)) throw error;
        if (this.#isStopped) return;
        this.#pipeline.identityFailed(error);
        this.#tellRoom();
      },
    );
  }

  #onPaused(error: WalrusError): void {
    if (this.#isStopped) return;
    const { world, metadata } = this.#context;
    this.#failures += 1;
    metadata.refreshSoon(this.#options.topic);
    // The first retry after a change of the leader is quick.
    const isMoved = error.code === 'NOT_LEADER' || error.code === 'SEGMENT_SEALED';
    const failures = isMoved ? Math.max(1, this.#failures - 2) : this.#failures;
    const maxMs = BUSY_CODES.has(error.code) ? undefined : LEADERLESS_BACK_OFF_MAX_MS;
    const delayMs = backOffMs(world, failures, maxMs);
    world.clock.setTimer(delayMs, () => {
      if (this.#isStopped) return;
      this.#pipeline.resume();
      this.#tellRoom();
    });
  }

  /** Looks from time to time for what has waited too long, while there is something. */
  #watch(): void {
    if (this.#expiryTimer !== null || this.#isStopped) return;
    const { clock } = this.#context.world;
    this.#expiryTimer = clock.setTimer(EXPIRY_CHECK_MS, () => {
      this.#expiryTimer = null;
      const nowMs = clock.monotonicMs();
      this.#pipeline.expire((batch) => batch.deadlineMs <= nowMs);
      this.#followLeader();
      this.#tellRoom();
      if (!this.#pipeline.isIdle) this.#watch();
    });
  }

  /**
   * While nothing is answered the leader may have changed without a word. Who leads no more has until the next look to
   * answer; then what is under way to it is sent to its successor, with the same sequences.
   */
  #followLeader(): void {
    if (this.#underWay.size === 0) return;
    const { topic } = this.#options;
    this.#context.metadata.refreshSoon(topic, LEADER_CHECK_MS);
    const leader = this.#leader();
    const isDeposed = this.#isRouteLeader && leader !== undefined && leader !== this.#route;
    if (isDeposed && this.#isRouteDeposed) {
      const message = `The outcome is unknown: ${this.#route} leads ${topic} no more and does not answer`;
      const error = new WalrusError('TIMED_OUT', message);
      for (const attempt of [...this.#underWay]) this.#failed(attempt, error);
    }
    this.#isRouteDeposed = isDeposed;
  }
}

function notSent(): WalrusError {
  return new WalrusError('NOT_LEADER', 'The leader changed before the batch was sent');
}

/** The bytes with the sending's identity and sequence; never changes bytes that may be under way. */
function stamped({ batch, identity, baseSequence, isRepeat }: Sending<OutgoingBatch>): Uint8Array {
  const { stamp } = batch;
  const isSame =
    stamp?.baseSequence === baseSequence &&
    stamp.identity.producerId === identity.producerId &&
    stamp.identity.producerEpoch === identity.producerEpoch;
  if (isSame) return batch.bytes;
  if (isRepeat) batch.bytes = batch.bytes.slice();
  stampProducer(batch.bytes, identity, baseSequence);
  batch.stamp = { identity, baseSequence };
  return batch.bytes;
}
