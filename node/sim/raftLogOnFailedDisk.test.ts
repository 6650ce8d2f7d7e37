import { expect, test } from '@jest/globals';
import { SeededRandom } from '../../base/random.ts';
import { WalrusError } from '../../base/errors.ts';
import { logIndex, term } from '../../base/units.ts';
import { RaftLog } from '../raft/log/raftLog.ts';
import type { ServerId } from '../raft/types.ts';
import { ManualClock } from '../storage/testing/manualClock.ts';
import { NO_FAULTS, SimDisk } from './simDisk.ts';

const OPTIONS = { directory: 'raft', segmentBytes: 32_768 };
const VOTE = { currentTerm: term(2), votedFor: '1/d' as ServerId };

function entry(bytes: number, fill = 7) {
  const payload = new Uint8Array(bytes).fill(fill);
  return { term: term(1), type: 'Command', payload, configuration: null } as const;
}

/** The file that holds a payload of such bytes, and where. */
function placeOf(disk: SimDisk, fill: number): readonly [string, number] {
  for (const path of disk.paths()) {
    const file = disk.open(path);
    const bytes = new Uint8Array(file.sizeBytes());
    file.read(bytes, 0);
    const at = bytes.findIndex((_, start) =>
      bytes.subarray(start, start + 100).every((byte) => byte === fill),
    );
    if (at >= 0 && at + 100 < bytes.length) return [path, at];
  }
  throw new Error('No file has it');
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

test('Entries that a start has cut off in vain do not come back behind a new one: they are erased again', () => {
  const clock = new ManualClock();
  const disk = new SimDisk({ random: new SeededRandom(1), clock, faults: NO_FAULTS });
  const log = new RaftLog({ disk, ...OPTIONS });
  log.append(logIndex(0), [entry(100)]);
  log.sync();
  log.append(logIndex(1), [entry(5000, 8)]);
  log.append(logIndex(2), [entry(5000, 9)]);
  disk.kill();
  const [path, at] = placeOf(disk, 8);
  const file = disk.open(path);
  file.write(new Uint8Array(1), at);
  file.sync();

  const beginSync = disk.beginSync.bind(disk);
  disk.beginSync = (what) => {
    if (what === path) throw new WalrusError('DISK_FAILED', 'input/output error');
    beginSync(what);
  };
  expect(() => new RaftLog({ disk, ...OPTIONS })).toThrow('input/output error');
  disk.beginSync = beginSync;
  disk.kill();
  const again = new RaftLog({ disk, ...OPTIONS });
  expect(again.lastIndex).toBe(1);
  again.append(logIndex(1), [entry(5000, 8)]);
  again.sync();
  disk.crash();
  expect(new RaftLog({ disk, ...OPTIONS }).lastIndex).toBe(2);
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
