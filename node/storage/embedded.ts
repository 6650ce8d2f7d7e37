/**
 * The engine without a cluster: topics by name on one disk, one copy each, for programs that want a durable log and for
 * benchmarks. One topic is one segment replica; its name is kept where a cluster keeps the producers' state.
 * docs/embedded.md is its manual.
 *
 * Records that are pushed in one turn of the event loop share a record batch for each topic, and all of them share one
 * group commit and one promise.
 */
import { decodeUtf8, encodeUtf8 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Disk } from '../../base/disk.ts';
import { isWalrusError, WalrusError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { MIB, nodeId, offset, segmentId } from '../../base/units.ts';
import { EMBEDDED_TOKEN, EmbeddedTopic, type TopicHost } from './embeddedTopic.ts';
import { openStorage, type Engine } from './engine.ts';
import { formatDisk, readDiskIdentity } from './formatDisk.ts';
import { PENDING_BYTES_MAX } from './groupCommit.ts';

/** Without syncs, what waits is written as soon as it is this much. */
const UNSYNCED_BYTES_MAX = 2 * MIB;
const NAME_BYTES_MAX = 255;

export interface OpenEmbeddedOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger;
  /** 'none' resolves when the records are written, not when they are synced; a power cut may lose them. */
  readonly sync?: 'always' | 'none';
}

/**
 * Opens the store of a data directory; formats the directory when it is empty.
 * @throws {WalrusError} DATA_DIR_LOCKED, WRONG_DATA_DIR, UNSUPPORTED_VERSION, DISK_FAILED
 */
export function openEmbedded(options: OpenEmbeddedOptions): EmbeddedStore {
  const { disk, random } = options;
  if (!readDiskIdentity(disk)) {
    formatDisk({ disk, random, clusterId: '0'.repeat(32), nodeId: nodeId(1) });
  }
  const engine = openStorage(options);
  engine.noteRegistered(); // there are no metadata that could refuse it
  return new EmbeddedStore(options, engine);
}

/** Who waits for a group. */
interface Waiting {
  readonly promise: Promise<void>;
  readonly settle: (error: WalrusError | null) => void;
}

/** All topics of one data directory. */
export class EmbeddedStore {
  readonly engine: Engine;
  readonly #clock: Clock;
  readonly #isUnsynced: boolean;
  readonly #topics = new Map<string, EmbeddedTopic>();
  readonly #host: TopicHost;
  #nextSegment = 1;
  /** The topics whose open batches hold records. */
  readonly #open = new Set<EmbeddedTopic>();
  #openBytes = 0;
  /** Who waits for the present turn, and for earlier ones. */
  #waiting: Waiting | null = null;
  readonly #inFlight = new Set<Waiting>();
  #sealError: WalrusError | null = null;
  #closing: Promise<void> | null = null;

  /** For `openEmbedded` only. */
  constructor(options: OpenEmbeddedOptions, engine: Engine) {
    this.engine = engine;
    this.#clock = options.clock;
    this.#isUnsynced = options.sync === 'none';
    this.#host = {
      checkOpen: () => {
        if (this.#closing) throw closedError();
      },
      admit: (bytes) => this.#admit(bytes),
      addOpenBytes: (bytes) => void (this.#openBytes += bytes),
      enlist: (topic) => this.#enlist(topic),
      seal: (topic) => this.#seal(topic),
      flushed: () => this.flushed(),
      wallMs: () => Math.floor(options.clock.wallMs()),
    };
    for (const replica of engine.replicas()) {
      const name = decodeUtf8(replica.producerSnapshot);
      this.#topics.set(name, new EmbeddedTopic(this.#host, name, replica));
      this.#nextSegment = Math.max(this.#nextSegment, replica.segmentId + 1);
    }
  }

  /** The names of all topics, sorted. */
  topicNames(): string[] {
    return [...this.#topics.keys()].sort();
  }

  /**
   * The topic of this name; made when there is none.
   * @throws {WalrusError} INVALID_TOPIC_NAME, DISK_FULL, DISK_FAILED, SHUTTING_DOWN
   */
  topic(name: string): EmbeddedTopic {
    const found = this.#topics.get(name);
    if (found) return found;
    const bytes = encodeUtf8(name);
    if (bytes.length === 0 || bytes.length > NAME_BYTES_MAX) {
      const message = `Cannot make a topic: its name has ${bytes.length} bytes, not 1..${NAME_BYTES_MAX}`;
      throw new WalrusError('INVALID_TOPIC_NAME', message);
    }
    const replica = this.engine.createReplica({
      segmentId: segmentId(this.#nextSegment),
      token: EMBEDDED_TOKEN,
      baseOffset: offset(0),
      producerSnapshot: bytes,
    });
    this.#nextSegment += 1;
    const topic = new EmbeddedTopic(this.#host, name, replica);
    this.#topics.set(name, topic);
    return topic;
  }

  /** Removes a topic and all its records; durable with the next group, and only then its space is free. */
  deleteTopic(name: string): void {
    const topic = this.#topics.get(name);
    if (!topic) return;
    this.#topics.delete(name);
    this.#open.delete(topic);
    topic.discard();
    this.engine.deleteReplica(topic.replica.segmentId);
  }

  /**
   * One promise for all that was accepted in this turn and before: resolves when it is durable.
   * Rejects with DISK_FULL, DISK_FAILED or OVERLOADED when a part of it could not be stored.
   */
  flushed(): Promise<void> {
    return (this.#waiting ?? this.#beginTurn()).promise;
  }

  /**
   * Flushes what is pending, closes the files and releases the lock. The promise of what could not be stored any more is
   * rejected.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#waiting) this.#endTurn();
    await this.engine.close();
    const error = new WalrusError('SHUTTING_DOWN', 'The store was closed before this was durable');
    for (const waiting of this.#inFlight) waiting.settle(error);
  }

  /** Not a part of `flushed()`: a closure in there would cost a context for each append. */
  #beginTurn(): Waiting {
    const waiting = newWaiting();
    if (this.#closing) {
      waiting.settle(closedError());
      return waiting;
    }
    this.#waiting = waiting;
    this.#clock.defer(() => {
      if (this.#waiting === waiting) this.#endTurn();
    });
    return waiting;
  }

  /** Ends the turn: what the open batches hold goes to the engine as one group. */
  #endTurn(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    this.#waiting = null;
    for (const topic of this.#open) this.#seal(topic);
    this.#open.clear();
    const sealError = this.#sealError;
    this.#sealError = null;
    this.#inFlight.add(waiting);
    this.engine.flush((error) => {
      this.#inFlight.delete(waiting);
      waiting.settle(error ?? sealError);
    });
    this.engine.commitNow();
  }

  #enlist(topic: EmbeddedTopic): void {
    this.#open.add(topic);
    void this.flushed();
  }

  #admit(bytes: number): void {
    const { engine } = this;
    if (engine.health.state === 'READ_ONLY') throw engine.health.error;
    if (this.#isUnsynced && engine.pendingBytes > UNSYNCED_BYTES_MAX) engine.commitNow();
    if (engine.pendingBytes + this.#openBytes + bytes <= PENDING_BYTES_MAX) return;
    const message = 'Cannot append: too much waits for the disk; await what was appended before';
    throw new WalrusError('OVERLOADED', message);
  }

  #seal(topic: EmbeddedTopic): void {
    try {
      topic.sealNow();
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      this.#sealError = error;
    }
  }
}

function closedError(): WalrusError {
  return new WalrusError('SHUTTING_DOWN', 'The store is closed');
}

function newWaiting(): Waiting {
  let settle: Waiting['settle'] = () => undefined;
  const promise = new Promise<void>((resolve, reject) => {
    settle = (error) => {
      if (error) reject(error);
      else resolve();
    };
  });
  // Whoever does not await has chosen not to know; the others get the same rejection.
  promise.catch(() => undefined);
  return { promise, settle };
}
