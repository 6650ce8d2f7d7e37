/**
 * When a process may make its first promise (ADR 0121). Pure: answers come in, and `decide` says what they amount to.
 *
 * A process is admitted when the voters that have confirmed its boot to this very process, itself included if it is a
 * voter, are a majority: as many as it needs anyhow to do anything. Voters of the newest configuration that it knows,
 * that is: of its own log's, or of one that came with an answer, since its log may lack changes that the others made
 * without it. It asks all members, and is content with a majority only when it has waited for the others: each more
 * that answers may be the one that has heard of a later boot.
 *
 * An answer stands as a whole, or not at all: a member that answers no more takes its confirmation and its
 * configuration with it, which may never be committed. To forget it is the same as if it had been lost on its way.
 */
import { isNewerConfiguration, majority, membersOf } from '../configuration.ts';
import type { Configuration, IndexedConfiguration, ServerId } from '../types.ts';

/** How long an answer stands unless it is given again. */
export const ANSWER_LIFETIME_MS = 2000;

/** A peer's answer. */
export interface BootAnswer {
  /** The process that asked. */
  readonly process: string;
  /** Why the boot is refused, for people; null when it is confirmed. */
  readonly refusal: string | null;
  /** The newest one that the peer knows. */
  readonly configuration: IndexedConfiguration;
}

export type AdmissionState =
  | { readonly type: 'Waiting' }
  | { readonly type: 'Admitted' }
  /** For good: this disk is not what its server has promised by. */
  | { readonly type: 'Refused'; readonly by: ServerId; readonly refusal: string };

export class Admission {
  readonly #id: ServerId;
  readonly #process: string;
  /** The last confirmation of each server. */
  readonly #confirmations = new Map<
    ServerId,
    { readonly atMs: number; readonly configuration: IndexedConfiguration }
  >();
  #refused: { readonly by: ServerId; readonly refusal: string } | null = null;

  /** @param process - Random, of this process only. */
  constructor(id: ServerId, process: string) {
    this.#id = id;
    this.#process = process;
  }

  /** Takes an answer. One to another process is not for this one: that process may have had another disk. */
  answered(from: ServerId, answer: BootAnswer, nowMs: number): void {
    const { process, refusal, configuration } = answer;
    if (process !== this.#process || from === this.#id) return;
    if (refusal === null) this.#confirmations.set(from, { atMs: nowMs, configuration });
    else this.#refused ??= { by: from, refusal };
  }

  /** Forgets the answers of those who have not answered for too long. */
  forgetSilent(nowMs: number): void {
    for (const [id, { atMs }] of this.#confirmations)
      if (nowMs - atMs > ANSWER_LIFETIME_MS) this.#confirmations.delete(id);
  }

  /**
   * The configuration that counts: the newest one that this process knows.
   * @param own - The newest one in its log.
   */
  newest(own: IndexedConfiguration): Configuration {
    let newest = own;
    for (const { configuration } of this.#confirmations.values())
      if (isNewerConfiguration(configuration, newest) && !this.#isAlone(configuration))
        newest = configuration;
    return newest.configuration;
  }

  /** Only its own log can tell a server that it needs nobody: it is part of each commit that leads there. */
  #isAlone({ configuration: { voters } }: IndexedConfiguration): boolean {
    return voters.length === 1 && voters[0]?.id === this.#id;
  }

  /**
   * What the answers amount to.
   * @param own - The newest configuration in the log.
   * @param hasWaited - The time for the answers of all members is over.
   */
  decide(own: IndexedConfiguration, hasWaited: boolean): AdmissionState {
    if (this.#refused !== null) return { type: 'Refused', ...this.#refused };
    const configuration = this.newest(own);
    const { voters } = configuration;
    if (voters.length === 0) return { type: 'Waiting' };
    const isIn = (id: ServerId): boolean => id === this.#id || this.#confirmations.has(id);
    const confirmed = voters.filter(({ id }) => isIn(id)).length;
    if (confirmed < majority(voters.length)) return { type: 'Waiting' };
    const hasAll = membersOf(configuration).every(({ id }) => isIn(id));
    return { type: hasAll || hasWaited ? 'Admitted' : 'Waiting' };
  }
}
