/**
 * Proposals on their way: first queued, then in the log at an index, then settled. Each settles exactly once:
 * with the result when its own entry is applied, with TIMED_OUT when the outcome is unknown.
 */
import { assertDefined } from '../../../base/assert.ts';
import { WalrusError } from '../../../base/errors.ts';
import { logIndex } from '../../../base/units.ts';
import type { LogIndex, Term } from '../../../base/units.ts';

/** Who waits for a proposal. */
export interface Waiter {
  resolve(applied: { readonly index: LogIndex; readonly result: unknown }): void;
  reject(error: WalrusError): void;
}

interface Queued {
  readonly command: Uint8Array;
  readonly waiter: Waiter;
}

interface Appended {
  readonly term: Term;
  readonly waiter: Waiter;
}

export class PendingProposals {
  #queue: Queued[] = [];
  #queuedBytes = 0;
  /** By index; indices ascend in the order of insertion. */
  readonly #appended = new Map<LogIndex, Appended>();

  /** How many are not settled. */
  get count(): number {
    return this.#queue.length + this.#appended.size;
  }

  get queuedCount(): number {
    return this.#queue.length;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  enqueue(command: Uint8Array, waiter: Waiter): void {
    this.#queue.push({ command, waiter });
    this.#queuedBytes += command.length;
  }

  /** Takes the next batch from the queue; at least one when there is any. */
  takeBatch(bytesMax: number): Queued[] {
    let count = 0;
    let sizeBytes = 0;
    for (const { command } of this.#queue) {
      if (count > 0 && sizeBytes + command.length > bytesMax) break;
      sizeBytes += command.length;
      count += 1;
    }
    this.#queuedBytes -= sizeBytes;
    return this.#queue.splice(0, count);
  }

  /** Notes where a proposal is in the log. */
  appended(index: LogIndex, term: Term, waiter: Waiter): void {
    this.#appended.get(index)?.waiter.reject(unknownOutcome());
    this.#appended.set(index, { term, waiter });
  }

  /** Notes where a batch is in the log. */
  batchAppended(firstIndex: LogIndex, term: Term, batch: readonly Queued[]): void {
    for (let i = 0; i < batch.length; i += 1) {
      const { waiter } = assertDefined(batch[i], 'A batch has no holes');
      this.appended(logIndex(firstIndex + i), term, waiter);
    }
  }

  /** Settles the proposal at an index that was applied, if there is one of that term. */
  applied(index: LogIndex, term: Term, result: unknown): void {
    const pending = this.#appended.get(index);
    if (pending === undefined) return;
    this.#appended.delete(index);
    if (pending.term === term) pending.waiter.resolve({ index, result });
    else pending.waiter.reject(unknownOutcome());
  }

  /** Settles everything: what is in the log has an unknown outcome, what is queued never took place. */
  failAll(queuedError: () => WalrusError): void {
    const queue = this.#queue;
    const appended = [...this.#appended.values()];
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#appended.clear();
    for (const { waiter } of appended) waiter.reject(unknownOutcome());
    for (const { waiter } of queue) waiter.reject(queuedError());
  }
}

/** The proposal was in the log of a leader that does not lead any more. */
export function unknownOutcome(): WalrusError {
  return new WalrusError(
    'TIMED_OUT',
    'Cannot tell whether the proposal took place: the leader has changed; look before trying again',
  );
}
