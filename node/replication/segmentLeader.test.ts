import { beforeEach, describe, expect, test } from '@jest/globals';
import { BufferPool } from '../../base/bufferPool.ts';
import { encodeUtf8 } from '../../base/bytes.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { MIB, nodeId, offset, segmentId } from '../../base/units.ts';
import type { AppendAck, AppendHeader } from '../../protocol/peer/append.ts';
import { baseOffsetOf } from '../../protocol/recordBatch.ts';
import { RecordBatchBuilder } from '../../protocol/recordBatchBuilder.ts';
import { Scheduler } from '../sim/scheduler.ts';
import { SimClock, SimProcess } from '../sim/simProcess.ts';
import type { ReplicaPlace, SegmentRecord } from '../state/types.ts';
import { ProducerStates } from './producerStates.ts';
import { BUSY_RETRY_MS_MAX } from './follower.ts';
import { LEADER_TIMER_MS, SEGMENT_ENTRIES_MAX, SegmentLeader } from './segmentLeader.ts';
import { FakeReplica } from './testing/fakeReplica.ts';

const TOKEN = '0123456789abcdef0123456789abcdef';
const BASE = offset(100);
const places: ReplicaPlace[] = [1, 2, 3].map((id) => ({
  nodeId: nodeId(id),
  diskId: `${id}`.repeat(32),
}));

const SEGMENT: SegmentRecord = {
  segmentId: segmentId(9),
  topic: 't',
  topicId: 1,
  partition: 0,
  state: 'OPEN',
  baseOffset: BASE,
  endOffset: null,
  digest: null,
  epoch: 0,
  token: TOKEN,
  leader: places[0]!,
  leaderBootEpoch: 1,
  ensemble: places,
  ackQuorum: 2,
  isUnderReplicated: false,
  openedAtMs: 0,
  sealedAtMs: null,
  lossy: null,
  partialPlaces: [],
  formerPlaces: [],
};

interface Sent {
  readonly to: number;
  readonly header: AppendHeader;
  readonly offsets: readonly number[];
}

let scheduler: Scheduler;
let replica: FakeReplica;
let leader: SegmentLeader;
let sent: Sent[];
let opened: number[];
let answers: (number | ErrorCode)[];
let isLeaseHeld: boolean;
let deposed: ErrorCode[];
let sequence: number;
/** What the transport was given with each Append, and has not released. */
let unreleased: { readonly batches: readonly Uint8Array[]; readonly release: () => void }[];

beforeEach(() => {
  scheduler = new Scheduler();
  replica = new FakeReplica(SEGMENT.segmentId, TOKEN, BASE);
  sent = [];
  opened = [];
  answers = [];
  deposed = [];
  isLeaseHeld = true;
  sequence = 0;
  unreleased = [];
  leader = new SegmentLeader({
    segment: SEGMENT,
    self: places[0]!,
    replica,
    producers: new ProducerStates(),
    clock: new SimClock(scheduler, new SimProcess(), { offsetMs: 0 }),
    buffers: new BufferPool({ maxFreeBytes: MIB, spoils: true }),
    sendAppend: (to, header, batches, onReleased) => {
      if (onReleased !== undefined) unreleased.push({ batches, release: onReleased });
      sent.push({ to: to.nodeId, header, offsets: batches.map((batch) => baseOffsetOf(batch)) });
    },
    sendOpen: (to) => opened.push(to.nodeId),
    isLeaseHeld: () => isLeaseHeld,
    onCommitted: () => undefined,
    onDeposed: (reason) => deposed.push(reason.code),
  });
});

function ack(node: number, rest: Partial<AppendAck> = {}): void {
  const { segmentId: id, token } = SEGMENT;
  const tail = rest.tail ?? leader.tail;
  leader.onAck({
    type: 'AppendAck',
    segmentId: id,
    token,
    diskId: places[node - 1]!.diskId,
    status: 'OK',
    tail,
    durableTail: tail,
    committedOffset: BASE,
    ...rest,
  });
}

/** Appends a batch of two records. */
function append(acks: 'leader' | 'quorum' | 'all' = 'quorum', at = sequence): void {
  const builder = new RecordBatchBuilder({ maxBytes: 1000 });
  builder.appendValue(encodeUtf8('a'), 1);
  builder.appendValue(encodeUtf8('b'), 1);
  if (at === sequence) sequence += 2;
  const batch = builder.finish({ producerId: 5, producerEpoch: 0, baseSequence: at });
  leader.append(batch, acks, (error, outcome) => answers.push(error?.code ?? outcome!.baseOffset));
}

async function openMembers(): Promise<void> {
  ack(2);
  ack(3);
  await scheduler.run(scheduler.nowMs + 1);
  sent = [];
}

describe('append()', () => {
  test('the bytes under way to members stay until the transport is done with all of them', async () => {
    await openMembers();
    append();
    await scheduler.run(scheduler.nowMs + 1);
    expect(unreleased.length).toBe(2);
    const [first, second] = unreleased;
    const offsetsUnderWay = (): number[] =>
      unreleased.map(({ batches }) => baseOffsetOf(batches[0]!));
    first!.release();
    ack(2);
    ack(3); // that they have it says nothing about what the transport still reads
    expect(offsetsUnderWay()).toEqual([100, 100]);
    second!.release();
    expect(first!.batches[0]![0]).toBe(0xdb); // the pool has it
  });

  test('opens the members first, then sends each turn as one message to each', async () => {
    expect(opened).toEqual([2, 3]);
    await openMembers();
    append();
    append();
    await scheduler.run(scheduler.nowMs + 1);
    expect(sent.map(({ to, offsets }) => [to, offsets])).toEqual([
      [2, [100, 102]],
      [3, [100, 102]],
    ]);
  });

  test('acknowledges at W durable copies, in order, whichever they are', async () => {
    await openMembers();
    append();
    append();
    replica.sync();
    expect(answers).toEqual([]);
    ack(3, { tail: offset(104), durableTail: offset(102) });
    expect(answers).toEqual([100]);
    expect(leader.committedOffset).toBe(102);
    ack(2, { tail: offset(104) });
    expect(answers).toEqual([100, 102]);
  });

  test('counts two members without its own disk, but an answer about another session not', async () => {
    await openMembers();
    append();
    ack(2, { token: 'f'.repeat(32) });
    ack(3);
    expect(answers).toEqual([]);
    ack(2);
    expect(answers).toEqual([100]);
  });

  test('keeps to the ack level that was asked for', async () => {
    await openMembers();
    append('leader');
    append('all');
    replica.sync();
    expect(answers).toEqual([100]);
    ack(2);
    expect(answers).toEqual([100]);
    ack(3);
    expect(answers).toEqual([100, 102]);
  });

  test('answers a repeat with its first offset, and only once that is committed', async () => {
    await openMembers();
    append();
    append('quorum', 0);
    expect(answers).toEqual([]);
    replica.sync();
    ack(2);
    expect(answers).toEqual([100, 100]);
    expect(replica.batches).toHaveLength(1);
  });

  test('acknowledges nothing without its lease, and goes on when it is back', async () => {
    await openMembers();
    append();
    isLeaseHeld = false;
    replica.sync();
    ack(2);
    append();
    expect(answers).toEqual(['NOT_LEADER']);
    isLeaseHeld = true;
    await scheduler.run(scheduler.nowMs + 200);
    expect(answers).toEqual(['NOT_LEADER', 100]);
  });
});

describe('members that lag', () => {
  test('a gap is filled from the log, a lost message is sent again', async () => {
    await openMembers();
    append();
    await scheduler.run(scheduler.nowMs + 1);
    append();
    await scheduler.run(scheduler.nowMs + 1);
    sent = [];
    ack(2, { status: 'GAP', tail: BASE });
    expect(sent.map(({ to, header }) => [to, header.firstOffset])).toEqual([[2, 100]]);
    sent = [];
    await scheduler.run(scheduler.nowMs + 400);
    expect(sent.some(({ to, header }) => to === 3 && header.firstOffset === BASE)).toBe(true);
  });

  test('a busy member is asked again after longer and longer rests, whatever is still on its way', async () => {
    await openMembers();
    append();
    await scheduler.run(scheduler.nowMs + 1);
    const probes: number[] = [];
    for (let ms = 0; ms < 3000; ms += 1) {
      let toBusy = sent.filter(({ to, offsets }) => to === 2 && offsets.length > 0).length;
      sent = [];
      for (; toBusy > 0; toBusy -= 1) {
        probes.push(ms);
        ack(2, { status: 'BUSY', tail: BASE });
        ack(2, { status: 'GAP', tail: BASE }); // of what was sent after it
        ack(2, { tail: BASE }); // it has made durable what it had
      }
      await scheduler.run(scheduler.nowMs + 1);
    }
    expect(probes.length).toBeGreaterThan(4);
    expect(probes.length).toBeLessThan(15);
    await scheduler.run(scheduler.nowMs + BUSY_RETRY_MS_MAX + LEADER_TIMER_MS);
    ack(2);
    sent = [];
    append();
    await scheduler.run(scheduler.nowMs + 1);
    expect(sent.find(({ to }) => to === 2)).toMatchObject({ offsets: [102] });
  });

  test('an idle member hears of the committed offset by itself', async () => {
    await openMembers();
    append();
    await scheduler.run(scheduler.nowMs + 1);
    replica.sync();
    ack(2);
    ack(3);
    sent = [];
    await scheduler.run(scheduler.nowMs + 10);
    expect(sent.map(({ to, header }) => [to, header.committedOffset])).toEqual([
      [2, 102],
      [3, 102],
    ]);
  });
});

describe('the end', () => {
  test('closing waits for what is under way, then freezes at the committed offset', async () => {
    await openMembers();
    append();
    let isDrained = false;
    leader.beginClose(() => (isDrained = true));
    append();
    expect(answers).toEqual(['SEGMENT_SEALED']);
    replica.sync();
    ack(2);
    expect(isDrained).toBe(true);
    expect(leader.freeze()).toEqual({ tail: 102, digest: (102).toString(16).padStart(16, '0') });
  });

  test('takes no batch more when it is as long as a segment can be', () => {
    Object.defineProperty(replica, 'tail', { value: offset(BASE + SEGMENT_ENTRIES_MAX) });
    append();
    expect(answers).toEqual(['SEGMENT_SEALED']);
  });

  test('a frozen leader acknowledges nothing until the seal is known, then up to the end', async () => {
    await openMembers();
    append();
    append();
    leader.beginClose(() => undefined);
    expect(leader.freeze().tail).toBe(BASE);
    replica.sync();
    ack(2);
    expect(answers).toEqual([]);
    leader.end(offset(102), false);
    expect(answers).toEqual([100, 'SEGMENT_SEALED']);
  });

  test('who wants all members hears of them, or that a seal has left it unknown', async () => {
    await openMembers();
    append('all');
    append('all');
    append('all');
    replica.sync();
    ack(2);
    ack(3, { tail: offset(102) });
    let isDrained = false;
    leader.beginClose(() => (isDrained = true));
    expect([isDrained, answers]).toEqual([false, [100]]); // it waits for the third, as long as its owner does
    expect(leader.freeze().tail).toBe(106);
    ack(3, { tail: offset(104) });
    leader.end(offset(106), false);
    expect(answers).toEqual([100, 102, 'TIMED_OUT']);
  });

  test('a close is over at once when all members have all', async () => {
    await openMembers();
    append('all');
    let isDrained = false;
    leader.beginClose(() => (isDrained = true));
    replica.sync();
    ack(2);
    expect(isDrained).toBe(false);
    ack(3);
    expect([isDrained, answers]).toEqual([true, [100]]);
  });

  test('a member that is fenced deposes its leader', async () => {
    await openMembers();
    append();
    ack(2, { status: 'FENCED', tail: BASE });
    expect(deposed).toEqual(['FENCED']);
    replica.sync();
    ack(3);
    expect(answers).toEqual([]);
  });

  test("W4: a fence of the leader's own disk stops it, too", async () => {
    await openMembers();
    replica.fence(1, () => undefined);
    append();
    expect(answers).toEqual(['FENCED']);
    expect(leader.state).toBe('Frozen');
  });
});
