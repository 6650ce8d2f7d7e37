/**
 * When a process may make its first promise (ADR 0121). Pure: answers come in, and `decide` says what they amount to.
 *
 * A process is admitted when the voters that have confirmed its boot to this very process, itself included, are a
 * majority: as many as it needs anyhow to do anything. It asks all members, and is content with a majority only when
 * it has waited for the others: each more that answers may be the one that has heard of a later boot.
 */
import { isVoter, majority, membersOf } from '../configuration.ts';
import type { Configuration, ServerId } from '../types.ts';

/** A peer's answer. */
export interface BootAnswer {
  /** The process that asked. */
  readonly process: string;
  /** Why the boot is refused, for people; null when it is confirmed. */
  readonly refusal: string | null;
}

export type AdmissionState =
  | { readonly type: 'Waiting' }
  | { readonly type: 'Admitted' }
  /** For good: this disk is not what its server has promised by. */
  | { readonly type: 'Refused'; readonly by: ServerId; readonly refusal: string };

export class Admission {
  readonly #id: ServerId;
  readonly #process: string;
  readonly #confirmedBy = new Set<ServerId>();
  #refused: { readonly by: ServerId; readonly refusal: string } | null = null;

  /** @param process - Random, of this process only. */
  constructor(id: ServerId, process: string) {
    this.#id = id;
    this.#process = process;
  }

  /** Whether this server has confirmed the boot. */
  hasConfirmed(id: ServerId): boolean {
    return this.#confirmedBy.has(id);
  }

  /** Takes an answer. One to another process is not for this one: that process may have had another disk. */
  answered(from: ServerId, { process, refusal }: BootAnswer): void {
    if (process !== this.#process) return;
    if (refusal === null) this.#confirmedBy.add(from);
    else this.#refused ??= { by: from, refusal };
  }

  /**
   * What the answers amount to.
   * @param configuration - The newest one in the log. Without voters only the metadata can admit this server.
   * @param hasWaited - The time for the answers of all members is over.
   */
  decide(configuration: Configuration, hasWaited: boolean): AdmissionState {
    if (this.#refused !== null) return { type: 'Refused', ...this.#refused };
    const { voters } = configuration;
    if (voters.length === 1 && isVoter(configuration, this.#id)) return { type: 'Admitted' };
    const isIn = (id: ServerId): boolean => id === this.#id || this.#confirmedBy.has(id);
    const confirmed = voters.filter(({ id }) => isIn(id)).length;
    if (voters.length === 0 || confirmed < majority(voters.length)) return { type: 'Waiting' };
    const hasAll = membersOf(configuration).every(({ id }) => isIn(id));
    return { type: hasAll || hasWaited ? 'Admitted' : 'Waiting' };
  }
}
