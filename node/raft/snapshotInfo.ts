/** What a snapshot stands for. */
import type { LogIndex, Term } from '../../base/units.ts';
import type { Configuration } from './types.ts';

/** A durable snapshot, described. Its bytes stay outside the core. */
export interface SnapshotInfo {
  /** The last entry that the snapshot includes. */
  readonly index: LogIndex;
  readonly term: Term;
  readonly configuration: Configuration;
  /** The index of the entry that set the configuration (0: none did). */
  readonly configurationIndex: LogIndex;
  readonly sizeBytes: number;
  /** CRC-32C of all its bytes. */
  readonly checksum: number;
}
