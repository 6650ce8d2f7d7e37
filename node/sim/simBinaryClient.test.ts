/** Whole clusters serving binary clients on virtual time. */
import { describe, expect, jest, test } from '@jest/globals';
import { isWalrusError } from '../../base/errors.ts';
import { nodeId, offset } from '../../base/units.ts';
import { APIS } from '../../protocol/client/apis.ts';
import { ProducerPipeline, stampProducer } from '../../protocol/producerPipeline.ts';
import { batchSizeOf } from '../../protocol/recordBatch.ts';
import { RecordBatchBuilder } from '../../protocol/recordBatchBuilder.ts';
import { forEachValue } from '../../protocol/recordIterator.ts';
import type { ClientServer } from '../server/clientServer.ts';
import type { ServerLimits } from '../server/serverContext.ts';
import { firstBadCopy } from './checkers/copiesWhole.ts';
import { batchSpots, rotBody } from './copyRot.ts';
import { SimBinaryClient } from './simBinaryClient.ts';
import { SimClients, clientAddressOf } from './simClients.ts';
import { SimCluster } from './simCluster.ts';
import type { Machine } from './simCluster.ts';

const CONFIG = {
  metadataVoters: 3,
  maxSegmentEntries: 1_000_000,
  maxSegmentBytes: 16 * 1024 * 1024,
  maxSegmentAgeMs: 3_600_000,
};

/** Real time, for a busy machine: what is tested passes in virtual time. */
jest.setTimeout(60_000);

interface World {
  readonly cluster: SimCluster;
  readonly machines: readonly Machine[];
  client(machine: Machine): SimBinaryClient;
  server(machine: Machine): ClientServer;
  wait<T>(promise: Promise<T>, withinMs?: number): Promise<T>;
}

async function world(
  options: {
    seed?: number;
    entries?: number;
    nodeCount?: number;
    limits?: Partial<ServerLimits>;
  } = {},
): Promise<World> {
  const { seed = 1, entries = CONFIG.maxSegmentEntries, nodeCount = 3 } = options;
  const config = { ...CONFIG, maxSegmentEntries: entries };
  const cluster = new SimCluster({ seed, nodeCount, config });
  const clients = new SimClients(cluster, options.limits);
  await cluster.startAll();
  return {
    cluster,
    machines: cluster.machines,
    client: (machine) => new SimBinaryClient(clients.streams, clientAddressOf(machine)),
    server: (machine) => {
      const server = clients.servers.get(machine);
      if (server === undefined) throw new Error('it does not run');
      return server;
    },
    wait: async (promise, withinMs = 20_000) => {
      let isSettled = false;
      const settle = (): void => {
        isSettled = true;
      };
      promise.then(settle, settle);
      await cluster.runUntil(() => isSettled, withinMs);
      return await promise;
    },
  };
}

async function threeVoters({ cluster, machines }: World): Promise<void> {
  const count = (): number => machines[0]!.parts!.raft.status().configuration.voters.length;
  await cluster.runUntil(() => count() === 3, 20_000);
}

function batchOf(values: readonly number[]): Uint8Array {
  const builder = new RecordBatchBuilder({ maxBytes: 100_000 });
  for (const value of values)
    builder.appendValue(Uint8Array.of(value & 255, value >>> 8), 1000 + value);
  return builder.finish();
}

/** One record of 60 KB. */
function largeBatch(): Uint8Array {
  const builder = new RecordBatchBuilder({ maxBytes: 100_000 });
  builder.appendValue(new Uint8Array(60_000), 1000);
  return builder.finish();
}

function valuesOf(batches: Uint8Array): number[] {
  const values: number[] = [];
  for (let at = 0; at < batches.length; at += batchSizeOf(batches, at)) {
    forEachValue(batches, at, (start) => {
      values.push((batches[start] ?? 0) + 256 * (batches[start + 1] ?? 0));
    });
  }
  return values;
}

async function readAll(client: SimBinaryClient, topic: string, count: number): Promise<number[]> {
  const values: number[] = [];
  let from = offset(0);
  while (values.length < count) {
    const partitions = [{ topic, partition: 0, offset: from }];
    const request = { maxWaitMs: 1000, minBytes: 1, maxBytes: 1000, partitions };
    const result = (await client.call(APIS.Fetch, request)).results[0];
    if (result === undefined || isWalrusError(result)) throw result ?? new Error('no result');
    values.push(...valuesOf(result.batches));
    from = result.nextOffset;
  }
  return values;
}

const TOPIC = { partitions: 1, ifNotExists: false } as const;
const FROM_START = { topic: 't', partition: 0, offset: offset(0) } as const;
const PRODUCE = { topic: 't', partition: 0, acks: 'quorum', timeoutMs: 5000 } as const;

describe('binary clients of a cluster', () => {
  test('read without an error through every node as long as one copy is whole', async () => {
    const at = await world({ entries: 10, nodeCount: 4 });
    const clients = at.machines.map((machine) => at.client(machine));
    await at.wait(clients[0]!.call(APIS.CreateTopic, { name: 't', ...TOPIC }));
    for (let value = 0; value < 15;) {
      const produce = clients[0]!.call(APIS.Produce, { ...PRODUCE, batches: batchOf([value]) });
      const isRefused = produce.then(
        () => false,
        (error: unknown) => isWalrusError(error, 'NOT_LEADER'), // the segment rolls
      );
      if (!(await at.wait(isRefused))) value += 1;
    }
    await at.cluster.run(1000);
    const { segments } = at.machines[0]!.parts!.metadata.metadata;
    const sealed = [...segments.values()].find(({ state }) => state === 'SEALED')!;
    const holders = sealed.ensemble.map(({ nodeId }) => at.machines[nodeId - 1]!);
    const damage = (whole: Machine): void => {
      for (const machine of holders) {
        if (machine !== whole) rotBody(machine, batchSpots(machine, sealed.segmentId)[4]!);
      }
    };
    // Whichever is whole: also when the node has no copy itself, and in the middle of the segment.
    for (const whole of holders) {
      damage(whole);
      for (const client of clients) {
        const values = await at.wait(readAll(client, 't', 15));
        expect(values).toEqual(Array.from({ length: 15 }, (_, value) => value));
      }
      await at.cluster.runUntil(() => firstBadCopy(at.cluster) === null, 20_000);
    }
  });

  test('create, produce, fetch and ask for offsets through different nodes', async () => {
    const at = await world();
    const [one, two, three] = at.machines.map((machine) => at.client(machine));
    const hello = { clientName: 'test', clientVersion: '1' };
    const { nodeId, clusterId } = await at.wait(one!.call(APIS.Handshake, hello));
    expect([nodeId, clusterId.length]).toEqual([1, 32]);
    expect((await at.wait(one!.call(APIS.CreateTopic, { name: 't', ...TOPIC }))).isNew).toBe(true);
    const batches = batchOf([0, 1, 2]);
    const produced = await at.wait(two!.call(APIS.Produce, { ...PRODUCE, batches }));
    expect(produced.batches).toEqual([{ baseOffset: 0, isDuplicate: false }]);
    const twice = new Uint8Array([...batchOf([3]), ...batchOf([4, 5])]);
    const more = await at.wait(
      three!.call(APIS.Produce, { ...PRODUCE, acks: 'all', batches: twice }),
    );
    expect(more.batches.map(({ baseOffset }) => baseOffset)).toEqual([3, 4]);
    for (const client of [one, two, three]) {
      expect(await at.wait(readAll(client!, 't', 6))).toEqual([0, 1, 2, 3, 4, 5]);
      const latest = { topic: 't', partition: 0, at: { type: 'latest' } } as const;
      expect(await at.wait(client!.call(APIS.ListOffsets, latest))).toEqual({ offset: 6 });
      const time = { topic: 't', partition: 0, at: { type: 'time', timestampMs: 1003 } } as const;
      expect(await at.wait(client!.call(APIS.ListOffsets, time))).toEqual({ offset: 3 });
    }
    const info = await at.wait(three!.call(APIS.Metadata, { topics: ['t', 'none'] }));
    expect(info.topics.map(({ name, replicas }) => [name, replicas])).toEqual([['t', 3]]);
    expect(info.nodes.map(({ isAlive }) => isAlive)).toEqual([true, true, true]);
    const commit = { topic: 't', partition: 0, offset: offset(4) };
    await at.wait(one!.call(APIS.CommitPositions, { group: 'g', positions: [commit] }));
    expect(await at.wait(two!.call(APIS.FetchPositions, { group: 'g' }))).toMatchObject({
      positions: [commit],
    });
    expect(await at.wait(three!.call(APIS.GetNext, { topic: 't' }))).toMatchObject({
      record: { partition: 0, offset: 0 },
    });
    await at.wait(two!.call(APIS.DeleteTopic, { name: 't' }));
    await expect(at.wait(one!.call(APIS.DescribeTopic, { topic: 't' }))).rejects.toMatchObject({
      code: 'TOPIC_NOT_FOUND',
    });
  });

  test('DeleteRecords lets a partition begin later, in the open segment too, and may be repeated', async () => {
    const at = await world({ entries: 10 });
    const [one, two, three] = at.machines.map((machine) => at.client(machine));
    await at.wait(one!.call(APIS.CreateTopic, { name: 't', ...TOPIC }));
    const produce = async (batches: Uint8Array): Promise<void> => {
      for (;;) {
        try {
          await at.wait(one!.call(APIS.Produce, { ...PRODUCE, batches }));
          return;
        } catch (error) {
          if (!isWalrusError(error, 'NOT_LEADER')) throw error; // between two segments
          await at.cluster.run(20);
        }
      }
    };
    for (let i = 0; i < 25; i += 5) await produce(batchOf([i, i + 1, i + 2, i + 3, i + 4]));
    const before = (client: SimBinaryClient, beforeOffset: number) =>
      client.call(APIS.DeleteRecords, {
        topic: 't',
        partition: 0,
        beforeOffset: offset(beforeOffset),
      });
    const basesSeenBy = async (client: SimBinaryClient) => {
      const found = await at.wait(client.call(APIS.DescribeTopic, { topic: 't' }));
      return found.partitions[0]!.segments.map(({ baseOffset }) => baseOffset as number);
    };
    expect(await at.wait(before(one!, 12))).toEqual({ logStartOffset: 12 });
    expect(await basesSeenBy(one!)).toEqual([10, 20]);
    expect(await at.wait(before(two!, 7))).toEqual({ logStartOffset: 12 });
    await expect(at.wait(before(three!, 26))).rejects.toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
      details: { endOffset: 25, logStartOffset: 12 },
    });
    expect(await at.wait(before(three!, 25))).toEqual({ logStartOffset: 25 });
    // The segment 20..25 was closed for it; it stays, for its snapshot of the producers.
    expect(await basesSeenBy(three!)).toEqual([20, 25]);
    await produce(batchOf([25]));
    const record = await at.wait(three!.call(APIS.GetNext, { topic: 't' }));
    expect(record).toMatchObject({ record: { partition: 0, offset: 25 } });
    const partitions = [{ topic: 't', partition: 0, offset: offset(3) }];
    const fetch = { maxWaitMs: 0, minBytes: 1, maxBytes: 1000, partitions };
    const { results } = await at.wait(two!.call(APIS.Fetch, fetch));
    expect(results[0]).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
  });

  test('TransferLeadership moves the metadata to a named voter, or any', async () => {
    const at = await world();
    await threeVoters(at);
    const client = at.client(at.machines[1]!);
    const transfer = (to: number | undefined) =>
      client.call(APIS.TransferLeadership, { nodeId: to === undefined ? undefined : nodeId(to) });
    const leads = (): number[] =>
      at.machines.filter(({ parts }) => parts!.metadata.isLeader).map((machine) => machine.nodeId);
    for (const to of [3, 3, 2]) {
      expect(await at.wait(transfer(to))).toEqual({ nodeId: to });
      await at.cluster.runUntil(() => leads().join() === String(to), 2000);
      await at.cluster.run(500);
    }
    const { nodeId: next } = await at.wait(transfer(undefined));
    expect(next).not.toBe(2);
    await at.cluster.runUntil(() => leads().join() === String(next), 2000);
    await at.cluster.run(500);
    await expect(at.wait(transfer(9))).rejects.toMatchObject({ code: 'INVALID_MEMBERSHIP' });
  });

  test.each([
    ['while its leader is dead and nobody knows it yet', 0],
    ['while it has no leader', 800],
  ])('an operator reaches the metadata over an election: %s', async (_when, afterMs) => {
    const at = await world();
    await threeVoters(at);
    const leader = at.machines.find(({ parts }) => parts!.metadata.isLeader)!;
    const client = at.client(at.machines.find((machine) => machine !== leader)!);
    await at.wait(client.call(APIS.ListGroups, {}));
    at.cluster.kill(leader);
    await at.cluster.run(afterMs);
    const request = { diskId: 'f'.repeat(32), confirm: true };
    const answer = at.wait(client.call(APIS.MarkDiskLost, request), 10_000);
    await expect(answer).rejects.toMatchObject({ code: 'DISK_REFUSED' });
  });

  test('MarkDiskLost says what it would mean, is refused while the node is up, and may be repeated', async () => {
    const at = await world();
    await threeVoters(at);
    const [one, victim] = [at.client(at.machines[0]!), at.machines[1]!];
    await at.wait(one.call(APIS.CreateTopic, { name: 't', ...TOPIC }));
    const { diskId } = victim.parts!.self;
    const mark = (confirm: boolean, id = diskId) =>
      one.call(APIS.MarkDiskLost, { diskId: id, confirm });
    await expect(at.wait(mark(true))).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(at.wait(mark(true, 'f'.repeat(32)))).rejects.toMatchObject({
      code: 'DISK_REFUSED',
    });
    at.cluster.kill(victim);
    await at.cluster.run(3000);
    const before = { nodeId: 2, isLost: false, blocked: 0 };
    expect(await at.wait(mark(false))).toMatchObject(before);
    expect(await at.wait(mark(true))).toMatchObject(before);
    const after = { nodeId: 2, isLost: true, segments: 0, blocked: 0 };
    expect(await at.wait(mark(true))).toEqual(after);
    const cluster = await at.wait(one.call(APIS.DescribeCluster, {}));
    expect(cluster.disks.find((disk) => disk.diskId === diskId)?.state).toBe('LOST');
  });

  test('CommitPositions sets all positions or none', async () => {
    const at = await world();
    const [one, two] = at.machines.map((machine) => at.client(machine));
    await at.wait(one!.call(APIS.CreateTopic, { name: 't', ...TOPIC, partitions: 2 }));
    const position = (partition: number) => ({ topic: 't', partition, offset: offset(1) });
    const positions = [position(0), position(1)];
    const moved = { group: 'h', positions: [{ ...position(1), offset: offset(9) }] };
    const { metadataEpoch } = await at.wait(one!.call(APIS.CommitPositions, moved));
    const refused = one!.call(APIS.CommitPositions, {
      group: 'h',
      unchangedSince: metadataEpoch - 1,
      positions,
    });
    await expect(at.wait(refused)).rejects.toMatchObject({
      code: 'CONFLICT',
      details: { topic: 't', partition: 1, metadataEpoch: metadataEpoch + 1 },
    });
    const before = await at.wait(two!.call(APIS.FetchPositions, { group: 'h' }));
    expect(before.positions).toEqual(moved.positions);
    const nothing = two!.call(APIS.FetchPositions, { group: 'g' });
    await expect(at.wait(nothing)).rejects.toMatchObject({ code: 'GROUP_NOT_FOUND' });
    await at.wait(one!.call(APIS.CommitPositions, { group: 'g', positions }));
    const found = await at.wait(two!.call(APIS.FetchPositions, { group: 'g' }));
    expect(found.positions).toEqual(positions);
  });

  test('a fetch waits for records; one beyond the end is refused with the range', async () => {
    const at = await world();
    const [one, two] = at.machines.map((machine) => at.client(machine));
    await at.wait(one!.call(APIS.CreateTopic, { name: 't', ...TOPIC }));
    const waiting = readAll(two!, 't', 1);
    await at.cluster.run(300);
    await at.wait(one!.call(APIS.Produce, { ...PRODUCE, batches: batchOf([9]) }));
    expect(await at.wait(waiting, 100)).toEqual([9]);
    const leader = at.machines.find(({ parts }) => parts?.segments.ledSegmentIds.length === 1);
    const partitions = [{ topic: 't', partition: 0, offset: offset(50) }];
    const request = { maxWaitMs: 0, minBytes: 1, maxBytes: 1000, partitions };
    const { results } = await at.wait(at.client(leader!).call(APIS.Fetch, request));
    expect(results[0]).toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
      details: { logStartOffset: 0, committedOffset: 1 },
    });
    // Once it is cut off it cannot say so: another node may lead, and have more.
    at.cluster.network.isolate(leader!.address);
    await at.cluster.runUntil(() => leader!.parts?.session.isFresh === false, 5000);
    const later = await at.wait(at.client(leader!).call(APIS.Fetch, request));
    expect(later.results[0]).toMatchObject({ nextOffset: 50 });
  });

  test('who asks for much and reads nothing makes the node hold no more than the limit', async () => {
    const limits = { maxConnectionInFlightBytes: 256 * 1024, maxFrameBytes: 128 * 1024 };
    const at = await world({ nodeCount: 1, limits });
    const [machine] = at.machines;
    const other = at.client(machine!);
    await at.wait(other.call(APIS.CreateTopic, { ...TOPIC, name: 't' }));
    for (let i = 0; i < 10; i += 1) {
      await at.wait(other.call(APIS.Produce, { ...PRODUCE, batches: largeBatch() }));
    }
    const slow = at.client(machine!);
    await at.cluster.run(10);
    slow.stream.pause();
    const fetch = { maxWaitMs: 0, minBytes: 1, maxBytes: 100_000, partitions: [FROM_START] };
    const count = 200;
    const answers = Array.from({ length: count }, () => slow.call(APIS.Fetch, fetch));
    const records = Array.from({ length: 10 }, () => slow.call(APIS.GetNext, { topic: 't' }));
    let mostBytes = 0;
    for (let i = 0; i < 100; i += 1) {
      await at.cluster.run(1);
      mostBytes = Math.max(mostBytes, at.server(machine!).inFlightBytes);
    }
    expect(mostBytes).toBeGreaterThan(128 * 1024);
    expect(mostBytes).toBeLessThanOrEqual(limits.maxConnectionInFlightBytes);
    // Nobody else suffers.
    const [result] = (await at.wait(other.call(APIS.Fetch, fetch), 1000)).results;
    expect(result).toMatchObject({ nextOffset: 1 });
    slow.stream.resume();
    const all = await at.wait(Promise.all(answers));
    expect(
      all.filter(({ results: [each] }) => each !== undefined && 'batches' in each),
    ).toHaveLength(count);
    const next = (await at.wait(Promise.all(records))).map(({ record }) => record?.offset);
    expect(next).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(at.server(machine!).inFlightBytes).toBe(0);
  });

  test('long polls that wait do not hold up other requests of their connection', async () => {
    const limits = { maxConnectionInFlightBytes: 128 * 1024, maxFrameBytes: 128 * 1024 };
    const at = await world({ limits });
    const clients = at.machines.map((machine) => at.client(machine));
    await at.wait(clients[0]!.call(APIS.CreateTopic, { ...TOPIC, name: 't' }));
    await at.wait(clients[0]!.call(APIS.Produce, { ...PRODUCE, batches: batchOf([1]) }));
    const end = { ...FROM_START, offset: offset(1) };
    const poll = { maxWaitMs: 5000, minBytes: 1, maxBytes: 100_000, partitions: [end] };
    for (const client of clients) {
      const polls = Array.from({ length: 20 }, () => client.call(APIS.Fetch, poll));
      await at.cluster.run(10);
      await at.wait(client.call(APIS.Metadata, { topics: ['t'] }), 500);
      const fetch = { ...poll, partitions: [FROM_START] };
      expect((await at.wait(client.call(APIS.Fetch, fetch), 500)).results).toHaveLength(1);
      await at.wait(Promise.all(polls));
    }
  });

  test('a fetch reads nothing of partitions that it has no room for', async () => {
    const at = await world({ nodeCount: 1 });
    const [machine] = at.machines;
    const client = at.client(machine!);
    await at.wait(client.call(APIS.CreateTopic, { ...TOPIC, name: 't' }));
    await at.wait(client.call(APIS.Produce, { ...PRODUCE, batches: largeBatch() }));
    const reads = jest.spyOn(machine!.parts!.host, 'read');
    const partitions = Array.from({ length: 1000 }, () => FROM_START);
    const request = { maxWaitMs: 0, minBytes: 1, maxBytes: 100_000, partitions };
    const { results } = await at.wait(client.call(APIS.Fetch, request));
    expect(results).toHaveLength(1000);
    expect(results[1]).toMatchObject({ nextOffset: 1, committedOffset: 1 });
    expect(results[2]).toMatchObject({ nextOffset: 0, committedOffset: 1 });
    expect(reads.mock.calls.length).toBe(2);
  });

  test('a long poll ends with its connection', async () => {
    const at = await world({ nodeCount: 1 });
    const [machine] = at.machines;
    const other = at.client(machine!);
    await at.wait(other.call(APIS.CreateTopic, { ...TOPIC, name: 't' }));
    const client = at.client(machine!);
    const poll = { maxWaitMs: 60_000, minBytes: 1, maxBytes: 1000, partitions: [FROM_START] };
    const polls = Promise.allSettled(
      Array.from({ length: 10 }, () => client.call(APIS.Fetch, poll)),
    );
    await at.cluster.run(100);
    client.stream.destroy();
    await at.wait(polls, 100);
    await at.cluster.run(100);
    const reads = jest.spyOn(machine!.parts!.host, 'read');
    await at.wait(other.call(APIS.Produce, { ...PRODUCE, batches: batchOf([1]) }));
    await at.cluster.run(1000);
    expect(reads).not.toHaveBeenCalled();
    expect(at.server(machine!).inFlightBytes).toBe(0);
  });

  test('long polls hold no stop up: they are answered with what there is', async () => {
    const at = await world({ nodeCount: 4 }); // one of which has to ask another one
    const [first] = at.machines;
    const maker = at.client(first!);
    await at.wait(maker.call(APIS.CreateTopic, { ...TOPIC, name: 't' }));
    await at.wait(maker.call(APIS.CreateTopic, { ...TOPIC, name: 'u' }));
    await at.wait(maker.call(APIS.Produce, { ...PRODUCE, batches: batchOf([1]) }));
    const end = { ...FROM_START, offset: offset(1) };
    const other = { ...FROM_START, topic: 'u' };
    const poll = { maxWaitMs: 60_000, minBytes: 1, maxBytes: 1000, partitions: [end] };
    for (const machine of at.machines) {
      const client = at.client(machine);
      const polls = [[end], [other], [end, other]].map((partitions) =>
        client.call(APIS.Fetch, { ...poll, partitions }),
      );
      await at.cluster.run(100);
      await at.wait(at.server(machine).drain(30_000), 50);
      const answers = await at.wait(Promise.all(polls), 50);
      const results = answers.flatMap((answer) => answer.results);
      expect(results.map((result) => isWalrusError(result) || result.nextOffset)).toEqual([
        1, 0, 1, 0,
      ]);
      await at.cluster.run(50);
      expect(client.isClosed).toBe(true);
    }
  });

  test('what is wrong is refused, and nothing else suffers', async () => {
    const at = await world();
    const client = at.client(at.machines[0]!);
    await at.wait(client.call(APIS.CreateTopic, { name: 't', ...TOPIC }));
    const damaged = batchOf([1]);
    damaged[damaged.length - 2] = 77;
    const refusals = [
      client.call(APIS.Produce, { ...PRODUCE, batches: damaged }),
      client.call(APIS.Produce, { ...PRODUCE, batches: new Uint8Array(0) }),
      client.call(APIS.Produce, { ...PRODUCE, partition: 7, batches: batchOf([1]) }),
      client.call(APIS.Produce, { ...PRODUCE, topic: 'none', batches: batchOf([1]) }),
      client.call(APIS.CreateTopic, { name: 't', ...TOPIC }),
      client.call(APIS.CreateTopic, { name: 'u', ...TOPIC, replicas: 2, ackQuorum: 2 }),
    ].map(async (call) => {
      try {
        await call;
        return 'OK';
      } catch (error) {
        return isWalrusError(error) ? error.code : 'BUG';
      }
    });
    expect(await at.wait(Promise.all(refusals))).toEqual([
      'CORRUPT_BATCH',
      'MALFORMED',
      'PARTITION_NOT_FOUND',
      'TOPIC_NOT_FOUND',
      'TOPIC_EXISTS',
      'INVALID_REPLICATION',
    ]);
    await at.wait(client.call(APIS.Produce, { ...PRODUCE, batches: batchOf([1]) }));
    expect(await at.wait(readAll(client, 't', 1))).toEqual([1]);
  });

  test('an idempotent producer neither loses, repeats nor reorders over rolls and a kill', async () => {
    const at = await world({ entries: 20, seed: 11 });
    const setup = at.client(at.machines[0]!);
    await at.wait(setup.call(APIS.CreateTopic, { name: 't', ...TOPIC }));
    const victim = at.machines[2]!;
    const client = at.client(at.machines[1]!);
    const count = 150;
    let settled = 0;
    const failures: string[] = [];
    const schedule = (callback: () => void): void => {
      at.cluster.scheduler.schedule(20, callback);
    };
    const pipeline: ProducerPipeline<number, null> = new ProducerPipeline<number, null>({
      windowMax: 5,
      needIdentity: () => {
        void client.call(APIS.InitProducer, {}).then((identity) => pipeline.setIdentity(identity));
      },
      paused: () => schedule(() => pipeline.resume()),
      settled: (_value, error) => {
        settled += 1;
        if (error !== null) failures.push(error.code);
        if (settled === 60) at.cluster.kill(victim);
      },
      send: ({ batch: value, identity: who, baseSequence, attempt }) => {
        const batches = batchOf([value]);
        stampProducer(batches, who, baseSequence);
        client.call(APIS.Produce, { ...PRODUCE, timeoutMs: 500, batches }).then(
          () => pipeline.acknowledged(attempt, null),
          (error: unknown) => {
            if (isWalrusError(error)) pipeline.failed(attempt, error);
          },
        );
      },
    });
    for (let value = 0; value < count; value += 1) pipeline.add(value, 1);
    await at.cluster.runUntil(() => settled === count, 60_000);
    expect(failures).toEqual([]);
    const values = await at.wait(readAll(at.client(at.machines[0]!), 't', count));
    expect(values).toEqual(Array.from({ length: count }, (_, value) => value));
  });
});

test('a node says of a topic that it does not know yet that it does not lead it, when another node sends to it', async () => {
  const at = await world();
  const [asking, asked] = at.machines as [Machine, Machine];
  const request = { ...PRODUCE, topic: 'new', timeoutMs: 500, batches: batchOf([1]) };
  const { rpc } = asking.parts!;
  const answer = rpc.call(asked.address, APIS.Produce, request, 1000);
  await expect(at.wait(answer)).rejects.toMatchObject({ code: 'NOT_LEADER', retriable: true });
});
