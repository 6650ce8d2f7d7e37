import { expect, test } from '@jest/globals';
import { SeededRandom } from '../../base/random.ts';
import { logIndex, term } from '../../base/units.ts';
import { RaftLog } from '../raft/log/raftLog.ts';
import type { ServerId } from '../raft/types.ts';
import { ManualClock } from '../storage/testing/manualClock.ts';
import { NO_FAULTS, SimDisk } from './simDisk.ts';

const OPTIONS = { directory: 'raft', segmentBytes: 8192 };
const VOTE = { currentTerm: term(2), votedFor: '1/d' as ServerId };

function entry(bytes: number) {
  const payload = new Uint8Array(bytes).fill(7);
  return { term: term(1), type: 'Command', payload, configuration: null } as const;
}

test('Entries and a vote whose sync failed count after a restart only because they are written again', () => {
  const clock = new ManualClock();
  const disk = new SimDisk({ random: new SeededRandom(1), clock, faults: NO_FAULTS });
  const log = new RaftLog({ disk, ...OPTIONS });
  log.append(logIndex(0), [entry(100)]);
  log.sync();
  log.append(logIndex(1), [entry(200)]);
  disk.failSyncs();
  expect(() => log.saveHardState(VOTE)).toThrow('input/output error');
  expect(() => log.sync()).toThrow('input/output error');
  disk.heal();
  expect(() => log.sync()).toThrow('input/output error'); // final

  disk.kill();
  const again = new RaftLog({ disk, ...OPTIONS });
  const { hardState } = again.recovered.persisted;
  disk.crash();
  const last = new RaftLog({ disk, ...OPTIONS });
  expect([last.lastIndex, last.recovered.persisted.hardState]).toEqual([
    again.lastIndex,
    hardState,
  ]);
});

test('A vote is not durable when a sync of entries beside it has met the failure', () => {
  const clock = new ManualClock();
  const disk = new SimDisk({ random: new SeededRandom(1), clock, faults: NO_FAULTS });
  const open = disk.open.bind(disk);
  disk.open = (path) => {
    const file = open(path);
    file.syncAsync = () => {
      // In another thread; what it has met waits for the event loop, which saves a vote meanwhile.
      expect(() => file.sync()).toThrow('input/output error');
      disk.heal();
    };
    return file;
  };
  const log = new RaftLog({ disk, ...OPTIONS });
  log.append(logIndex(0), [entry(100)]);
  disk.failSyncs();
  log.syncAsync(() => undefined);
  expect(() => log.saveHardState(VOTE)).toThrow('input/output error');
});
