/**
 * A group's positions in one topic, as one consumer reads and commits them. Whoever commits last wins; a try of unknown
 * outcome that is applied late does not: each commit says as of when its consumer knows the positions, and is
 * refused once any of them has changed since.
 *
 * Commits go one after the other, so that an older one of the same consumer is never behind a newer one.
 */
import type { WalrusError } from '../base/errors.ts';
import type { Offset } from '../base/units.ts';
import { APIS } from '../protocol/client/apis.ts';
import type { NewPosition } from '../protocol/client/commitPositions.ts';
import type { ConnectionPool } from './pool.ts';

export interface GroupPositionsOptions {
  readonly pool: ConnectionPool;
  readonly group: string;
  readonly topic: string;
  readonly timeoutMs: number;
}

export class GroupPositions {
  readonly #options: GroupPositionsOptions;
  /** The metadata epoch that the positions are known as of; undefined before the first answer. */
  #knownAt: number | undefined;
  /** Ends with the last commit that was asked for. */
  #commits: Promise<void> = Promise.resolve();

  constructor(options: GroupPositionsOptions) {
    this.#options = options;
  }

  /** The committed positions of partitions; those that the group has none for are left out. */
  async fetch(wanted: readonly number[]): Promise<Map<number, Offset>> {
    const { pool, group, topic, timeoutMs } = this.#options;
    const partitions = wanted.map((partition) => ({ topic, partition }));
    const request = { group, partitions };
    const answer = await pool.call(APIS.FetchPositions, request, { timeoutMs });
    this.#knownAt = answer.metadataEpoch;
    const found = new Map<number, Offset>();
    for (const { partition, offset } of answer.positions) {
      if (offset !== undefined) found.set(partition, offset);
    }
    return found;
  }

  /** Makes positions the group's, whatever others have committed meanwhile. */
  commit(positions: readonly Omit<NewPosition, 'topic'>[]): Promise<void> {
    const { topic } = this.#options;
    const named = positions.map((position) => ({ topic, ...position }));
    const done = this.#commits.then(() => this.#commit(named));
    this.#commits = done.catch(() => undefined); // told to who asked for it
    return done;
  }

  async #commit(positions: readonly NewPosition[]): Promise<void> {
    const { pool, group, timeoutMs } = this.#options;
    const request = () => ({ group, unchangedSince: this.#knownAt, positions });
    const { metadataEpoch } = await pool.call(APIS.CommitPositions, request(), {
      timeoutMs,
      retry: (error) => {
        this.#learnFrom(error);
        return request();
      },
    });
    this.#knownAt = metadataEpoch;
  }

  /** After a commit of another consumer, or of this one's before: goes on from there. */
  #learnFrom({ code, details }: WalrusError): void {
    if (code === 'CONFLICT') this.#knownAt = Number(details['metadataEpoch']);
  }
}
