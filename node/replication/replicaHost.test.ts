import { describe, expect, jest, test } from '@jest/globals';
import { WalrusError } from '../../base/errors.ts';
import { nodeId, offset } from '../../base/units.ts';
import type { AppendStatus } from '../../protocol/peer/append.ts';
import {
  TestCluster,
  createTopic,
  place,
  plan,
  registration,
  token,
} from '../state/testing/fixture.ts';
import { makeBatch } from '../storage/testing/batches.ts';
import { StorageWorld } from '../storage/testing/storageWorld.ts';
import { ProducerStates } from './producerStates.ts';
import { ReplicaHost } from './replicaHost.ts';

const SNAPSHOT = new Uint8Array(0);

/** Node 4's disk, which is no member, and a segment of nodes 1 to 3 whose recovery has an epoch. */
function spareOf(epoch: number) {
  const world = new StorageWorld(1);
  const spare = { nodeId: nodeId(4), diskId: world.engine.identity.diskId };
  const cluster = new TestCluster(3).ok(registration(spare, 1), createTopic('t', plan(1, 1, 2, 3)));
  const { segmentId } = cluster.segment(1);
  for (let e = 1; e <= epoch; e += 1) cluster.ok({ type: 'BeginRecovery', segmentId, epoch: e });
  cluster.ok({ type: 'PlanCopies', segmentId, places: [spare] });
  const host = new ReplicaHost({
    storage: world.engine,
    clock: world.clock,
    metadata: () => cluster.state,
    sendAck: () => undefined,
  });
  return { cluster, host, world, segment: cluster.segment(1) };
}

describe('ReplicaHost.copy()', () => {
  test('R5: a fresh disk goes on for a later recovery where an earlier one had stopped', () => {
    const { host, world, segment } = spareOf(2);
    const first = { epoch: 1, batches: makeBatch(0), producerSnapshot: SNAPSHOT };
    expect(host.copy(segment.segmentId, first)).toBe(1);
    const all = new Uint8Array([...makeBatch(0), ...makeBatch(1)]);
    const second = { epoch: 2, batches: all, producerSnapshot: SNAPSHOT };
    expect(host.copy(segment.segmentId, second)).toBe(2);
    world.clock.run();
    world.crash();
    const again = world.replica(segment.segmentId);
    expect([again.tail, again.fenceEpoch, again.token]).toEqual([offset(2), 2, token(1)]);
  });

  test('R5, ADR 0102: once a later recovery has copied to a disk, it refuses an earlier one', () => {
    const { host, segment } = spareOf(2);
    const batches = makeBatch(0);
    host.copy(segment.segmentId, { epoch: 2, batches, producerSnapshot: SNAPSHOT });
    expect(() =>
      host.copy(segment.segmentId, { epoch: 1, batches, producerSnapshot: SNAPSHOT }),
    ).toThrow('it is fenced with 2');
  });

  test('S3: a piece that arrives after the deletion makes no replica again', () => {
    const { cluster, host, world, segment } = spareOf(1);
    const { segmentId } = segment;
    const { topicId } = cluster.state.topics.get('t')!;
    const piece = { epoch: 1, batches: makeBatch(0), producerSnapshot: SNAPSHOT };
    host.copy(segmentId, piece);
    cluster.ok({ type: 'DeleteTopic', name: 't', topicId });
    const isGone = (): void => {
      host.delete(segmentId);
      expect(() => host.copy(segmentId, piece)).toThrow('is not to be copied to this disk');
      world.clock.run();
      expect([host.segmentIds(), world.engine.usage().usedBytes]).toEqual([[], 0]);
    };
    isGone(); // while others have not confirmed theirs
    for (const { diskId } of [...segment.ensemble, ...segment.partialPlaces]) {
      cluster.ok({ type: 'ConfirmDeleted', segmentIds: [segmentId], diskId });
    }
    expect(cluster.state.segments.has(segmentId)).toBe(false);
    isGone();
  });

  test('a disk that the metadata does not name takes nothing', () => {
    const { cluster, host } = spareOf(1);
    cluster.ok(createTopic('u', plan(2, 1, 2, 3)));
    const { segmentId } = cluster.segment(2);
    cluster.ok({ type: 'BeginRecovery', segmentId, epoch: 1 });
    const piece = { epoch: 1, batches: makeBatch(0), producerSnapshot: SNAPSHOT };
    expect(() => host.copy(segmentId, piece)).toThrow('is not to be copied to this disk');
  });

  test('ADR 0111: a copy that a fence made learns what its producers were before it', async () => {
    const { host, world, segment } = spareOf(1);
    const { segmentId } = segment;
    host.fence(segment, 1, () => undefined);
    world.clock.run();
    await expect(host.producersAt(segment, offset(0))).rejects.toThrow('does not know');
    const before = new ProducerStates();
    before.record({ producerId: 9, producerEpoch: 0, baseSequence: 0, recordsCount: 3 }, offset(0));
    const producerSnapshot = before.encode();
    for (const at of [0, 1])
      host.copy(segmentId, { epoch: 1, batches: makeBatch(at), producerSnapshot });
    world.clock.run();
    world.crash();
    expect(world.replica(segmentId).producerSnapshot).toEqual(producerSnapshot);
    expect(world.replica(segmentId).tail).toBe(2);
  });
});

describe('ReplicaHost.producersAt()', () => {
  const COUNT = 3;

  /** A replica of a few batches of half a megabyte, after a restart; `reads` counts. */
  function restarted() {
    const { host, world, segment } = spareOf(1);
    const producerSnapshot = new ProducerStates().encode();
    for (let at = 0; at < COUNT; at += 1) {
      const batches = makeBatch(at, { bytes: 700_000 });
      host.copy(segment.segmentId, { epoch: 1, batches, producerSnapshot });
      world.clock.run();
    }
    world.crash();
    const metadata = () => ({ segments: new Map() }) as never;
    const { clock, engine: storage } = world;
    const again = new ReplicaHost({ storage, clock, metadata, sendAck: () => undefined });
    const replica = world.replica(segment.segmentId);
    const read = replica.read.bind(replica);
    const reads: number[] = [];
    replica.read = (from, limit, maxBytes) => {
      reads.push(from);
      return read(from, limit, maxBytes);
    };
    return { host: again, world, segment, reads };
  }

  test('folds in slices, with turns between, once for all who ask', async () => {
    const { host, world, segment, reads } = restarted();
    const asked = [
      host.producersAt(segment, offset(COUNT)),
      host.producersAt(segment, offset(COUNT)),
    ];
    await Promise.resolve();
    expect(reads).toHaveLength(1);
    while (world.clock.step()) await new Promise((resolve) => setImmediate(resolve));
    const [one, two] = await Promise.all(asked);
    expect(reads).toHaveLength(COUNT);
    expect(one).toEqual(two);
    await host.producersAt(segment, offset(COUNT));
    expect(reads).toHaveLength(COUNT);
  });

  test('keeps what it folded up to a seal below the tail (S1)', async () => {
    const { host, segment, reads } = restarted();
    await host.producersAt(segment, offset(1));
    await host.producersAt(segment, offset(1));
    expect(reads).toHaveLength(1);
  });
});

describe('ReplicaHost.handleAppend()', () => {
  function member() {
    const world = new StorageWorld(2);
    const own = { nodeId: nodeId(4), diskId: world.engine.identity.diskId };
    const first = { ...plan(1, 1, 2), ensemble: [place(1), place(2), own] };
    const cluster = new TestCluster(3).ok(registration(own, 1), createTopic('t', first));
    const segment = cluster.segment(1);
    const statuses: AppendStatus[] = [];
    const host = new ReplicaHost({
      storage: world.engine,
      clock: world.clock,
      metadata: () => cluster.state,
      sendAck: (_, { status }) => statuses.push(status),
    });
    const header = { segmentId: segment.segmentId, token: segment.token, diskId: host.diskId };
    host.handleOpen('one:1', { type: 'Open', ...header, producerSnapshot: SNAPSHOT });
    world.clock.run();
    statuses.length = 0;
    const append = (batches: Uint8Array): void => {
      const at = { committedOffset: offset(0), firstOffset: offset(0) };
      host.handleAppend('one:1', { type: 'Append', ...header, ...at, batches });
    };
    return { append, statuses, replica: host.replica(segment.segmentId)! };
  }

  test('a disk that has too much to write is BUSY, not a gap to be filled at once', () => {
    const { append, statuses, replica } = member();
    const overloaded = new WalrusError('OVERLOADED', 'too much waits for the disk');
    jest.spyOn(replica, 'append').mockImplementation(() => {
      throw overloaded;
    });
    append(makeBatch(0));
    expect(statuses).toEqual(['BUSY']);
  });

  test('a batch that arrives damaged is UNAVAILABLE: to ask for it again at once would never end', () => {
    const { append, statuses } = member();
    const batch = makeBatch(0);
    batch[batch.length - 1]! ^= 1;
    append(batch);
    expect(statuses).toEqual(['UNAVAILABLE']);
  });
});
