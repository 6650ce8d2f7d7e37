/** What a shared cursor hands out. */
import type { WalrusError } from '../../base/errors.ts';
import type { Offset } from '../../base/units.ts';

/** A record for a client. `settle` must be called once: whether it counts as delivered (`Receipts`). */
export interface Handed {
  readonly partition: number;
  readonly offset: Offset;
  readonly value: Uint8Array;
  settle(wasDelivered: boolean): void;
}

/** Who waits for the next record. */
export interface NextTaker {
  /** false once its connection has gone: what it were given would have to be given back, behind newer ones. */
  isWanted(): boolean;
  /** Called once. */
  readonly done: NextDone;
}

/** `null, null`: the cursor stands at the end. */
export type NextDone = (error: WalrusError | null, handed: Handed | null) => void;
