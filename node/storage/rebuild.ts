/**
 * A new copy of a damaged replica, in blocks of its own beside the damaged ones (DESIGN D1, S2). Only this process
 * knows of those blocks until the copy is whole, durable and has the sealed digest; then one record of the catalog puts
 * them in the place of the old ones, and only once that is durable are the old ones free. So a crash leaves the damaged
 * copy or the whole one: after a start, blocks that the catalog does not name are free, and no block has an epoch twice.
 */
import { assert } from '../../base/assert.ts';
import { WalrusError } from '../../base/errors.ts';
import { offset, type Offset } from '../../base/units.ts';
import { baseOffsetOf } from '../../protocol/recordBatch.ts';
import type { CatalogRecord } from './catalogRecord.ts';
import { formatDigest } from './digest.ts';
import { frameBytes } from './frame.ts';
import { batchProblem, type StoredReplica } from './replica.ts';
import { ReplicaLog } from './replicaLog.ts';
import type { CatalogLog, StorageContext } from './storageContext.ts';
import type { Rebuild, ReplicaTail } from './types.ts';

/** Notes nothing until the copy is in place. */
class LateCatalog implements CatalogLog {
  target: CatalogLog | null = null;

  append(record: CatalogRecord): void {
    this.target?.append(record);
  }
}

export class ReplicaRebuild implements Rebuild {
  readonly #context: StorageContext;
  readonly #replica: StoredReplica;
  readonly #catalog = new LateCatalog();
  readonly #log: ReplicaLog;
  readonly #onPlaced: () => void;
  #isOver = false;

  constructor(context: StorageContext, replica: StoredReplica, onPlaced: () => void) {
    this.#context = context;
    this.#onPlaced = onPlaced;
    this.#replica = replica;
    const record = { ...replica.log.record, blocks: [] };
    this.#log = new ReplicaLog({ ...context, catalog: this.#catalog }, record);
  }

  get tail(): Offset {
    return offset(this.#log.tail);
  }

  append(batch: Uint8Array): Offset {
    this.#checkGoesOn();
    const { segmentId } = this.#replica;
    const problem = batchProblem(batch);
    if (problem !== null) {
      throw new WalrusError(
        'CORRUPT_BATCH',
        `Cannot copy segment ${segmentId}: a batch ${problem}`,
      );
    }
    const base = baseOffsetOf(batch);
    if (base !== this.#log.tail) {
      const message = `Cannot copy offset ${base} of segment ${segmentId}: ${this.#log.tail} is next`;
      throw new WalrusError('OUT_OF_ORDER_APPEND', message, { details: { tail: this.#log.tail } });
    }
    this.#context.commit.assertWritable(frameBytes(batch.length));
    this.#log.push(batch);
    return this.tail;
  }

  finish(sealed: ReplicaTail, done: (error: WalrusError | null) => void): void {
    this.#checkGoesOn();
    const digest = formatDigest(this.#log.digest);
    if (this.#log.tail !== sealed.tail || digest !== sealed.digest) {
      const found = `the new copy has digest ${digest} at ${this.#log.tail}`;
      throw new WalrusError(
        'CORRUPT_SEGMENT',
        `Cannot repair segment ${this.#replica.segmentId}: ${found}, sealed is ${sealed.digest} at ${sealed.tail}`,
      );
    }
    this.#context.commit.whenDurable((error) => {
      if (error === null && !this.#isOver) this.#putInPlace(done);
      else done(error ?? this.#overError());
    }, this.#log);
  }

  /** The copy is whole and durable: from here on it is the replica's. */
  #putInPlace(done: (error: WalrusError | null) => void): void {
    const { catalog, commit, allocator } = this.#context;
    this.#isOver = true;
    const { record } = this.#log;
    const { segmentId, fenceEpoch } = this.#replica.log.record;
    record.fenceEpoch = fenceEpoch;
    const old = this.#replica.adopt(this.#log);
    this.#onPlaced();
    commit.dismiss(old);
    old.discard();
    const oldBlocks = old.record.blocks.splice(0); // no late mark is written into them
    this.#catalog.target = catalog;
    catalog.append({ kind: 'REPLACE', segmentId, blocks: record.blocks });
    commit.afterCommit(() => {
      for (const { address, blockClass } of oldBlocks) allocator.free(address, blockClass);
    });
    commit.whenDurable(done, this.#log);
  }

  abandon(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { commit, allocator } = this.#context;
    commit.dismiss(this.#log);
    this.#log.discard();
    const blocks = this.#log.record.blocks.splice(0);
    if (commit.health.state === 'READ_ONLY') return;
    // A group that is in flight may still write to them.
    commit.afterCommit(() => {
      for (const { address, blockClass } of blocks) allocator.free(address, blockClass);
    });
  }

  #checkGoesOn(): void {
    if (this.#isOver) throw this.#overError();
    assert(this.#replica.damage !== null, 'Only a damaged replica is copied anew');
  }

  #overError(): WalrusError {
    const { segmentId } = this.#replica;
    return new WalrusError(
      'SEGMENT_NOT_FOUND',
      `The new copy of segment ${segmentId} was given up`,
    );
  }
}
