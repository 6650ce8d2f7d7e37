/** Real randomness (`base/random.ts`), good enough for identities and session tokens. */
import { randomFillSync } from 'node:crypto';
import type { Random } from '../../base/random.ts';

/** Numbers drawn at once: one call of the generator costs about as much as filling all of them. */
const POOL_SIZE = 256;

/** The operating system's cryptographic generator. */
export class RealRandom implements Random {
  readonly #pool = new Uint32Array(POOL_SIZE);
  #next = POOL_SIZE;

  uint32(): number {
    if (this.#next === POOL_SIZE) {
      randomFillSync(this.#pool);
      this.#next = 0;
    }
    const value = this.#pool[this.#next] as number;
    this.#pool[this.#next] = 0; // a drawn number may be part of a token: not to be found in memory twice
    this.#next += 1;
    return value;
  }
}
