/**
 * All replicas of this node's disk, as members of their segments: takes Appends from leaders, stores fences,
 * copies and reads (DESIGN W2-W5, R2, R3, S1). The leader's own replica is in here, too, and is treated the same.
 *
 * What a member may answer:
 * - It creates a replica only for a segment that its applied metadata has, with this disk in it: an unknown
 *   segment is NOT_READY (metadata lags) or gone, never a reason to create or delete anything (DESIGN 1.5).
 * - An answer to a fence is evidence only from the disk that is named in the metadata; damage is UNKNOWN, never 0.
 */
import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import { offset } from '../../base/units.ts';
import type { Offset, SegmentId } from '../../base/units.ts';
import type { Append, AppendAck, AppendStatus, Open } from '../../protocol/peer/append.ts';
import { splitBatches } from '../../protocol/recordBatch.ts';
import type { Metadata, SegmentRecord } from '../state/types.ts';
import type {
  AppendCredentials,
  ReadResult,
  Rebuild,
  Replica,
  ReplicaTail,
  StorageEngine,
} from '../storage/types.ts';
import { ProducerFolds } from './producerFolds.ts';
import { ProducerStates, producerBatchOf } from './producerStates.ts';
import { readSound } from './soundCopy.ts';

/** How often a member that has restarted asks its leaders what is committed, until they answer. */
export const ANNOUNCE_INTERVAL_MS = 500;

export interface ReplicaHostOptions {
  readonly storage: StorageEngine;
  readonly clock: Clock;
  readonly metadata: () => Metadata;
  /** Answers a leader at its peer address. */
  sendAck(address: string, ack: Omit<AppendAck, 'type'>): void;
}

/** One hosted copy and what is known of it beside its bytes. */
interface Hosted {
  readonly replica: Replica;
  /** The fold of everything up to the tail; null when it must be rebuilt (after a start). */
  producers: ProducerStates | null;
  /** What this node knows to be committed (W5); the end once sealed. */
  committedOffset: Offset;
  /** Who is owed an answer when `durableTail` moves. */
  leaderAddress: string | null;
  isAckDue: boolean;
}

/** A piece of a segment on its way to another disk. */
export interface Copy {
  /** The recovery's; null when the segment is sealed. */
  readonly epoch: number | null;
  readonly batches: Uint8Array;
  /** Of the source replica; empty when that one does not know it either. */
  readonly producerSnapshot: Uint8Array;
}

type CommittedListener = (segmentId: SegmentId, committedOffset: Offset) => void;

export class ReplicaHost {
  readonly #options: ReplicaHostOptions;
  readonly #hosted = new Map<SegmentId, Hosted>();
  readonly #folds: ProducerFolds;
  #isStopped = false;
  #onCommitted: CommittedListener = () => undefined;

  constructor(options: ReplicaHostOptions) {
    this.#options = options;
    this.#folds = new ProducerFolds(options.clock);
    for (const replica of options.storage.replicas()) this.#host(replica, null);
  }

  /** Ends what it does by itself. */
  stop(): void {
    this.#isStopped = true;
  }

  /** This node's disk. */
  get diskId(): string {
    return this.#options.storage.identity.diskId;
  }

  /** Sets the one listener for every segment's committed offset. */
  onCommitted(listener: CommittedListener): void {
    this.#onCommitted = listener;
  }

  replica(segmentId: SegmentId): Replica | undefined {
    return this.#hosted.get(segmentId)?.replica;
  }

  segmentIds(): readonly SegmentId[] {
    return [...this.#hosted.keys()];
  }

  /** The offset below which this node may serve an open segment; its base when it knows nothing. */
  committedOffset(segment: SegmentRecord): Offset {
    const hosted = this.#hosted.get(segment.segmentId);
    if (hosted === undefined) return segment.baseOffset;
    const bound = segment.endOffset ?? hosted.committedOffset;
    return offset(Math.min(bound, hosted.replica.tail));
  }

  /** The leader of the local replica, or a message from it, says what is committed. Never goes back. */
  setCommitted(segmentId: SegmentId, committedOffset: Offset): void {
    const hosted = this.#hosted.get(segmentId);
    if (hosted === undefined || committedOffset <= hosted.committedOffset) return;
    hosted.committedOffset = committedOffset;
    this.#onCommitted(segmentId, offset(Math.min(committedOffset, hosted.replica.tail)));
  }

  /**
   * Creates this node's own replica of a segment that it is about to lead.
   * @throws {WalrusError} DISK_FULL, DISK_FAILED
   */
  createForLeader(segment: SegmentRecord, producers: ProducerStates): Replica {
    const hosted = this.#create(segment, producers.encode(), 0);
    hosted.producers = producers; // the leader records into the same object
    return hosted.replica;
  }

  /** @param producerSnapshot - Empty when not known: such a copy cannot say what its producers' state is. */
  #create(segment: SegmentRecord, producerSnapshot: Uint8Array, fenceEpoch: number): Hosted {
    const replica = this.#options.storage.createReplica({
      segmentId: segment.segmentId,
      token: segment.token,
      baseOffset: segment.baseOffset,
      producerSnapshot,
      ...(fenceEpoch > 0 ? { fenceEpoch } : {}),
    });
    const isKnown = producerSnapshot.length > 0;
    return this.#host(replica, isKnown ? ProducerStates.decode(producerSnapshot) : null);
  }

  #host(replica: Replica, producers: ProducerStates | null): Hosted {
    const hosted: Hosted = {
      replica,
      producers,
      committedOffset: replica.baseOffset,
      leaderAddress: null,
      isAckDue: false,
    };
    this.#hosted.set(replica.segmentId, hosted);
    replica.onDurable(() => this.#acknowledge(hosted, 'OK'));
    return hosted;
  }

  /**
   * After a start: asks the leaders of this disk's open segments what is committed, since that is not stored.
   * Asks again until each has spoken, so that an idle segment can be read here, too.
   */
  announce(): void {
    if (this.#isStopped) return;
    const { nodes, segments } = this.#options.metadata();
    let isAnyoneSilent = false;
    for (const hosted of this.#hosted.values()) {
      const segment = segments.get(hosted.replica.segmentId);
      if (segment?.state !== 'OPEN' || hosted.leaderAddress !== null) continue;
      const address = nodes.get(segment.leader.nodeId)?.peerAddress;
      if (address === undefined || segment.leader.diskId === this.diskId) continue;
      isAnyoneSilent = true;
      this.#options.sendAck(address, this.#ackOf(hosted, 'RESTARTED'));
    }
    if (isAnyoneSilent) this.#options.clock.setTimer(ANNOUNCE_INTERVAL_MS, () => this.announce());
  }

  /** Creates the replica that a leader at `address` opens, and answers it when that is durable. */
  handleOpen(address: string, message: Open): void {
    const found = this.#admit(message);
    if (typeof found !== 'string') {
      this.#answer(address, found);
      return;
    }
    if (found !== 'NEED_OPEN') {
      this.#refuse(address, message, found);
      return;
    }
    const segment = this.#options.metadata().segments.get(message.segmentId);
    assert(segment !== undefined, 'An admitted message is for a segment of the metadata');
    try {
      this.#answer(address, this.#create(segment, message.producerSnapshot, 0));
    } catch (error) {
      this.#refuse(address, message, appendStatusOf(error));
    }
  }

  /** Takes an Append of a leader at `address` and answers it, at once or when its data is durable. */
  handleAppend(address: string, message: Append): void {
    const found = this.#admit(message);
    if (typeof found === 'string') {
      this.#refuse(address, message, found);
      return;
    }
    const status = this.#store(found, message);
    // A damaged copy takes nothing more, and may still serve what is good and committed.
    const isKnown = status === 'OK' || found.replica.damage !== null;
    if (isKnown) this.setCommitted(message.segmentId, message.committedOffset);
    if (status === 'OK') {
      this.#answer(address, found);
    } else {
      found.leaderAddress = address;
      this.#acknowledge(found, status);
    }
  }

  /** With data under way, the group commit's callback answers; else the end of the turn does, once for all. */
  #answer(address: string, hosted: Hosted): void {
    hosted.leaderAddress = address;
    if (hosted.replica.durableTail < hosted.replica.tail || hosted.isAckDue) return;
    hosted.isAckDue = true;
    this.#options.clock.defer(() => {
      hosted.isAckDue = false;
      this.#acknowledge(hosted, 'OK');
    });
  }

  /** The replica that a leader's message is for, or why there is none for it. */
  #admit(message: Append | Open): Hosted | AppendStatus {
    if (message.diskId !== this.diskId) return 'REFUSED';
    const metadata = this.#options.metadata();
    const segment = metadata.segments.get(message.segmentId);
    if (segment === undefined) {
      return message.segmentId >= metadata.nextSegmentId ? 'NOT_READY' : 'FENCED';
    }
    if (segment.token !== message.token) return 'REFUSED';
    if (segment.state !== 'OPEN') return 'FENCED';
    if (!segment.ensemble.some((place) => place.diskId === this.diskId)) return 'REFUSED';
    return this.#hosted.get(message.segmentId) ?? 'NEED_OPEN';
  }

  #store(hosted: Hosted, message: Append): AppendStatus {
    if (hosted.replica.damage !== null) return 'UNAVAILABLE';
    if (message.firstOffset > hosted.replica.tail) return 'GAP';
    try {
      const credentials = { token: message.token, epoch: 0 };
      for (const batch of splitBatches(message.batches))
        this.#appendOne(hosted, batch, credentials);
      return 'OK';
    } catch (error) {
      return appendStatusOf(error);
    }
  }

  /** Stores one batch and folds it into the producers' state. */
  #appendOne(hosted: Hosted, batch: Uint8Array, credentials: AppendCredentials): void {
    const before = hosted.replica.tail;
    const after = hosted.replica.append(batch, credentials);
    if (after > before) hosted.producers?.record(producerBatchOf(batch, 0), before);
  }

  #acknowledge(hosted: Hosted, status: AppendStatus): void {
    if (hosted.leaderAddress === null) return;
    this.#options.sendAck(hosted.leaderAddress, this.#ackOf(hosted, status));
  }

  #ackOf({ replica, committedOffset }: Hosted, status: AppendStatus): Omit<AppendAck, 'type'> {
    return {
      segmentId: replica.segmentId,
      token: replica.token,
      diskId: this.diskId,
      status,
      tail: replica.tail,
      durableTail: replica.durableTail,
      committedOffset,
    };
  }

  #refuse(address: string, message: Append | Open, status: AppendStatus): void {
    const nothing = offset(0);
    this.#options.sendAck(address, {
      segmentId: message.segmentId,
      token: message.token,
      diskId: this.diskId,
      status,
      tail: nothing,
      durableTail: nothing,
      committedOffset: nothing,
    });
  }

  /**
   * R2: fences the segment on this disk durably and reports the tail, also where the segment was never seen.
   * @throws {WalrusError} through `done`: REPLICA_UNKNOWN for anything that is no evidence.
   */
  fence(
    segment: SegmentRecord,
    epoch: number,
    done: (error: WalrusError | null, tail: ReplicaTail | null) => void,
  ): void {
    const known = this.#hosted.get(segment.segmentId)?.replica;
    if (known !== undefined && known.damage !== null) {
      done(new WalrusError('REPLICA_UNKNOWN', known.damage.message, { cause: known.damage }), null);
      return;
    }
    try {
      const replica = known ?? this.#create(segment, new Uint8Array(0), epoch).replica;
      replica.fence(epoch, (error, tail) => {
        const unknown = error === null ? null : asUnknown(error);
        done(unknown, unknown === null ? tail : null);
      });
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      done(asUnknown(error), null);
    }
  }

  /**
   * S4: fences a damaged copy and reports where what is sound of it ends, for a seal that gives up what nobody has. A
   * damaged copy takes no records any more, and its disk is no evidence of what there was.
   */
  fenceDamaged(
    replica: Replica,
    epoch: number,
    done: (error: WalrusError | null, tail: ReplicaTail | null) => void,
  ): void {
    try {
      replica.fence(epoch, (error) => {
        if (error !== null && error !== replica.damage) {
          done(asUnknown(error), null);
          return;
        }
        readSound(replica, this.#options.clock, (problem, tail) => {
          done(problem === null ? null : asUnknown(problem), tail);
        });
      });
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      done(asUnknown(error), null);
    }
  }

  /** Whether the metadata, as applied here, name this disk for a copy of a segment by a recovery or a repair. */
  takesCopy(segmentId: SegmentId): boolean {
    const segment = this.#options.metadata().segments.get(segmentId);
    if (segment?.state !== 'RECOVERING' && segment?.state !== 'SEALED') return false;
    return [...segment.ensemble, ...segment.partialPlaces].some(
      ({ diskId }) => diskId === this.diskId,
    );
  }

  /**
   * R5, S2: stores batches that a recovery or a repair copies here. Creates the replica fenced when it is new. Looks at
   * the metadata of this moment: what arrives after the segment's deletion must not make it again.
   * @param copy - Whole batches and the source's producer snapshot.
   * @returns the tail after the copy; durable after `flush` of the storage.
   * @throws {WalrusError} SEGMENT_NOT_FOUND unless `takesCopy`; as Replica.append.
   */
  copy(segmentId: SegmentId, copy: Copy): Offset {
    const segment = this.#options.metadata().segments.get(segmentId);
    if (segment === undefined || !this.takesCopy(segmentId)) {
      const message = `Segment ${segmentId} is not to be copied to this disk (any more)`;
      throw new WalrusError('SEGMENT_NOT_FOUND', message);
    }
    const hosted = this.#hostedForCopy(segment, copy);
    // A disk that is no member got its fence from the recovery that first copied to it: a later one goes on there.
    if (copy.epoch !== null && copy.epoch > hosted.replica.fenceEpoch) {
      hosted.replica.fence(copy.epoch, () => undefined); // the flush after the copy makes both durable, or fails
    }
    // Once sealed, the fence has done its work: whichever this disk has, the end is decided.
    const epoch = copy.epoch ?? hosted.replica.fenceEpoch;
    const credentials = { token: segment.token, epoch };
    for (const batch of splitBatches(copy.batches)) this.#appendOne(hosted, batch, credentials);
    return hosted.replica.tail;
  }

  #hostedForCopy(segment: SegmentRecord, { epoch, producerSnapshot }: Copy): Hosted {
    const hosted = this.#hosted.get(segment.segmentId);
    if (hosted === undefined) {
      return this.#create(segment, producerSnapshot, Math.max(epoch ?? segment.epoch, 1));
    }
    // A fence made it, and did not know what was before it: that comes with the records (ADR 0111).
    const { replica } = hosted;
    const isKnown = replica.producerSnapshot.length > 0 || producerSnapshot.length === 0;
    if (!isKnown && replica.damage === null) {
      replica.learnProducers(producerSnapshot);
      if (replica.tail === replica.baseOffset)
        hosted.producers = ProducerStates.decode(producerSnapshot);
    }
    return hosted;
  }

  /** Segments whose copy here is damaged. */
  damaged(): readonly SegmentId[] {
    return this.#options.storage.damaged();
  }

  /** Sets the one listener for copies that are found damaged; called while they are read. */
  onDamage(listener: (segmentId: SegmentId) => void): void {
    this.#options.storage.onDamage(listener);
  }

  /** S2: begins a new copy beside a damaged one. @throws {WalrusError} As StorageEngine.beginRebuild. */
  beginRebuild(segmentId: SegmentId): Rebuild {
    return this.#options.storage.beginRebuild(segmentId);
  }

  /**
   * Puts a new copy of a sealed segment in the place of the damaged one; durable when it resolves.
   * @throws {WalrusError} CORRUPT_SEGMENT unless it is the sealed one; as Rebuild.finish.
   */
  finishRebuild(segmentId: SegmentId, rebuild: Rebuild, sealed: ReplicaTail): Promise<void> {
    return new Promise((resolve, reject) => {
      rebuild.finish(sealed, (error) => {
        const hosted = this.#hosted.get(segmentId);
        if (hosted !== undefined) hosted.producers = null; // folded from the damaged copy
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  /** Calls back once every deletion so far is durable, whatever appends wait for space. */
  flushCatalog(done: (error: WalrusError | null) => void): void {
    this.#options.storage.flushCatalog(done);
  }

  /** Calls back once everything accepted on this disk so far is durable. */
  flush(done: (error: WalrusError | null) => void): void {
    this.#options.storage.flush(done);
  }

  /**
   * Batches of a segment, up to what is committed or, with `limit`, up to there (recovery and repair).
   * @throws {WalrusError} REPLICA_UNKNOWN when this node has no copy that reaches `from`; as Replica.read.
   */
  read(
    segment: SegmentRecord,
    from: Offset,
    range: { maxBytes: number; limit?: Offset },
  ): ReadResult {
    const replica = this.#hosted.get(segment.segmentId)?.replica;
    const limit = range.limit ?? this.committedOffset(segment);
    if (replica === undefined || (from > replica.tail && from < limit)) {
      const what = `segment ${segment.segmentId} from offset ${from}`;
      throw new WalrusError(
        'REPLICA_UNKNOWN',
        `This node has no copy of ${what}: read another replica`,
      );
    }
    return replica.read(from, limit, range.maxBytes);
  }

  /**
   * The producers' state at an offset, encoded; folded from the log where it is not at hand.
   * @throws {WalrusError} REPLICA_UNKNOWN, CORRUPT_SEGMENT
   */
  async producersAt(segment: SegmentRecord, end: Offset): Promise<Uint8Array> {
    const hosted = this.#hosted.get(segment.segmentId);
    if (hosted === undefined || hosted.replica.tail < end) {
      throw askAnother(`has no copy of segment ${segment.segmentId} up to offset ${end}`);
    }
    const { replica } = hosted;
    if (hosted.producers !== null && replica.tail === end) return hosted.producers.encode();
    if (replica.producerSnapshot.length === 0 || replica.damage !== null) {
      throw askAnother(`does not know the producers of segment ${segment.segmentId}`);
    }
    const snapshot = await this.#folds.at(replica, end);
    if (hosted.producers === null && replica.tail === end)
      hosted.producers = ProducerStates.decode(snapshot);
    return snapshot;
  }

  /** Forgets a segment whose tombstone was applied, and frees its blocks (S3). */
  delete(segmentId: SegmentId): void {
    if (!this.#hosted.delete(segmentId)) return;
    this.#options.storage.deleteReplica(segmentId);
  }
}

function askAnother(why: string): WalrusError {
  return new WalrusError('REPLICA_UNKNOWN', `This node ${why}: ask another replica`);
}

function asUnknown(error: WalrusError): WalrusError {
  if (error.code === 'FENCED') return error;
  return new WalrusError('REPLICA_UNKNOWN', error.message, { cause: error });
}

function appendStatusOf(error: unknown): AppendStatus {
  if (!isWalrusError(error)) throw error;
  switch (error.code) {
    case 'FENCED':
      return 'FENCED';
    case 'WRONG_TOKEN':
      return 'REFUSED';
    case 'OUT_OF_ORDER_APPEND':
      return 'GAP';
    case 'OVERLOADED':
      return 'BUSY';
    default:
      return 'UNAVAILABLE'; // CORRUPT_BATCH, too: the leader would send the same bytes again
  }
}
