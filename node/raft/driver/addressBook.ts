/** Where servers are: as the configuration says, or, newer, as their own messages say. */
import type { Configuration, Member, ServerId } from '../types.ts';
import { membersOf } from '../configuration.ts';

/** Servers whose messages are remembered; more than any cluster has. */
const HINTS_MAX = 1024;

export class AddressBook {
  readonly #hints = new Map<ServerId, string>();

  /** Notes where a message came from. */
  learn(id: ServerId, address: string): void {
    if (address === '' || this.#hints.get(id) === address) return;
    this.#hints.delete(id);
    this.#hints.set(id, address);
    if (this.#hints.size <= HINTS_MAX) return;
    const oldest = this.#hints.keys().next();
    if (oldest.done !== true) this.#hints.delete(oldest.value);
  }

  /** Where a server has said itself that it is; null when it has not. */
  heard(id: ServerId): string | null {
    return this.#hints.get(id) ?? null;
  }

  /** The server with its newest address; null when nobody has said where it is. */
  find(id: ServerId, configuration: Configuration): Member | null {
    const hint = this.#hints.get(id);
    if (hint !== undefined) return { id, address: hint };
    return membersOf(configuration).find((member) => member.id === id) ?? null;
  }
}
