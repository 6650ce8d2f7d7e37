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
import type { SegmentId } from '../../base/units.ts';
import type { NextRecord } from '../../protocol/client/getNext.ts';
import { CONFIRM_DELIVERY, TAKE_NEXT } from '../../protocol/peer/requests.ts';
import type { TakeNextRequest, TakeNextResponse } from '../../protocol/peer/requests.ts';
import type { PositionsCommit } from '../state/commands.ts';
import { committedPosition } from '../state/queries.ts';
import type { SegmentRecord, TopicRecord } from '../state/types.ts';
import { CursorDemand, TAKE_COUNT_MAX } from './cursorDemand.ts';
import type { Look } from './cursorDemand.ts';
import type { Handed, NextDone } from './handed.ts';
import { Deliveries } from './deliveries.ts';
import type { LogReader } from './logReader.ts';
import { PartitionCursor } from './partitionCursor.ts';
import type { Taken } from './partitionCursor.ts';
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
/** Bytes of records in one answer to another node, one record apart. */
const TAKE_BYTES_MAX = 1024 * 1024;
const COMMIT_RETRY_MS = 100;

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
  /** Topics for which somebody waits. */
  readonly #demands = new Map<string, CursorDemand>();
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
    rpc.handle(TAKE_NEXT, (request) => this.#serveNode(request));
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
    const { name } = topic;
    const isFirst = topic.partitions.length === 1 && !this.#demands.has(name);
    const owned = isFirst ? this.#ownedCursor({ topic: name, partition: 0 }) : null;
    if (owned === null) {
      this.#demandFor(name).add(done);
      return;
    }
    // The usual case without a promise: the one partition is led here.
    owned.cursor.take((error, taken) => {
      if (error?.retriable === true && error.code !== 'OVERLOADED') {
        this.#demandFor(name).add(done); // the cursor is being handed over, or opened
      } else done(error, taken === null ? null : handedHere(owned, taken));
    });
  }

  #demandFor(topic: string): CursorDemand {
    const known = this.#demands.get(topic);
    if (known !== undefined) return known;
    const { progress } = this.#services;
    const { clock, limits } = this.#services.context;
    const demand = new CursorDemand({
      clock,
      requestTimeoutMs: limits.requestTimeoutMs,
      look: (count) => this.#look(topic, count),
      pause: () => progress.moved(topic, RETRY_MS, clock),
      onIdle: () => void this.#demands.delete(topic),
    });
    this.#demands.set(topic, demand);
    return demand;
  }

  /** Asks the partitions' cursors, beginning behind the one that gave the last record, until there are enough. */
  async #look(topic: string, count: number): Promise<Look> {
    const handed: Handed[] = [];
    let failure: WalrusError | null = null;
    let isEnd = true;
    try {
      const record = await this.#services.router.findTopic(topic);
      const asked = new Set<string>();
      for (const partition of this.#inTurn(topic, record.partitions.length)) {
        if (handed.length >= count) break;
        const found = await this.#ask({ topic, partition }, count - handed.length, asked);
        handed.push(...found.handed);
        isEnd &&= found.isEnd;
        failure ??= found.failure;
      }
      const last = handed.at(-1);
      if (last !== undefined) this.#rotation.set(topic, last.partition + 1);
    } catch (error) {
      failure = asWalrusError(error);
    }
    return { handed, isEnd, failure };
  }

  /** The partitions in the order in which they are asked this time. */
  #inTurn(topic: string, count: number): readonly number[] {
    const start = this.#rotation.get(topic) ?? 0;
    return Array.from({ length: count }, (_, i) => (start + i) % count);
  }

  /** @param asked - The nodes that were asked already, for all of their partitions at once. */
  async #ask(name: PartitionName, count: number, asked: Set<string>): Promise<Look> {
    const leadership = this.#services.router.leadership(name);
    if (leadership?.type === 'Here') return await this.#takeHere(name, count);
    if (leadership?.type !== 'There') return failed(noLeader(name));
    const { address } = leadership;
    if (asked.has(address)) return NOTHING;
    asked.add(address);
    const { topic } = name;
    const { rpc } = this.#services.context.parts;
    try {
      const request = { topic, maxCount: count };
      const { records, isEnd } = await rpc.call(address, TAKE_NEXT, request, ASK_TIMEOUT_MS);
      return {
        handed: records.map((each) => this.#from(address, topic, each)),
        isEnd,
        failure: null,
      };
    } catch (error) {
      return failed(asWalrusError(error));
    }
  }

  /** A record that another node's cursor has handed out. */
  #from(address: string, topic: string, record: NextRecord): Handed {
    const { partition, offset: at } = record;
    return {
      ...record,
      settle: (wasDelivered) => {
        this.#deliveries.settle(address, { topic, partition }, { offset: at, wasDelivered });
      },
    };
  }

  /** Takes records of a partition that is led here. */
  async #takeHere(name: PartitionName, count: number): Promise<Look> {
    const handed: Handed[] = [];
    const owned = this.#ownedCursor(name);
    if (owned === null) return failed(noLeader(name));
    let bytes = 0;
    while (handed.length < count && bytes < TAKE_BYTES_MAX) {
      const { error, taken } = await take(owned.cursor);
      if (error !== null) return { handed, isEnd: false, failure: error };
      if (taken === null) return { handed, isEnd: true, failure: null };
      handed.push(handedHere(owned, taken));
      bytes += taken.value.length;
    }
    return { handed, isEnd: false, failure: null };
  }

  /** For another node: only what is led here, so that requests do not go round. */
  async #serveNode({ topic, maxCount }: TakeNextRequest): Promise<TakeNextResponse> {
    const record = await this.#services.router.findTopic(topic);
    const count = Math.min(maxCount, TAKE_COUNT_MAX);
    const records: NextRecord[] = []; // settled by the other node's ConfirmDelivery
    let isLeading = false;
    let isEnd = true;
    let failure: WalrusError | null = null;
    for (const partition of this.#inTurn(topic, record.partitions.length)) {
      if (records.length >= count) break;
      if (this.#services.router.leadership({ topic, partition })?.type !== 'Here') continue;
      isLeading = true;
      const found = await this.#takeHere({ topic, partition }, count - records.length);
      for (const { offset: at, value } of found.handed)
        records.push({ partition, offset: at, value });
      isEnd &&= found.isEnd;
      failure ??= found.failure;
    }
    const last = records.at(-1);
    if (last !== undefined) this.#rotation.set(topic, last.partition + 1);
    if (!isLeading) throw noLeader({ topic, partition: 0 });
    if (failure !== null && records.length === 0) throw failure;
    return { records, isEnd };
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
    const { metadata } = this.#services.router;
    const { topic, partition } = owned.name;
    const position = owned.cursor.safePosition;
    const committed = committedPosition(metadata, SHARED_GROUP, owned.name) ?? offset(0);
    if (position <= committed) return null;
    const { topicId } = owned;
    const positions = [{ topic, topicId, partition, offset: position }];
    return { group: SHARED_GROUP, unchangedSince: metadata.lastApplied, positions };
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

const NOTHING: Look = { handed: [], isEnd: true, failure: null };

function failed(failure: WalrusError): Look {
  return { handed: [], isEnd: false, failure };
}

function take(
  cursor: PartitionCursor,
): Promise<{ readonly error: WalrusError | null; readonly taken: Taken | null }> {
  return new Promise((resolve) => {
    cursor.take((error, taken) => resolve({ error, taken }));
  });
}

function handedHere(owned: Owned, taken: Taken): Handed {
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
