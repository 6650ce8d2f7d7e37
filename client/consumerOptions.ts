/** How a consumer works, with what holds by default. */
import { MIB } from '../base/units.ts';
import type { OffsetPosition } from '../protocol/client/listOffsets.ts';

/** Where to begin: the oldest record, what is written from now on, a time, or an offset. */
export type StartPosition = OffsetPosition | { readonly type: 'offset'; readonly offset: number };

/** How a consumer works. Sizes in bytes, times in ms. */
export interface ConsumerOptions {
  readonly topic: string;
  /** Default: all. */
  readonly partitions?: readonly number[];
  /** Where to begin, or where to begin what the group has no position for. Default: earliest. */
  readonly from?: StartPosition;
  /**
   * Where to end: never (default), or at what is committed when the consumer is made. When nobody can say where that is,
   * what can be read is handed out all the same, and then an error says so.
   */
  readonly until?: 'never' | 'latest';
  /** Goes on at this group's committed positions. */
  readonly group?: string;
  /** Records that are fetched and not yet handed out. Default 16 MiB. */
  readonly maxBufferedBytes?: number;
  /** The most that one fetch asks for. Default 2 MiB. */
  readonly fetchBytes?: number;
  /** How long a node waits for new records before it answers. Default 5 s. */
  readonly maxWaitMs?: number;
  readonly requestTimeoutMs?: number;
}

const DEFAULTS = {
  until: 'never',
  from: { type: 'earliest' },
  maxBufferedBytes: 16 * MIB,
  fetchBytes: 2 * MIB,
  maxWaitMs: 5000,
  requestTimeoutMs: 10_000,
} as const;

/** The same with the defaults. */
export type ConsumerSettings = ConsumerOptions &
  Required<Pick<ConsumerOptions, keyof typeof DEFAULTS>>;

export function settingsOf(options: ConsumerOptions): ConsumerSettings {
  return { ...DEFAULTS, ...options };
}
