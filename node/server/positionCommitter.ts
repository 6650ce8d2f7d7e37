/**
 * Commits positions of groups to the metadata, batched: one proposal is under way, and everything that came
 * meanwhile goes into the next. What is committed is asked for at the last moment, so that a position that moved
 * on is written once.
 */
import { assert } from '../../base/assert.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { LogIndex } from '../../base/units.ts';
import type { MetadataService } from '../controller/types.ts';
import type { PositionsCommit, RefusedCommit } from '../state/commands.ts';
import { MAX_POSITIONS_PER_COMMAND } from '../state/limits.ts';

/** Why the metadata refuses a commit, and the position that it does not take. */
export interface CommitRefusal {
  readonly code: ErrorCode;
  readonly position: number;
}

/** What became of a commit. */
export interface CommitOutcome {
  /** Of the command that it was part of. */
  readonly index: LogIndex;
  readonly refusal: CommitRefusal | null;
}

interface Waiting {
  /** An upper bound of its positions. */
  readonly count: number;
  /** null: there is nothing to commit any more. */
  readonly commit: () => PositionsCommit | null;
  readonly done: (outcome: CommitOutcome | null) => void;
  readonly failed: (error: WalrusError) => void;
}

/** Commits that may wait; beyond it they get OVERLOADED. */
const WAITING_COUNT_MAX = 100_000;

export class PositionCommitter {
  readonly #metadata: MetadataService;
  #waiting: Waiting[] = [];
  #isUnderWay = false;

  constructor(metadata: MetadataService) {
    this.#metadata = metadata;
  }

  /**
   * Commits some positions of a group: all or none.
   * @param count - How many there are at most, up to `MAX_POSITIONS_PER_COMMAND`.
   * @param commit - Asked when the proposal is made; null gives it up.
   * @returns null when it was given up.
   * @throws {WalrusError} What a proposal fails with: the outcome may be unknown.
   */
  commit(count: number, commit: () => PositionsCommit | null): Promise<CommitOutcome | null> {
    if (this.#waiting.length >= WAITING_COUNT_MAX) {
      const message = `Cannot commit a position: ${this.#waiting.length} others wait`;
      return Promise.reject(new WalrusError('OVERLOADED', message));
    }
    const answer = new Promise<CommitOutcome | null>((resolve, reject) => {
      this.#waiting.push({ count, commit, done: resolve, failed: reject });
    });
    if (!this.#isUnderWay) void this.#run();
    return answer;
  }

  async #run(): Promise<void> {
    this.#isUnderWay = true;
    while (this.#waiting.length > 0) await this.#propose(this.#take());
    this.#isUnderWay = false;
  }

  /** The oldest ones, as many as one command takes, and at least one. */
  #take(): readonly Waiting[] {
    let positions = 0;
    let taken = 0;
    for (const { count } of this.#waiting) {
      positions += count;
      if (taken > 0 && positions > MAX_POSITIONS_PER_COMMAND) break;
      taken += 1;
    }
    return this.#waiting.splice(0, taken);
  }

  async #propose(taken: readonly Waiting[]): Promise<void> {
    const members: Waiting[] = [];
    const commits: PositionsCommit[] = [];
    for (const waiting of taken) {
      const commit = waiting.commit();
      if (commit === null) {
        waiting.done(null);
        continue;
      }
      members.push(waiting);
      commits.push(commit);
    }
    if (commits.length === 0) return;
    try {
      const result = await this.#metadata.propose({ type: 'CommitPositions', commits });
      if (!result.ok) throw new WalrusError(result.code, result.message);
      assert(result.value.type === 'Positions', 'CommitPositions says what it refused');
      const { index, refused } = result.value;
      const refusals = new Map<number, RefusedCommit>(refused.map((each) => [each.index, each]));
      for (const [at, { done }] of members.entries()) {
        done({ index, refusal: refusals.get(at) ?? null });
      }
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      for (const { failed } of members) failed(error);
    }
  }
}
