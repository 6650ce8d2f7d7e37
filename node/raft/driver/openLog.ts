/** Opening the log of a server, with the first entry of a new cluster. */
import { WalrusError } from '../../../base/errors.ts';
import { logIndex, term } from '../../../base/units.ts';
import { encodeConfiguration } from '../configuration.ts';
import { RaftLog } from '../log/raftLog.ts';
import type { RaftLogOptions } from '../log/raftLog.ts';
import type { Configuration } from '../types.ts';

/** The term of the first entry; nobody was elected in it. */
const BOOTSTRAP_TERM = term(1);

/** What the caller knows of the log before it is opened. */
export interface LogExpectation {
  /** The first configuration of a new cluster; null for a server that joins. */
  readonly bootstrap: Configuration | null;
  /** This server is known to have held entries: an empty log has been lost. */
  readonly hasHistory: boolean;
}

/**
 * Opens the log. A log that has nothing in it begins with the configuration of a new cluster, as the entry at
 * index 1 of term 1, which is the same on every server that starts with it.
 * @throws {WalrusError} DISK_REFUSED when the log is empty and must not be; CORRUPT_SEGMENT, UNSUPPORTED_VERSION,
 * DISK_FULL, DISK_FAILED.
 */
export function openLog(
  options: RaftLogOptions,
  { bootstrap, hasHistory }: LogExpectation,
): RaftLog {
  const log = new RaftLog(options);
  const { hardState, snapshot } = log.recovered.persisted;
  const isEmpty = log.lastIndex === 0 && snapshot === null;
  if (isEmpty && hasHistory) throw emptied(options.directory);
  // A server that has voted belongs to a cluster that exists, although it holds no entry yet.
  const isNew = isEmpty && hardState.votedFor === null && hardState.currentTerm <= BOOTSTRAP_TERM;
  if (bootstrap === null || !isNew) return log;
  log.saveHardState({ currentTerm: BOOTSTRAP_TERM, votedFor: null });
  const payload = encodeConfiguration(bootstrap);
  log.append(logIndex(0), [
    { term: BOOTSTRAP_TERM, type: 'Configuration', payload, configuration: bootstrap },
  ]);
  log.sync();
  log.close();
  return new RaftLog(options);
}

/** A server that has lost its log would vote as if it had never promised anything (DESIGN I3). */
function emptied(directory: string): WalrusError {
  const message =
    `Cannot open the Raft log: ${directory}/ is empty, but this disk was registered with its cluster; ` +
    'the disk counts as lost: empty the whole data directory and start with --replace-disk';
  return new WalrusError('DISK_REFUSED', message);
}
