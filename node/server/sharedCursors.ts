/**
 * The shared cursors of all topics (text `GET`, binary `GetNext`), as clients of this node and other nodes ask for
 * them. A partition's cursor lives where its open segment is led; its position is durable in the metadata as that of
 * the group `$text`, which no client can name.
 *
 * - A new leader begins at the committed position. The old one commits before it proposes the end of its segment, so
 *   that the new one's metadata has it by the time that it leads.
 * - Commits follow deliveries. After a crash what was delivered and not committed is delivered again.
 * - In order: a cursor hands its records to one node at a time, and what a node did not get comes first in its next answer. Who
 *   has records of one cursor does not wait for another's, since others wait for those.
 */
import type { Timer } from '../../base/clock.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { PeerIdentity } from '../../base/network.ts';
import { nodeId, offset } from '../../base/units.ts';
import type { NodeId, SegmentId } from '../../base/units.ts';
import type { NextRecord } from '../../protocol/client/getNext.ts';
import { CONFIRM_DELIVERY, TAKE_NEXT } from '../../protocol/peer/requests.ts';
import type { TakeNextRequest, TakeNextResponse } from '../../protocol/peer/requests.ts';
import type { PositionsCommit } from '../state/commands.ts';
import { committedPosition } from '../state/queries.ts';
import type { SegmentRecord, TopicRecord } from '../state/types.ts';
import { CursorDemand, TAKE_COUNT_MAX } from './cursorDemand.ts';
import type { Look } from './cursorDemand.ts';
import type { Handed, NextTaker } from './handed.ts';
import type { LogReader } from './logReader.ts';
import { PartitionCursor } from './partitionCursor.ts';
import type { Taken, TakeResult } from './partitionCursor.ts';
import type { PositionCommitter } from './positionCommitter.ts';
import { asWalrusError } from './produceService.ts';
import type { Progress } from './progress.ts';
import { RemoteCursors } from './remoteCursors.ts';
import type { Answer } from './remoteCursors.ts';
import type { PartitionName, Router } from './router.ts';
import type { ServerContext } from './serverContext.ts';

/** The group of the shared cursors. */
export const SHARED_GROUP = '$text';
/** How long a close waits for deliveries to be confirmed; below what it waits for its hooks. */
const QUIET_MS_MAX = 500;
const RETRY_MS = 25;
const COMMIT_RETRY_MS = 100;
/** Between two commits of a cursor that moves on: each is a sync on every voter. After a crash so much more comes twice. */
const COMMIT_PAUSE_MS = 50;

/** Who asks for records. */
interface Asker {
  readonly taker: NodeId;
  readonly count: number;
  isWanted(owned: Owned): boolean;
}

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
  readonly #remote: RemoteCursors;
  /** Topics for which somebody waits. */
  readonly #demands = new Map<string, CursorDemand>();
  /** Of each topic where the next look begins, so that no partition is left out. */
  readonly #rotations = new Map<string, number>();

  constructor(services: CursorServices) {
    this.#services = services;
    this.#remote = new RemoteCursors(services.context);
    const { rpc, segments } = services.context.parts;
    segments.beforeClose((segment) => this.#handOver(segment));
    services.context.parts.metadata.onApplied(({ segments: touched, isRestored }) => {
      if (touched.size > 0 || isRestored) this.#dropOld();
    });
    rpc.handle(TAKE_NEXT, (request, from) => this.#serveNode(request, from));
    rpc.handle(CONFIRM_DELIVERY, ({ topic, partition, deliveries }, from) => {
      const cursor = this.#owned.get(keyOf({ topic, partition }))?.cursor;
      const taker = nodeId(from.nodeId);
      for (const { offset: at, wasDelivered } of deliveries) {
        cursor?.settle(at, wasDelivered, taker);
      }
      return null;
    });
  }

  /** The process is stopping: forgets all cursors, so that nothing is committed or waited for any more. */
  stop(): void {
    for (const { cursor } of this.#owned.values()) cursor.end();
    this.#owned.clear();
  }

  get #self(): NodeId {
    return this.#services.context.parts.self.nodeId;
  }

  /** The next record of a topic that exists, from whichever partition has one; within the request time-out. */
  next(topic: TopicRecord, waiting: NextTaker): void {
    const { name } = topic;
    const isFirst = topic.partitions.length === 1 && !this.#demands.has(name);
    const owned = isFirst ? this.#ownedCursor({ topic: name, partition: 0 }) : null;
    if (owned === null) {
      this.#demandFor(name).add(waiting);
      return;
    }
    // The usual case without a promise: the one partition is led here.
    owned.cursor.take({
      taker: this.#self,
      count: 1,
      isWanted: () => waiting.isWanted(),
      done: ({ taken: [taken], error }) => {
        if (error?.retriable === true && error.code !== 'OVERLOADED') {
          this.#demandFor(name).add(waiting); // the cursor is being handed over, or opened
        } else waiting.done(error, taken === undefined ? null : this.#handedHere(owned, taken));
      },
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
      const asked = new Map<string, Answer>();
      for (const partition of this.#inTurn(topic, record.partitions.length)) {
        if (handed.length >= count) break;
        const name = { topic, partition };
        const left = count - handed.length;
        const found = await (handed.length === 0
          ? this.#ask(name, left, asked)
          : this.#askFree(name, this.#asLocal(left)));
        handed.push(...found.handed);
        isEnd &&= found.isEnd;
        failure ??= found.failure;
      }
      const last = handed.at(-1);
      if (last !== undefined) this.#rotations.set(topic, last.partition + 1);
    } catch (error) {
      failure = asWalrusError(error);
    }
    return { handed, isEnd, failure };
  }

  /** This node's clients. They are looked at when it is known what there is for them. */
  #asLocal(count: number): Asker {
    return { taker: this.#self, count, isWanted: () => true };
  }

  /** The partitions in the order in which they are asked this time. */
  #inTurn(topic: string, count: number): readonly number[] {
    const start = this.#rotations.get(topic) ?? 0;
    return Array.from({ length: count }, (_, i) => (start + i) % count);
  }

  /** @param asked - What the nodes said that were asked already: each is asked once, for all that it leads. */
  async #ask(name: PartitionName, count: number, asked: Map<string, Answer>): Promise<Look> {
    const leadership = this.#services.router.leadership(name);
    if (leadership?.type === 'Here') return await this.#takeHere(name, this.#asLocal(count));
    if (leadership?.type !== 'There') return failed(noLeader(name));
    const { address } = leadership;
    const answer = asked.get(address) ?? (await this.#remote.ask(address, name.topic, count));
    asked.set(address, { ...answer, handed: [] });
    const { handed, ended, failure } = answer;
    const isEnd = ended.has(name.partition);
    if (handed.length > 0 || isEnd || failure !== null) return { handed, isEnd, failure };
    // It has not looked there: it does not know yet that it leads this partition, or leads it no more.
    return failed(noLeader(name));
  }

  /** Takes records of a partition that is led here. */
  async #takeHere(name: PartitionName, asker: Asker): Promise<Look> {
    const owned = this.#ownedCursor(name);
    if (owned === null) return failed(noLeader(name));
    const { taken, isEnd, error } = await take(owned, asker);
    const handed = taken.map((each) => this.#handedHere(owned, each));
    return { handed, isEnd, failure: error };
  }

  /** The same, unless it would have to wait for records that are under way: for who has others already. */
  async #askFree(name: PartitionName, asker: Asker): Promise<Look> {
    const owned = this.#ownedCursor(name);
    return owned?.cursor.isFree(asker.taker) === true ? this.#takeHere(name, asker) : MORE;
  }

  /** For another node: only what is led here, so that requests do not go round. */
  async #serveNode(request: TakeNextRequest, from: PeerIdentity): Promise<TakeNextResponse> {
    const { topic, maxCount } = request;
    const { partitions } = await this.#services.router.findTopic(topic);
    const led = this.#inTurn(topic, partitions.length).filter(
      (partition) => this.#services.router.leadership({ topic, partition })?.type === 'Here',
    );
    if (led.length === 0) throw noLeader({ topic, partition: 0 });
    const asker = this.#begin(led, request, nodeId(from.nodeId));
    const records: NextRecord[] = []; // settled by the other node's ConfirmDelivery
    const ended: number[] = [];
    let failure: WalrusError | null = null;
    const count = Math.min(maxCount, TAKE_COUNT_MAX);
    for (const partition of led) {
      if (records.length >= count) break;
      const name = { topic, partition };
      const one = { ...asker, count: count - records.length };
      const found = await (records.length === 0
        ? this.#takeHere(name, one)
        : this.#askFree(name, one));
      for (const { offset: at, value } of found.handed)
        records.push({ partition, offset: at, value });
      if (found.isEnd) ended.push(partition);
      failure ??= found.failure;
    }
    const last = records.at(-1);
    if (last !== undefined) this.#rotations.set(topic, last.partition + 1);
    if (failure !== null && records.length === 0) throw failure;
    return { records, ended };
  }

  /** Tells all cursors here of a node's request, in one turn: what its last one took and it did not get comes back. */
  #begin(led: readonly number[], call: TakeNextRequest, taker: NodeId): Asker {
    const { topic } = call;
    for (const partition of led) {
      if (this.#ownedCursor({ topic, partition })?.cursor.resume(taker, call) !== false) continue;
      throw new WalrusError('CONFLICT', `A later request of node ${taker} came first`);
    }
    return {
      taker,
      count: 0,
      isWanted: ({ cursor }) => cursor.isCurrent(taker, call),
    };
  }

  /** The cursor of a partition that this node leads; null when it does not, or may have been replaced. */
  #ownedCursor(name: PartitionName): Owned | null {
    const leadership = this.#services.router.leadership(name);
    const { segments } = this.#services.context.parts;
    if (leadership?.type !== 'Here' || !segments.namesEnd(leadership.segment)) return null;
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

  #handedHere(owned: Owned, { offset: at, value }: Taken): Handed {
    const { partition } = owned.name;
    return {
      partition,
      offset: at,
      value,
      settle: (wasDelivered) => owned.cursor.settle(at, wasDelivered, this.#self),
    };
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

  /** Commits a cursor's position at once, then now and then while it moves on. */
  async #commit(owned: Owned): Promise<void> {
    if (owned.isCommitting) return;
    owned.isCommitting = true;
    while (this.#commitOf(owned) !== null) {
      try {
        await this.#services.committer.commit(1, () => this.#commitOf(owned));
        await this.#sleep(COMMIT_PAUSE_MS);
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
    for (const name of this.#rotations.keys()) {
      if (!metadata.topics.has(name)) this.#rotations.delete(name);
    }
    this.#remote.forgetAllBut(metadata.topics);
    for (const [key, owned] of this.#owned) {
      if (metadata.segments.get(owned.segment.segmentId)?.state === 'OPEN') continue;
      this.#owned.delete(key);
      owned.cursor.end();
    }
  }
}

/** There may be more. */
const MORE: Look = { handed: [], isEnd: false, failure: null };

function failed(failure: WalrusError): Look {
  return { handed: [], isEnd: false, failure };
}

function take(owned: Owned, asker: Asker): Promise<TakeResult> {
  const { taker, count } = asker;
  return new Promise((done) => {
    owned.cursor.take({ taker, count, isWanted: () => asker.isWanted(owned), done });
  });
}

function keyOf({ topic, partition }: PartitionName): string {
  return `${topic}/${partition}`;
}

function noLeader({ topic, partition }: PartitionName): WalrusError {
  return new WalrusError('NOT_LEADER', `${topic}/${partition} has no leader that serves now`);
}
