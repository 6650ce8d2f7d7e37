/** The merged PUTs of one partition on their way: a producer pipeline with this node's clock and ways of sending. */
import type { Timer } from '../../base/clock.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { SegmentId } from '../../base/units.ts';
import type { ProduceRequest } from '../../protocol/client/produce.ts';
import {
  PIPELINE_WINDOW_MAX,
  ProducerPipeline,
  stampProducer,
} from '../../protocol/producerPipeline.ts';
import type { Sending } from '../../protocol/producerPipeline.ts';
import type { ProducerIds } from './producerIds.ts';
import type { AppendDone, ProduceService } from './produceService.ts';
import { topicNotFound } from './router.ts';
import type { PartitionName, Router } from './router.ts';
import type { ServerContext } from './serverContext.ts';

/** How long one sending waits for its answer before it is repeated. */
const ATTEMPT_MS_MAX = 5000;
/** After a partition has changed hands, how long the old leader's answers may still come. */
const LATE_ANSWER_MS = 100;
const RETRY_MS_MIN = 5;
const RETRY_MS_MAX = 200;
const EXPIRY_CHECK_MS = 250;

/** Who gets the answer of a PUT, under the number that it gave with it. */
export interface PutOwner {
  put(slot: number, error: WalrusError | null): void;
}

/** Records that travel together. */
export interface PutGroup {
  /** Replaced by a copy before it is changed while an earlier sending may still hold it. */
  bytes: Uint8Array;
  readonly owners: readonly PutOwner[];
  readonly slots: readonly number[];
  readonly startMs: number;
  readonly deadlineMs: number;
}

export interface PutServices {
  readonly context: ServerContext;
  readonly router: Router;
  readonly producerIds: ProducerIds;
  readonly produce: ProduceService;
  /** Tells the owners of a group what came of it. */
  answer(group: PutGroup, error: WalrusError | null): void;
}

interface Attempt {
  readonly segmentId: SegmentId;
  readonly timer: Timer | null;
}

export class PartitionPuts {
  readonly #services: PutServices;
  readonly #name: PartitionName;
  readonly #pipeline: ProducerPipeline<PutGroup, null>;
  readonly #onProgress: () => void;
  readonly #attempts = new Map<number, Attempt>();
  #retryMs = RETRY_MS_MIN;
  #retryTimer: Timer | null = null;
  #expiryTimer: Timer | null = null;
  #isStopped = false;

  constructor(services: PutServices, name: PartitionName, onProgress: () => void) {
    this.#services = services;
    this.#name = name;
    this.#onProgress = onProgress;
    this.#pipeline = new ProducerPipeline<PutGroup, null>({
      windowMax: PIPELINE_WINDOW_MAX,
      send: (sending) => this.#send(sending),
      settled: (group, error) => {
        services.answer(group, error === null ? null : this.#explained(error));
      },
      needIdentity: () => void this.#takeIdentity(),
      paused: () => this.#rest(),
    });
  }

  /** A record that was tried in vain: without a metadata leader nobody can take a dead leader's place. */
  #explained(error: WalrusError): WalrusError {
    if (error.code !== 'TIMED_OUT' || this.#services.context.parts.session.isFresh) return error;
    const why = 'this node hears of no metadata leader, so too few nodes may be up for a quorum';
    return new WalrusError('TIMED_OUT', `${error.message}; ${why}`, { cause: error });
  }

  get isIdle(): boolean {
    return this.#pipeline.isIdle;
  }

  add(group: PutGroup): void {
    this.#pipeline.add(group, group.owners.length);
    this.#checkExpiry();
  }

  stop(error: WalrusError): void {
    this.#isStopped = true;
    this.#retryTimer?.cancel();
    this.#expiryTimer?.cancel();
    for (const { timer } of this.#attempts.values()) timer?.cancel();
    this.#attempts.clear();
    this.#pipeline.stop(error);
  }

  async #takeIdentity(): Promise<void> {
    try {
      const identity = await this.#services.producerIds.take();
      if (!this.#isStopped) this.#pipeline.setIdentity(identity);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      if (!this.#isStopped) this.#pipeline.identityFailed(error);
    }
  }

  #send({ batch: group, identity, baseSequence, attempt, isRepeat }: Sending<PutGroup>): void {
    if (isRepeat) group.bytes = group.bytes.slice();
    stampProducer(group.bytes, identity, baseSequence);
    const { clock } = this.#services.context;
    const leftMs = Math.max(1, Math.ceil(group.deadlineMs - clock.monotonicMs()));
    const timeoutMs = Math.min(leftMs, ATTEMPT_MS_MAX);
    const request: ProduceRequest = {
      ...this.#name,
      acks: 'quorum',
      timeoutMs,
      batches: group.bytes,
    };
    const leadership = this.#services.router.leadership(this.#name);
    if (leadership === undefined) {
      this.#pipeline.failed(attempt, topicNotFound(this.#name.topic));
      return;
    }
    this.#attempts.set(attempt, { segmentId: leadership.segment.segmentId, timer: null });
    const done: AppendDone = (error) => this.#answered(attempt, error);
    if (leadership.type === 'There') {
      this.#services.produce.appendThere(leadership.address, request, done);
    } else {
      this.#services.produce.appendHere(request, done, { isChecked: true });
    }
  }

  #answered(attempt: number, error: WalrusError | null): void {
    const known = this.#attempts.get(attempt);
    if (known === undefined) return; // given up
    this.#attempts.delete(attempt);
    known.timer?.cancel();
    if (error === null) {
      this.#retryMs = RETRY_MS_MIN;
      this.#pipeline.acknowledged(attempt, null);
    } else {
      this.#pipeline.failed(attempt, error);
    }
    if (this.#pipeline.isIdle) this.#onProgress();
  }

  /**
   * The partition may have another leader: there is no use in waiting for the old one's answers for long, it may
   * be dead. And what rests may go on.
   */
  topicChanged(): void {
    const segmentId = this.#services.router.leadership(this.#name)?.segment.segmentId;
    for (const [attempt, { segmentId: asked, timer }] of this.#attempts) {
      if (asked === segmentId || timer !== null) continue;
      const error = new WalrusError('TIMED_OUT', `The leader of ${this.#name.topic} has changed`);
      const giveUp = this.#services.context.clock.setTimer(LATE_ANSWER_MS, () => {
        this.#answered(attempt, error);
      });
      this.#attempts.set(attempt, { segmentId: asked, timer: giveUp });
    }
    this.#resume();
  }

  #rest(): void {
    if (this.#retryTimer !== null || this.#isStopped) return;
    const delayMs = this.#retryMs;
    this.#retryMs = Math.min(2 * delayMs, RETRY_MS_MAX);
    this.#retryTimer = this.#services.context.clock.setTimer(delayMs, () => this.#resume());
  }

  #resume(): void {
    this.#retryTimer?.cancel();
    this.#retryTimer = null;
    this.#pipeline.resume();
  }

  #checkExpiry(): void {
    if (this.#expiryTimer !== null || this.#pipeline.isIdle) return;
    const { clock } = this.#services.context;
    this.#expiryTimer = clock.setTimer(EXPIRY_CHECK_MS, () => {
      this.#expiryTimer = null;
      const nowMs = clock.monotonicMs();
      this.#pipeline.expire((group) => group.deadlineMs <= nowMs);
      if (this.#pipeline.isIdle) this.#onProgress();
      this.#checkExpiry();
    });
  }
}
