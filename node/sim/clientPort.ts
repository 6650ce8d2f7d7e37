/** How a simulated client reaches one machine. */
import type { WalrusError } from '../../base/errors.ts';

export interface FetchedRecords {
  readonly records: readonly { readonly offset: number; readonly value: string }[];
  readonly nextOffset: number;
}

/** Calls back at most once; never when the machine dies or the answer is lost. */
export type Reply<T> = (error: WalrusError | null, result: T | null) => void;

export interface ClientPort {
  /** Appends a batch; the result is its base offset. */
  produce(topic: string, batch: Uint8Array, done: Reply<number>): void;
  /** Committed records from an offset on; none when there are none yet. */
  fetch(topic: string, from: number, done: Reply<FetchedRecords>): void;
  createTopic(topic: string, done: Reply<true>): void;
  /** Whether a topic exists. */
  lookup(topic: string, done: Reply<boolean>): void;
}
