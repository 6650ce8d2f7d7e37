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
import { ReplicaHost } from './replicaHost.ts';

const SNAPSHOT = new Uint8Array(0);

/** Node 4's disk, which is no member, and a segment of nodes 1 to 3 whose recovery has an epoch. */
function spareOf(epoch: number) {
  const cluster = new TestCluster(4).ok(createTopic('t', plan(1, 1, 2, 3)));
  const { segmentId } = cluster.segment(1);
  for (let e = 1; e <= epoch; e += 1) cluster.ok({ type: 'BeginRecovery', segmentId, epoch: e });
  cluster.ok({ type: 'PlanCopies', segmentId, places: [place(4)] });
  const world = new StorageWorld(1);
  const host = new ReplicaHost({
    storage: world.engine,
    clock: world.clock,
    metadata: () => cluster.state,
    sendAck: () => undefined,
  });
  return { host, world, segment: cluster.segment(1) };
}

describe('ReplicaHost.copy()', () => {
  test('R5: a fresh disk goes on for a later recovery where an earlier one had stopped', () => {
    const { host, world, segment } = spareOf(2);
    const first = { epoch: 1, batches: makeBatch(0), producerSnapshot: SNAPSHOT };
    expect(host.copy(segment, first)).toBe(1);
    const all = new Uint8Array([...makeBatch(0), ...makeBatch(1)]);
    const second = { epoch: 2, batches: all, producerSnapshot: SNAPSHOT };
    expect(host.copy(segment, second)).toBe(2);
    world.clock.run();
    world.crash();
    const again = world.replica(segment.segmentId);
    expect([again.tail, again.fenceEpoch, again.token]).toEqual([offset(2), 2, token(1)]);
  });

  test('R5, ADR 0102: once a later recovery has copied to a disk, it refuses an earlier one', () => {
    const { host, segment } = spareOf(2);
    const batches = makeBatch(0);
    host.copy(segment, { epoch: 2, batches, producerSnapshot: SNAPSHOT });
    expect(() => host.copy(segment, { epoch: 1, batches, producerSnapshot: SNAPSHOT })).toThrow(
      'it is fenced with 2',
    );
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
