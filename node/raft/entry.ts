/** An entry of the Raft log, as it travels between the core, the log and the wire. */
import type { Term } from '../../base/units.ts';
import type { Configuration } from './types.ts';

/** A command of the state machine, a leader's first entry (Raft §8), or a membership (thesis §4.1). */
export type EntryType = 'Command' | 'NoOp' | 'Configuration';

/**
 * One entry without its index. The core looks at `term`, `type`, `configuration` and the length of the
 * payload; it hands `payload` through and never keeps it.
 */
export interface Entry {
  readonly term: Term;
  readonly type: EntryType;
  readonly payload: Uint8Array;
  /** The decoded payload of a `Configuration` entry, else null. */
  readonly configuration: Configuration | null;
}

/** Numbers of entry types on disk and on the wire. Never reused. */
export const ENTRY_TYPE_NUMBERS = {
  Command: 1,
  NoOp: 2,
  Configuration: 3,
} as const satisfies Record<EntryType, number>;

/** The entry type of a stored number, or undefined when this build does not know it. */
export function entryTypeOf(number: number): EntryType | undefined {
  switch (number) {
    case ENTRY_TYPE_NUMBERS.Command:
      return 'Command';
    case ENTRY_TYPE_NUMBERS.NoOp:
      return 'NoOp';
    case ENTRY_TYPE_NUMBERS.Configuration:
      return 'Configuration';
    default:
      return undefined;
  }
}

/** What an entry costs in a message besides its payload, for the limits on messages in flight. */
export const ENTRY_OVERHEAD_BYTES = 16;
