/** What a driver needs, and its limits. */
import type { Clock } from '../../../base/clock.ts';
import type { Disk } from '../../../base/disk.ts';
import type { WalrusError } from '../../../base/errors.ts';
import type { Logger } from '../../../base/log.ts';
import type { Random } from '../../../base/random.ts';
import { MIB } from '../../../base/units.ts';
import { DEFAULT_SEGMENT_BYTES } from '../log/raftLog.ts';
import type { RaftOptions } from '../raft.ts';
import type { Configuration, Member, ServerId, StateMachine } from '../types.ts';

/** Settings that have defaults. */
export interface RaftDriverSettings {
  readonly tickMs: number;
  /** Log entries, or bytes of them, after which a snapshot is taken. */
  readonly snapshotThresholdEntries: number;
  readonly snapshotThresholdBytes: number;
  /** Proposals that are not settled; more are refused with OVERLOADED. */
  readonly proposalsMax: number;
  readonly proposalBytesMax: number;
  /** One command; a larger one is refused with TOO_LARGE. */
  readonly commandBytesMax: number;
  /** Commands written and sent together. */
  readonly batchBytesMax: number;
  /** Reads that are not settled. */
  readonly readsMax: number;
  /** How long a read waits before it gives up with TIMED_OUT. */
  readonly readTimeoutMs: number;
  readonly segmentBytes: number;
}

export const DEFAULT_DRIVER_SETTINGS: RaftDriverSettings = {
  tickMs: 50,
  snapshotThresholdEntries: 10_000,
  snapshotThresholdBytes: 16 * MIB,
  proposalsMax: 100_000,
  proposalBytesMax: 64 * MIB,
  commandBytesMax: MIB,
  batchBytesMax: 4 * MIB,
  readsMax: 100_000,
  readTimeoutMs: 5000,
  segmentBytes: DEFAULT_SEGMENT_BYTES,
};

export interface RaftDriverOptions {
  readonly id: ServerId;
  /** Where peers reach this server; it travels with every message. */
  readonly address: string;
  /**
   * The first configuration of a new cluster, the same on every server that starts with one; null for a
   * server that joins. Used only when the directory holds no log yet.
   */
  readonly bootstrap: Configuration | null;
  /** This server is known to have held entries: an empty log is refused (DESIGN I3). */
  readonly hasHistory: boolean;
  readonly disk: Disk;
  readonly directory: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly stateMachine: StateMachine;
  readonly logger: Logger;
  /** Sends a message, as parts of one frame. May lose, delay, repeat and reorder it. */
  readonly send: (to: Member, parts: readonly Uint8Array[]) => void;
  /** The disk has failed, or is damaged: the server has stopped for good. */
  readonly onFatal: (error: WalrusError) => void;
  readonly settings?: Partial<RaftDriverSettings>;
  readonly raftOptions?: Partial<RaftOptions>;
}
