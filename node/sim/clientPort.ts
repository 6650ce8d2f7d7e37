/** How a simulated client reaches one machine. */
import type { WalrusError } from '../../base/errors.ts';

/** One partition; `log` is how the history names it. */
export interface SimPartition {
  readonly topic: string;
  readonly partition: number;
  readonly log: string;
}

export interface FetchedRecords {
  readonly records: readonly { readonly offset: number; readonly value: string }[];
  readonly nextOffset: number;
}

/** Calls back at most once; never when the machine dies or the answer is lost. */
export type Reply<T> = (error: WalrusError | null, result: T | null) => void;

export interface ClientPort {
  /** Appends a batch; the result is its base offset. */
  produce(to: SimPartition, batch: Uint8Array, done: Reply<number>): void;
  /** Committed records from an offset on; none when there are none yet. */
  fetch(from: SimPartition, offset: number, done: Reply<FetchedRecords>): void;
  createTopic(topic: NewSimTopic, done: Reply<true>): void;
  /** Whether a topic exists. */
  lookup(topic: string, done: Reply<boolean>): void;
}

export interface NewSimTopic {
  readonly name: string;
  readonly partitions: number;
  /** undefined: the cluster's default. */
  readonly replicas: number | undefined;
  readonly ackQuorum: number | undefined;
}
