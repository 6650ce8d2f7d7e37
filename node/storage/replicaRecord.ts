/** What the catalog knows about a replica. Owned and changed by the replica itself. */

/** A block of a replica. `boot` and `count` are its epoch. */
export interface BlockRef {
  readonly address: number;
  readonly blockClass: number;
  readonly boot: number;
  readonly count: number;
  /** The position in the block behind its last frame. Not stored: found by recovery. */
  end: number;
}

export interface ReplicaRecord {
  readonly segmentId: number;
  /** 32 hex digits. */
  readonly token: string;
  readonly baseOffset: number;
  producerSnapshot: Uint8Array;
  fenceEpoch: number;
  readonly blocks: BlockRef[];
}
