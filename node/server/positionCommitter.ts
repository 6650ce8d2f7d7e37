/**
 * Commits positions of groups to the metadata, batched: one proposal is under way, and everything that came
 * meanwhile goes into the next. What is committed is asked for at the last moment, so that a position that moved
 * on is written once.
 */
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { MetadataService } from '../controller/types.ts';
import type { CommandOf } from '../state/commands.ts';
import { MAX_POSITIONS_PER_COMMAND } from '../state/limits.ts';

export type CommittedPosition = CommandOf<'CommitPositions'>['positions'][number];

interface Waiting {
  /** null: there is nothing to commit any more. */
  readonly position: () => CommittedPosition | null;
  readonly done: (code: ErrorCode | null) => void;
  readonly failed: (error: WalrusError) => void;
}

/** Positions that may wait; beyond it commits get OVERLOADED. */
const WAITING_COUNT_MAX = 100_000;

export class PositionCommitter {
  readonly #metadata: MetadataService;
  #waiting: Waiting[] = [];
  #isUnderWay = false;

  constructor(metadata: MetadataService) {
    this.#metadata = metadata;
  }

  /**
   * Commits one position.
   * @param position - Asked when the proposal is made; null gives it up.
   * @returns null when it was committed (or given up), or why the metadata refuses it.
   * @throws {WalrusError} What a proposal fails with: the outcome may be unknown.
   */
  commit(position: () => CommittedPosition | null): Promise<ErrorCode | null> {
    if (this.#waiting.length >= WAITING_COUNT_MAX) {
      const message = `Cannot commit a position: ${this.#waiting.length} others wait`;
      return Promise.reject(new WalrusError('OVERLOADED', message));
    }
    const answer = new Promise<ErrorCode | null>((resolve, reject) => {
      this.#waiting.push({ position, done: resolve, failed: reject });
    });
    if (!this.#isUnderWay) void this.#run();
    return answer;
  }

  async #run(): Promise<void> {
    this.#isUnderWay = true;
    while (this.#waiting.length > 0) {
      const taken = this.#waiting.slice(0, MAX_POSITIONS_PER_COMMAND);
      this.#waiting = this.#waiting.slice(taken.length);
      await this.#propose(taken);
    }
    this.#isUnderWay = false;
  }

  async #propose(taken: readonly Waiting[]): Promise<void> {
    const members: Waiting[] = [];
    const positions: CommittedPosition[] = [];
    for (const waiting of taken) {
      const position = waiting.position();
      if (position === null) {
        waiting.done(null);
        continue;
      }
      members.push(waiting);
      positions.push(position);
    }
    if (positions.length === 0) return;
    try {
      const result = await this.#metadata.propose({ type: 'CommitPositions', positions });
      if (!result.ok) throw new WalrusError(result.code, result.message);
      const refused = result.value.type === 'Positions' ? result.value.refused : [];
      const codes = new Map(refused.map(({ index, code }) => [index, code]));
      for (const [index, { done }] of members.entries()) done(codes.get(index) ?? null);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      for (const { failed } of members) failed(error);
    }
  }
}
