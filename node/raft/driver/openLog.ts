/** Opening the log of a server, with the first entry of a new cluster. */
import { logIndex, term } from '../../../base/units.ts';
import { encodeConfiguration } from '../configuration.ts';
import { RaftLog } from '../log/raftLog.ts';
import type { RaftLogOptions } from '../log/raftLog.ts';
import type { Configuration } from '../types.ts';

/** The term of the first entry; nobody was elected in it. */
const BOOTSTRAP_TERM = term(1);

/**
 * Opens the log. A log that has nothing in it begins with the configuration of a new cluster, as the entry at
 * index 1 of term 1, which is the same on every server that starts with it.
 * @throws {WalrusError} CORRUPT_SEGMENT, UNSUPPORTED_VERSION, DISK_FULL, DISK_FAILED.
 */
export function openLog(options: RaftLogOptions, bootstrap: Configuration | null): RaftLog {
  const log = new RaftLog(options);
  const { hardState, snapshot } = log.recovered.persisted;
  const isEmpty = log.lastIndex === 0 && snapshot === null;
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
