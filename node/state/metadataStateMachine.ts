/**
 * The metadata above Raft: decodes and applies committed commands, makes and restores snapshots, and tells
 * listeners what changed. It owns the state; everybody else reads it through `metadata`, whose identity stays the
 * same across restores.
 */
import { assert } from '../../base/assert.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { LogIndex } from '../../base/units.ts';
import type { StateMachine } from '../raft/types.ts';
import { applyCommand } from './apply.ts';
import type { MetadataChange } from './change.ts';
import { decodeCommand } from './codec/commandCodec.ts';
import { decodeSnapshot, snapshotSlices } from './codec/snapshotCodec.ts';
import type { ApplyResult, Command } from './commands.ts';
import { MutableMetadata } from './mutableMetadata.ts';
import type { IndexedMetadata } from './mutableMetadata.ts';

/**
 * A committed command that this build cannot read. Fatal: a node that skipped it would diverge from the others,
 * so it must stop, and be started with a version that knows the command.
 */
export class UnreadableCommandError extends WalrusError {
  /** Where in the Raft log it is. */
  readonly index: LogIndex;

  constructor(index: LogIndex, cause: WalrusError) {
    super(cause.code, `Cannot apply the metadata command at index ${index}: ${cause.message}`, {
      details: { index },
      cause,
    });
    this.index = index;
  }
}

/** Called after each applied command, refused ones included, and after a restore; must not throw. */
export type ChangeListener = (change: MetadataChange) => void;

export class MetadataStateMachine implements StateMachine {
  readonly #state = new MutableMetadata();
  readonly #listeners: ChangeListener[] = [];
  #failure: UnreadableCommandError | null = null;

  /** The state as of the last applied command. Read it anew after each change: partitions change in place. */
  get metadata(): IndexedMetadata {
    return this.#state;
  }

  /** Listeners are called in the order in which they were added, synchronously. */
  onApplied(listener: ChangeListener): void {
    this.#listeners.push(listener);
  }

  /**
   * Applies one committed command.
   * @throws {UnreadableCommandError} When it cannot be decoded, and for every command after that.
   */
  apply(index: LogIndex, bytes: Uint8Array): ApplyResult {
    const result = applyCommand(this.#state, index, this.#decode(index, bytes));
    this.#tell(this.#state.changeAt(index));
    return result;
  }

  snapshot(): Iterable<Uint8Array> {
    return snapshotSlices(this.#state);
  }

  /**
   * Replaces the whole state.
   * @param index - The index of the last entry that the snapshot holds; entries without a command (a new
   *   leader's first, membership changes) make it higher than the last command's.
   * @throws {WalrusError} UNSUPPORTED_VERSION or MALFORMED; the state is unchanged then.
   */
  restore(index: LogIndex, snapshot: Uint8Array): void {
    const restored = decodeSnapshot(snapshot);
    assert(restored.lastApplied <= index, 'A snapshot must not hold what comes after it');
    this.#state.adopt(restored);
    this.#tell(this.#state.changeAt(index, true));
  }

  #decode(index: LogIndex, bytes: Uint8Array): Command {
    if (this.#failure !== null) throw this.#failure;
    try {
      return decodeCommand(bytes);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      this.#failure = new UnreadableCommandError(index, error);
      throw this.#failure;
    }
  }

  #tell(change: MetadataChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
