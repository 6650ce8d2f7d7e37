/**
 * The shared cursors of all topics (text `GET`, binary `GetNext`), as clients of this node and other nodes ask for
 * them. A partition's cursor lives where its open segment is led; its position is durable in the metadata as that of
 * the group `$text`, which no client can name.
 *
 * - A new leader begins at the committed position. The old one commits before it proposes the end of its segment, so
 *   that the new one's metadata has it by the time that it leads.
 * - Commits follow deliveries. After a crash what was delivered and not committed is delivered again.
 */
import type { Timer } from '../../base/clock.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import { offset } from '../../base/units.ts';
import type { Offset, SegmentId } from '../../base/units.ts';
import { APIS } from '../../protocol/client/apis.ts';
import type { GetNextResponse } from '../../protocol/client/getNext.ts';
import { CONFIRM_DELIVERY } from '../../protocol/peer/requests.ts';
import type { PositionsCommit } from '../state/commands.ts';
import { committedPosition } from '../state/queries.ts';
import type { SegmentRecord, TopicRecord } from '../state/types.ts';
import { Deliveries } from './deliveries.ts';
import type { LogReader } from './logReader.ts';
import { PartitionCursor } from './partitionCursor.ts';
import type { TakeDone } from './partitionCursor.ts';
import type { PositionCommitter } from './positionCommitter.ts';
import { asWalrusError } from './produceService.ts';
import type { Progress } from './progress.ts';
import type { PartitionName, Router } from './router.ts';
import type { ServerContext } from './serverContext.ts';

/** The group of the shared cursors. */
export const SHARED_GROUP = '$text';
/** How long a close waits for deliveries to be confirmed; below what it waits for its hooks. */
const QUIET_MS_MAX = 500;
/** How long another node may take. */
const ASK_TIMEOUT_MS = 1000;
const RETRY_MS = 25;
const COMMIT_RETRY_MS = 100;

/** A record for a client. `settle` must be called once: whether it reached the client's stream. */
export interface Handed {
  readonly partition: number;
  readonly offset: Offset;
  readonly value: Uint8Array;
  settle(wasDelivered: boolean): void;
}

/** `null, null`: the cursor stands at the end. */
export type NextDone = (error: WalrusError | null, handed: Handed | null) => void;

interface Owned {
  readonly name: PartitionName;
  readonly topicId: number;
  readonly segment: SegmentRecord;
  readonly cursor: PartitionCursor;
  isCommitting: boolean;
}

export interface CursorServices {
  readonly context: ServerContext;
  readonly router: Router;
  readonly reader: LogReader;
  readonly progress: Progress;
  readonly committer: PositionCommitter;
}

export class SharedCursors {
  readonly #services: CursorServices;
  readonly #owned = new Map<string, Owned>();
  /** Segments whose end is being proposed: no cursor may begin there any more. */
  readonly #closing = new Set<SegmentId>();
  readonly #deliveries: Deliveries;
  /** Where the next look at a topic begins, so that no partition is left out. */
  readonly #rotation = new Map<string, number>();

  constructor(services: CursorServices) {
    this.#services = services;
    this.#deliveries = new Deliveries(services.context);
    const { rpc, segments } = services.context.parts;
    segments.beforeClose((segment) => this.#handOver(segment));
    services.context.parts.metadata.onApplied(({ segments: touched, isRestored }) => {
      if (touched.size > 0 || isRestored) this.#dropOld();
    });
    rpc.handle(APIS.GetNext, ({ topic }) => this.#serveNode(topic));
    rpc.handle(CONFIRM_DELIVERY, ({ topic, partition, deliveries }) => {
      const cursor = this.#owned.get(keyOf({ topic, partition }))?.cursor;
      for (const { offset: at, wasDelivered } of deliveries) cursor?.settle(at, wasDelivered);
      return null;
    });
  }

  /** The process is stopping: forgets all cursors, so that nothing is committed or waited for any more. */
  stop(): void {
    for (const { cursor } of this.#owned.values()) cursor.end();
    this.#owned.clear();
  }

  /** The next record of a topic that exists, from whichever partition has one; within the request time-out. */
  next(topic: TopicRecord, done: NextDone): void {
    const owned =
      topic.partitions.length === 1 ? this.#ownedCursor({ topic: topic.name, partition: 0 }) : null;
    if (owned === null) {
      this.#searchFor(topic.name, done);
      return;
    }
    // The usual case without a promise: the one partition is led here.
    owned.cursor.take((error, taken) => {
      if (error?.retriable === true && error.code !== 'OVERLOADED') {
        this.#searchFor(topic.name, done); // the cursor is being handed over, or opened
      } else done(error, taken === null ? null : handedHere(owned, taken));
    });
  }

  #searchFor(topic: string, done: NextDone): void {
    const { clock, limits } = this.#services.context;
    void this.#search(topic, clock.monotonicMs() + limits.requestTimeoutMs).then(
      (handed) => done(null, handed),
      (error: unknown) => done(asWalrusError(error), null),
    );
  }

  async #search(topic: string, deadlineMs: number): Promise<Handed | null> {
    const { clock } = this.#services.context;
    for (;;) {
      try {
        return await this.#lookOnce(topic);
      } catch (error) {
        if (!isWalrusError(error) || !error.retriable || error.code === 'OVERLOADED') throw error;
        if (clock.monotonicMs() + RETRY_MS >= deadlineMs) throw error;
      }
      await this.#moveOrRetry(topic);
    }
  }

  /** Until the topic moves, or for a moment. */
  #moveOrRetry(topic: string): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#services.context.clock.setTimer(RETRY_MS, () => finish());
      const forget = this.#services.progress.onMove(topic, () => finish());
      const finish = (): void => {
        timer.cancel();
        forget();
        resolve();
      };
    });
  }

  /**
   * Asks every partition's cursor once, beginning behind the one that gave the last record.
   * @returns null when all stand at their ends.
   */
  async #lookOnce(topic: string): Promise<Handed | null> {
    const { router } = this.#services;
    const record = await router.findTopic(topic);
    const count = record.partitions.length;
    const start = (this.#rotation.get(topic) ?? 0) % count;
    const asked = new Set<string>();
    let failure: WalrusError | null = null;
    for (let i = 0; i < count; i += 1) {
      const partition = (start + i) % count;
      try {
        const handed = await this.#ask({ topic, partition }, asked);
        if (handed === null) continue;
        if (count > 1) this.#rotation.set(topic, handed.partition + 1);
        return handed;
      } catch (error) {
        if (!isWalrusError(error)) throw error;
        failure ??= error;
      }
    }
    if (failure !== null) throw failure;
    return null;
  }

  /** @param asked - The nodes that were asked already, for all of their partitions at once. */
  async #ask(name: PartitionName, asked: Set<string>): Promise<Handed | null> {
    const leadership = this.#services.router.leadership(name);
    if (leadership?.type === 'Here') return await this.#takeHere(name);
    if (leadership?.type !== 'There') throw noLeader(name);
    const { address } = leadership;
    if (asked.has(address)) return null;
    asked.add(address);
    const { topic } = name;
    const { rpc } = this.#services.context.parts;
    const { record } = await rpc.call(address, APIS.GetNext, { topic }, ASK_TIMEOUT_MS);
    if (record === undefined) return null;
    const { partition, offset: at, value } = record;
    return {
      partition,
      offset: at,
      value,
      settle: (wasDelivered) => {
        this.#deliveries.settle(address, { topic, partition }, { offset: at, wasDelivered });
      },
    };
  }

  #takeHere(name: PartitionName): Promise<Handed | null> {
    const owned = this.#ownedCursor(name);
    if (owned === null) return Promise.reject(noLeader(name));
    return new Promise((resolve, reject) => {
      owned.cursor.take((error, taken) => {
        if (error !== null) reject(error);
        else resolve(taken === null ? null : handedHere(owned, taken));
      });
    });
  }

  /** For another node: only what is led here, so that requests do not go round. */
  async #serveNode(topic: string): Promise<GetNextResponse> {
    const record = await this.#services.router.findTopic(topic);
    const count = record.partitions.length;
    const start = (this.#rotation.get(topic) ?? 0) % count;
    let isLeading = false;
    for (let i = 0; i < count; i += 1) {
      const partition = (start + i) % count;
      if (this.#services.router.leadership({ topic, partition })?.type !== 'Here') continue;
      isLeading = true;
      const handed = await this.#takeHere({ topic, partition });
      if (handed === null) continue;
      if (count > 1) this.#rotation.set(topic, partition + 1);
      const { offset: at, value } = handed; // settled by the other node's ConfirmDelivery
      return { record: { partition, offset: at, value } };
    }
    if (!isLeading) throw noLeader({ topic, partition: 0 });
    return { record: undefined };
  }

  /** The cursor of a partition that this node leads; null when it does not, or has lost touch. */
  #ownedCursor(name: PartitionName): Owned | null {
    const leadership = this.#services.router.leadership(name);
    if (leadership?.type !== 'Here' || !this.#services.context.parts.session.isFresh) return null;
    if (this.#closing.has(leadership.segment.segmentId)) return null;
    const key = keyOf(name);
    const known = this.#owned.get(key);
    if (known?.segment.segmentId === leadership.segment.segmentId) return known;
    known?.cursor.end();
    const owned = this.#create(name, leadership.segment);
    this.#owned.set(key, owned);
    return owned;
  }

  #create(name: PartitionName, segment: SegmentRecord): Owned {
    const { context, router, reader } = this.#services;
    const position = committedPosition(router.metadata, SHARED_GROUP, name) ?? offset(0);
    const owned: Owned = {
      name,
      topicId: segment.topicId,
      segment,
      isCommitting: false,
      cursor: new PartitionCursor({
        clock: context.clock,
        position,
        readHere: (from, maxBytes) => reader.readHere(name, from, maxBytes),
        readElsewhere: (found, from, maxBytes) => reader.readElsewhere(found, from, maxBytes),
        onSafe: () => void this.#commit(owned),
      }),
    };
    return owned;
  }

  /** What to commit for a cursor now; null when the metadata has it, or another cursor is in charge. */
  #commitOf(owned: Owned): PositionsCommit | null {
    if (this.#owned.get(keyOf(owned.name)) !== owned) return null;
    const { topic, partition } = owned.name;
    const expected =
      committedPosition(this.#services.router.metadata, SHARED_GROUP, owned.name) ?? offset(0);
    const position = owned.cursor.safePosition;
    if (position <= expected) return null;
    const { topicId } = owned;
    const positions = [{ topic, topicId, partition, offset: position, expected }];
    return { group: SHARED_GROUP, positions };
  }

  /** Commits a cursor's position, again and again while it moves on. */
  async #commit(owned: Owned): Promise<void> {
    if (owned.isCommitting) return;
    owned.isCommitting = true;
    while (this.#commitOf(owned) !== null) {
      try {
        await this.#services.committer.commit(1, () => this.#commitOf(owned));
      } catch (error) {
        if (!isWalrusError(error)) throw error;
        await this.#sleep(COMMIT_RETRY_MS);
      }
    }
    owned.isCommitting = false;
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#services.context.clock.setTimer(delayMs, resolve));
  }

  /** Before a segment's end is proposed: hands out nothing more, and commits what has arrived. */
  async #handOver(segment: SegmentRecord): Promise<void> {
    this.#closing.add(segment.segmentId);
    const owned = this.#owned.get(keyOf(segment));
    if (owned?.segment.segmentId !== segment.segmentId) return;
    await new Promise<void>((resolve) => {
      const timer: Timer = this.#services.context.clock.setTimer(QUIET_MS_MAX, resolve);
      owned.cursor.close(() => {
        timer.cancel();
        resolve();
      });
    });
    await this.#services.committer.commit(1, () => this.#commitOf(owned));
  }

  /** Forgets cursors of segments that this node does not lead any more. */
  #dropOld(): void {
    const { metadata } = this.#services.router;
    for (const segmentId of this.#closing) {
      if (metadata.segments.get(segmentId)?.state !== 'OPEN') this.#closing.delete(segmentId);
    }
    for (const [key, owned] of this.#owned) {
      if (metadata.segments.get(owned.segment.segmentId)?.state === 'OPEN') continue;
      this.#owned.delete(key);
      owned.cursor.end();
    }
  }
}

function handedHere(owned: Owned, taken: Parameters<TakeDone>[1] & object): Handed {
  return {
    partition: owned.name.partition,
    offset: taken.offset,
    value: taken.value,
    settle: (wasDelivered) => owned.cursor.settle(taken.offset, wasDelivered),
  };
}

function keyOf({ topic, partition }: PartitionName): string {
  return `${topic}/${partition}`;
}

function noLeader({ topic, partition }: PartitionName): WalrusError {
  return new WalrusError('NOT_LEADER', `${topic}/${partition} has no leader that serves now`);
}
