/** The producer against a scripted cluster: nothing lost, nothing twice, nothing out of order, nothing unbounded. */
import { describe, expect, test } from '@jest/globals';
import { WalrusError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import { SeededRandom, chance, pick } from '../base/random.ts';
import { BATCH_FIELD } from '../protocol/recordBatch.ts';
import { PIPELINE_WINDOW_MAX } from '../protocol/producerPipeline.ts';
import { EXPIRY_CHECK_MS, LEADERLESS_BACK_OFF_MAX_MS, LEADER_CHECK_MS } from './partitionSender.ts';
import type { Producer } from './producer.ts';
import { FakeCluster } from './testing/fakeCluster.ts';
import type { Fate, Seen } from './testing/fakeCluster.ts';
import { bytesOf, numbered, sendNumbered } from './testing/records.ts';

/** A record more than one batch holds of these. */
const BATCH_BYTES = 512;

function failure(code: ErrorCode): WalrusError {
  return new WalrusError(code, `Scripted ${code}`);
}

/** Gives the Produce requests these fates, one after the other; later ones are served. */
function scriptProduce(cluster: FakeCluster, fates: readonly Fate[]): void {
  let at = 0;
  cluster.onRequest = ({ call }) => (call.name === 'Produce' ? fates[at++] : undefined);
}

async function started(
  options: Partial<Parameters<ReturnType<FakeCluster['client']>['producer']>[0]> = {},
  { nodesCount = 3, partitions = 1, seed = 1 } = {},
): Promise<{ cluster: FakeCluster; producer: Producer }> {
  const cluster = new FakeCluster(nodesCount, seed);
  cluster.addTopic('t', partitions);
  const client = cluster.client();
  const producer = await cluster.until(
    client.producer({ topic: 't', batchBytes: BATCH_BYTES, ...options }),
  );
  return { cluster, producer };
}

async function sendAndClose(
  cluster: FakeCluster,
  producer: Producer,
  count: number,
): Promise<void> {
  await cluster.until(sendNumbered(producer, count));
  await cluster.until(producer.close(), 200_000);
}

describe('what fails is sent again, once in the log and in order', () => {
  const scripts: Record<string, readonly Fate[]> = {
    'no failure': [],
    'a lost request': ['CloseBefore'],
    'a lost reply': ['CloseAfter'],
    'a lost reply in the middle of the window': [undefined, undefined, 'CloseAfter'],
    'replies lost again and again': ['CloseAfter', 'CloseAfter', 'CloseBefore', 'CloseAfter'],
    'a sealed segment': [failure('SEGMENT_SEALED')],
    'one refused, those behind it not': [undefined, failure('NOT_ENOUGH_REPLICAS')],
    'an unknown outcome': [undefined, failure('TIMED_OUT'), undefined, failure('TIMED_OUT')],
    'an overload': [failure('OVERLOADED'), failure('OVERLOADED')],
    'no answer at all': ['Silence'],
  };
  test.each(Object.entries(scripts))('%s', async (_, fates) => {
    const { cluster, producer } = await started();
    scriptProduce(cluster, fates);
    await sendAndClose(cluster, producer, 20);
    expect(cluster.log('t').values()).toEqual(numbered(20));
    expect(producer.counts).toMatchObject({ acknowledgedRecords: 20, failedRecords: 0 });
    expect(producer.bufferedBytes).toBe(0);
  });

  test('a retry has the sequence of the first sending', async () => {
    const { cluster, producer } = await started();
    scriptProduce(cluster, ['CloseAfter']);
    await sendAndClose(cluster, producer, 1);
    const sent = cluster.seen.flatMap(({ call }) =>
      call.name === 'Produce' ? [Buffer.from(call.request.batches).toString('hex')] : [],
    );
    expect(sent).toHaveLength(2);
    expect(sent[1]).toBe(sent[0]);
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('anything at random, seed %d', async (seed) => {
    const { cluster, producer } = await started();
    const random = new SeededRandom(seed);
    const codes: readonly Fate[] = [
      'CloseBefore',
      'CloseAfter',
      'Silence',
      failure('NOT_LEADER'),
      failure('SEGMENT_SEALED'),
      failure('TIMED_OUT'),
    ];
    cluster.onRequest = ({ call }: Seen) => {
      if (call.name !== 'Produce') return undefined;
      if (chance(random, 0.1)) cluster.setLeader('t', 0, random.uint32() % 3);
      return chance(random, 0.3) ? pick(random, codes) : undefined;
    };
    await cluster.until(sendNumbered(producer, 60));
    await cluster.run(50_000);
    cluster.onRequest = () => undefined;
    await cluster.until(producer.close(), 200_000);
    expect(cluster.log('t').values()).toEqual(numbered(60));
    expect(producer.counts).toMatchObject({ acknowledgedRecords: 60, failedRecords: 0 });
  });
});

describe('the leader', () => {
  test('batches go straight to it, and to its successor after NOT_LEADER', async () => {
    const { cluster, producer } = await started();
    await cluster.until(producer.deliver({ value: bytesOf('0') }));
    cluster.setLeader('t', 0, 2);
    const startMs = cluster.scheduler.nowMs;
    await cluster.until(producer.deliver({ value: bytesOf('1') }));
    expect(cluster.scheduler.nowMs - startMs).toBeLessThan(500);
    const nodes = cluster.seen.flatMap(({ node, call }) =>
      call.name === 'Produce' ? [node.id] : [],
    );
    expect(nodes[0]).toBe(1);
    expect(nodes.at(-1)).toBe(3);
    expect(cluster.log('t').values()).toEqual(['0', '1']);
  });

  test('batches that wait for the route to change never go before one that failed', async () => {
    const { cluster, producer } = await started({ lingerMs: 0 });
    await cluster.until(producer.deliver({ value: bytesOf('0') }));
    // The first batch of a new producer: in doubt at the old leader while the new one takes over.
    const second = await cluster.until(
      cluster.client().producer({ topic: 't', batchBytes: BATCH_BYTES }),
    );
    let isFirst = true;
    cluster.onRequest = ({ call }) => {
      if (call.name !== 'Produce' || !isFirst) return undefined;
      isFirst = false;
      cluster.setLeader('t', 0, 1);
      return 'CloseBefore';
    };
    await sendAndClose(cluster, second, 10);
    expect(cluster.log('t').values()).toEqual(['0', ...numbered(10)]);
  });

  test('nothing goes to a new leader before what is under way to the old one has come back or is given up', async () => {
    const { cluster, producer } = await started({ requestTimeoutMs: 5000 });
    cluster.onRequest = ({ node, call }) =>
      call.name === 'Produce' && node.id === 1 ? 'Silence' : undefined;
    void producer.sendValue(bytesOf('0'));
    await cluster.run(1500);
    cluster.setLeader('t', 0, 1);
    for (const text of ['1', '2']) {
      void producer.sendValue(bytesOf(text));
      await cluster.run(100);
    }
    const toNew = cluster.seen.filter(({ node, call }) => call.name === 'Produce' && node.id === 2);
    expect(toNew).toEqual([]);
    await cluster.until(producer.close());
    expect(cluster.log('t').values()).toEqual(numbered(3));
    const sequences = cluster.seen.flatMap(({ node, call }) =>
      call.name === 'Produce' && node.id === 2
        ? [Buffer.from(call.request.batches).readInt32BE(BATCH_FIELD.BASE_SEQUENCE)]
        : [],
    );
    expect(sequences).toEqual([0, 1, 2]);
  });

  test('a node that is down is passed by', async () => {
    const { cluster, producer } = await started();
    await cluster.until(producer.deliver({ value: bytesOf('0') }));
    cluster.crash(0);
    const sending = producer.deliver({ value: bytesOf('1') });
    await cluster.run(300);
    cluster.setLeader('t', 0, 1);
    await cluster.until(sending, 3000);
    expect(cluster.log('t').values()).toEqual(['0', '1']);
  });
});

describe('the producer id', () => {
  test('an unknown producer goes on under a new id', async () => {
    const { cluster, producer } = await started();
    await cluster.until(producer.deliver({ value: bytesOf('0') }));
    cluster.log('t').forgetProducers();
    await cluster.until(producer.deliver({ value: bytesOf('1') }));
    expect(cluster.count('InitProducer')).toBe(2);
    expect(cluster.log('t').values()).toEqual(['0', '1']);
  });

  test('a batch that came before the first one of its producer does not cost the id', async () => {
    const { cluster, producer } = await started();
    // The first is in doubt, the others come to a log that does not know their producer.
    scriptProduce(cluster, [failure('TIMED_OUT')]);
    await sendAndClose(cluster, producer, 5);
    expect(cluster.log('t').values()).toEqual(numbered(5));
    expect(cluster.count('InitProducer')).toBe(1);
  });

  test('a batch out of order alone has lost its place: a new id', async () => {
    const { cluster, producer } = await started();
    scriptProduce(cluster, [failure('OUT_OF_ORDER_SEQUENCE')]);
    await cluster.until(producer.deliver({ value: bytesOf('0') }));
    expect(cluster.count('InitProducer')).toBe(2);
    expect(cluster.log('t').values()).toEqual(['0']);
  });
});

describe('a change of the leader', () => {
  test.each([1, 2, 3, 4, 5, 6])(
    'that is cut off does not hold up its records, seed %d',
    async (seed) => {
      const { cluster, producer } = await started({}, { seed });
      await cluster.until(producer.deliver({ value: bytesOf('0') }));
      let isCutOff = true;
      cluster.onRequest = ({ node }) => (isCutOff && node.id === 1 ? 'Silence' : undefined);
      const sent = Promise.all(
        ['1', '2', '3'].map((text) => producer.deliver({ value: bytesOf(text) })),
      );
      await cluster.run(1500);
      cluster.setLeader('t', 0, 2);
      const ledFromMs = cluster.scheduler.nowMs;
      await cluster.until(sent);
      expect(cluster.scheduler.nowMs - ledFromMs).toBeLessThan(3500);
      isCutOff = false;
      await cluster.until(producer.close());
      expect(cluster.log('t').values()).toEqual(['0', '1', '2', '3']);
    },
  );

  test('batches that wait for it are not overtaken by newer ones', async () => {
    const { cluster, producer } = await started({ lingerMs: 0 });
    await cluster.until(producer.deliver({ value: bytesOf('0') }));
    const serve = cluster.serve.bind(cluster);
    const late: (() => void)[] = [];
    let hasNewLeader = false;
    cluster.serve = (node, call) => {
      if (call.name === 'Metadata' && hasNewLeader) {
        // The client knows; a little later the old leader answers.
        cluster.world.clock.setTimer(EXPIRY_CHECK_MS / 2, () => late.forEach((each) => each()));
      }
      if (call.name !== 'Produce' || node.id !== 1) return serve(node, call);
      const answer = cluster.log('t').append(call.request.batches);
      return new Promise((resolve) => late.push(() => resolve(answer)));
    };
    await cluster.run(1500);
    void producer.sendValue(bytesOf('1')); // answered late, by the old leader
    await cluster.run(500);
    cluster.setLeader('t', 0, 1);
    hasNewLeader = true;
    for (let i = 2; i <= 30; i += 1) {
      void producer.sendValue(bytesOf(String(i)));
      void producer.flush(); // each a batch of its own
      await cluster.run(50);
    }
    await cluster.until(producer.close());
    const sequences = cluster.seen.flatMap(({ call }) =>
      call.name === 'Produce'
        ? [Buffer.from(call.request.batches).readInt32BE(BATCH_FIELD.BASE_SEQUENCE)]
        : [],
    );
    expect(sequences).toEqual(sequences.map((_, i) => i));
    expect(cluster.log('t').values()).toEqual(numbered(31));
  });
});

describe('flush and close', () => {
  test('flush waits for what was taken before it, not for what others go on sending', async () => {
    const { cluster, producer } = await started();
    const state = { isFlushed: false };
    void producer.sendValue(bytesOf('0'));
    void producer.flush().then(() => {
      state.isFlushed = true;
    });
    for (let i = 1; i <= 200 && !state.isFlushed; i += 1) {
      void producer.deliver({ value: bytesOf(String(i)) });
      await cluster.run(1);
    }
    expect(state.isFlushed).toBe(true);
    expect(producer.bufferedBytes).toBeGreaterThan(0);
  });

  test('close takes no more records', async () => {
    const { cluster, producer } = await started();
    void producer.sendValue(bytesOf('0'));
    const closing = producer.close();
    expect(() => producer.sendValue(bytesOf('1'))).toThrow('closed');
    await cluster.until(closing);
    expect(cluster.log('t').values()).toEqual(['0']);
  });
});

describe('options', () => {
  test.each([
    { partition: 0.5 },
    { partition: Number.NaN },
    { lingerMs: Number.NaN },
    { lingerMs: -1 },
    { batchBytes: 512.5 },
    { maxBufferedBytes: Number.POSITIVE_INFINITY },
    { requestTimeoutMs: 0.5 },
    { deliveryTimeoutMs: Number.NaN },
  ])('%p is refused', async (options) => {
    const code = 'partition' in options ? 'PARTITION_NOT_FOUND' : 'INVALID_CONFIG';
    await expect(started(options)).rejects.toMatchObject({ code });
  });
});

/** The longest pause between the attempts of a record that fails in the same way for five seconds. */
async function longestPauseMs(code: ErrorCode): Promise<number> {
  const { cluster, producer } = await started({ deliveryTimeoutMs: 5000 });
  const atMs: number[] = [];
  cluster.onRequest = ({ call }) => {
    if (call.name !== 'Produce') return undefined;
    atMs.push(cluster.scheduler.nowMs);
    return failure(code);
  };
  const failing = producer.deliver({ value: bytesOf('late') });
  await expect(cluster.until(failing, 10_000)).rejects.toMatchObject({ code: 'TIMED_OUT' });
  return Math.max(...atMs.slice(1).map((ms, index) => ms - atMs[index]!));
}

describe('pauses between attempts', () => {
  const LATENCY_MS_MAX = 10;

  test.each(['NOT_LEADER', 'METADATA_UNAVAILABLE', 'NOT_ENOUGH_REPLICAS'] as const)(
    'stay short while nobody leads: %s',
    async (code) => {
      const longestMs = await longestPauseMs(code);
      expect(longestMs).toBeLessThan(LEADERLESS_BACK_OFF_MAX_MS + LATENCY_MS_MAX);
    },
  );

  test('grow when the node has too much to do', async () => {
    expect(await longestPauseMs('OVERLOADED')).toBeGreaterThan(2 * LEADERLESS_BACK_OFF_MAX_MS);
  });
});

describe('the end of patience', () => {
  test('it comes in time for every record, also for those whose batch waits for room', async () => {
    const deliveryTimeoutMs = 1000;
    const { cluster, producer } = await started({ batchBytes: 65_536, deliveryTimeoutMs });
    cluster.onRequest = ({ call }) => (call.name === 'Produce' ? 'Silence' : undefined);
    const waitedMs: number[] = [];
    for (const text of numbered(400)) {
      const sentMs = cluster.scheduler.nowMs;
      producer.deliver({ value: bytesOf(text) }).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'TIMED_OUT' });
        waitedMs.push(cluster.scheduler.nowMs - sentMs);
      });
      await cluster.run(10); // longer than a batch waits for more
    }
    await cluster.run(deliveryTimeoutMs + EXPIRY_CHECK_MS);
    expect(waitedMs).toHaveLength(400);
    expect(Math.max(...waitedMs)).toBeLessThanOrEqual(deliveryTimeoutMs + EXPIRY_CHECK_MS);
    expect(Math.min(...waitedMs)).toBeGreaterThanOrEqual(deliveryTimeoutMs / 2);
  });

  test('a record fails with TIMED_OUT when its time is over, and the next one goes on', async () => {
    const { cluster, producer } = await started({ deliveryTimeoutMs: 2000 });
    cluster.onRequest = ({ call }) =>
      call.name === 'Produce' ? failure('NOT_ENOUGH_REPLICAS') : undefined;
    const failing = producer.deliver({ value: bytesOf('lost') });
    await expect(cluster.until(failing, 5000)).rejects.toMatchObject({
      code: 'TIMED_OUT',
    });
    cluster.onRequest = () => undefined;
    await cluster.until(producer.deliver({ value: bytesOf('1') }));
    expect(cluster.log('t').values()).toEqual(['1']);
    expect(producer.counts).toMatchObject({ acknowledgedRecords: 1, failedRecords: 1 });
  });

  test('a failure that nobody waits for is thrown by flush, once', async () => {
    const { cluster, producer } = await started();
    scriptProduce(cluster, [failure('CORRUPT_BATCH')]);
    void producer.sendValue(bytesOf('0'));
    await expect(cluster.until(producer.flush())).rejects.toMatchObject({ code: 'CORRUPT_BATCH' });
    await cluster.until(producer.flush());
  });

  test('what the client cannot read is no proof that nothing was stored', async () => {
    const { cluster, producer } = await started();
    let isFirst = true;
    const serve = cluster.serve.bind(cluster);
    cluster.serve = (node, call) => {
      const answer = serve(node, call);
      if (call.name !== 'Produce' || !isFirst) return answer;
      isFirst = false;
      return { batches: [], logStartOffset: 0 };
    };
    await cluster.until(producer.deliver({ value: bytesOf('0') }));
    expect(cluster.log('t').values()).toEqual(['0']);
  });
});

describe('batches', () => {
  test('grow while nodes are slow, instead of waiting one behind the other', async () => {
    const { cluster, producer } = await started({ batchBytes: 65_536, requestTimeoutMs: 300 });
    scriptProduce(cluster, Array<Fate>(5).fill('Silence'));
    const delivered: Promise<unknown>[] = [];
    for (const text of numbered(100)) {
      delivered.push(producer.deliver({ value: bytesOf(text) }));
      await cluster.run(10); // longer than a batch waits for more
    }
    await cluster.until(Promise.all(delivered), 200_000);
    expect(cluster.log('t').values()).toEqual(numbered(100));
    const requests = cluster.seen.filter(({ call }) => call.name === 'Produce').length;
    expect(requests).toBeLessThan(70);
  });

  test('that wait for room set no timers meanwhile, and go when an answer makes room', async () => {
    const { cluster, producer } = await started({ requestTimeoutMs: 60_000 });
    const answers: (() => void)[] = [];
    const serve = cluster.serve.bind(cluster);
    cluster.serve = (node, call) => {
      if (call.name !== 'Produce') return serve(node, call);
      return new Promise((resolve) => answers.push(() => resolve(serve(node, call))));
    };
    for (const text of numbered(PIPELINE_WINDOW_MAX + 1)) {
      void producer.sendValue(bytesOf(text));
      await cluster.run(20); // longer than a batch waits for more
    }
    expect(cluster.count('Produce')).toBe(PIPELINE_WINDOW_MAX);
    const { clock } = cluster.world;
    const setTimer = clock.setTimer.bind(clock);
    let timersCount = 0;
    clock.setTimer = (...timer) => {
      timersCount += 1;
      return setTimer(...timer);
    };
    await cluster.run(2000);
    expect(timersCount).toBeLessThanOrEqual(2000 / EXPIRY_CHECK_MS + 2000 / LEADER_CHECK_MS);
    answers.shift()?.();
    await cluster.run(10);
    expect(cluster.count('Produce')).toBe(PIPELINE_WINDOW_MAX + 1);
    for (let i = 0; i < PIPELINE_WINDOW_MAX; i += 1) answers.shift()?.();
    await cluster.until(producer.close());
    expect(cluster.log('t').values()).toEqual(numbered(PIPELINE_WINDOW_MAX + 1));
  });
});

describe('records without a key', () => {
  test.each([0, 1])('leave a partition that takes nothing: %d', async (dead) => {
    const { cluster, producer } = await started({ batchBytes: 65_536 }, { partitions: 2 });
    cluster.onRequest = ({ call }) =>
      call.name === 'Produce' && call.request.partition === dead
        ? failure('NOT_ENOUGH_REPLICAS')
        : undefined;
    for (const text of numbered(300)) {
      void producer.sendValue(bytesOf(text));
      await cluster.run(10); // longer than a batch waits for more
    }
    // The dead one has got its window, one at each attempt, and one batch that waits for room.
    const storedMin = 300 - 2 * (PIPELINE_WINDOW_MAX + 1);
    expect(cluster.log('t', 1 - dead).values().length).toBeGreaterThanOrEqual(storedMin);
    cluster.onRequest = () => undefined;
    await cluster.until(producer.close());
    const stored = [0, 1].flatMap((partition) => cluster.log('t', partition).values());
    expect(stored.sort((a, b) => Number(a) - Number(b))).toEqual(numbered(300));
  });

  test.each([0, 1])('go to the first partition that has room again, not to %d', async (dead) => {
    const options = { batchBytes: 65_536, requestTimeoutMs: 60_000 };
    const { cluster, producer } = await started(options, { partitions: 2 });
    const serve = cluster.serve.bind(cluster);
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    cluster.serve = async (node, call) => {
      if (call.name !== 'Produce') return await serve(node, call);
      await (call.request.partition === dead ? new Promise(() => undefined) : released);
      return await serve(node, call);
    };
    // Both partitions have as much as they take, and one of them holds a batch.
    for (const text of numbered(2 * PIPELINE_WINDOW_MAX + 2)) {
      void producer.sendValue(bytesOf(text));
      await cluster.run(20);
    }
    release();
    await cluster.run(20);
    const before = cluster.log('t', 1 - dead).values().length;
    for (const text of numbered(100)) {
      void producer.sendValue(bytesOf(text));
      await cluster.run(20);
    }
    expect(cluster.log('t', 1 - dead).values().length - before).toBe(100);
    producer.abort(failure('CONNECTION_FAILED'));
  });
});

describe('memory', () => {
  test('send makes its caller wait when the buffer is full', async () => {
    const maxBufferedBytes = 4096;
    const { cluster, producer } = await started({ maxBufferedBytes });
    cluster.onRequest = ({ call }) =>
      call.name === 'Produce' ? failure('NOT_ENOUGH_REPLICAS') : undefined;
    let room: Promise<void> | undefined;
    let count = 0;
    while (room === undefined && count < 1000) {
      room = producer.sendValue(bytesOf(String(count)));
      count += 1;
    }
    expect(room).toBeDefined();
    expect(producer.bufferedBytes).toBeLessThan(maxBufferedBytes + BATCH_BYTES);
    let hasRoom = false;
    void room?.then(() => {
      hasRoom = true;
    });
    await cluster.run(5000);
    expect(hasRoom).toBe(false);
    cluster.onRequest = () => undefined;
    await cluster.until(room as Promise<void>);
    await cluster.until(producer.close());
    expect(cluster.log('t').values()).toEqual(numbered(count));
  });

  test('a deliver that fails while the buffer is full rejects, and nothing is left behind', async () => {
    const { cluster, producer } = await started({
      maxBufferedBytes: 2048,
      deliveryTimeoutMs: 1000,
    });
    cluster.onRequest = ({ call }) => (call.name === 'Produce' ? failure('DISK_FULL') : undefined);
    const outcomes = Promise.allSettled(
      Array.from({ length: 500 }, () => producer.deliver({ value: bytesOf('x'.repeat(100)) })),
    );
    const settled = await cluster.until(outcomes, 10_000);
    expect(settled.every(({ status }) => status === 'rejected')).toBe(true);
    expect(producer.bufferedBytes).toBe(0);
  });
});

/** A cluster whose nodes take no more, as `--max-frame-bytes` has it. */
async function limited(maxFrameBytes: number): Promise<FakeCluster> {
  const cluster = new FakeCluster(1);
  cluster.addTopic('t');
  Object.assign(cluster.node(0), { maxFrameBytes, maxBatchBytes: maxFrameBytes - 100 });
  await cluster.run(0);
  return cluster;
}

describe("the nodes' limits", () => {
  test('batches are no larger than the nodes take', async () => {
    const cluster = await limited(1024);
    const producer = await cluster.until(cluster.client().producer({ topic: 't' }));
    await sendAndClose(cluster, producer, 300);
    expect(cluster.log('t').values()).toEqual(numbered(300));
    expect(cluster.node(0).connectionsCount).toBe(1);
  });

  test('a record larger than a batch is a batch of its own, in its place', async () => {
    const { cluster, producer } = await started({ batchBytes: BATCH_BYTES });
    const large = 'x'.repeat(5000);
    void producer.sendValue(bytesOf('0'));
    void producer.sendValue(bytesOf(large));
    const delivered = producer.deliver({ value: bytesOf(`${large}y`), key: bytesOf('k') });
    void producer.sendValue(bytesOf('3'));
    expect(await cluster.until(delivered)).toEqual({ partition: 0, offset: 2 });
    await cluster.until(producer.close());
    expect(cluster.log('t').values()).toEqual(['0', large, `${large}y`, '3']);
    expect(producer.counts).toMatchObject({ acknowledgedRecords: 4, failedRecords: 0 });
    expect(producer.bufferedBytes).toBe(0);
  });

  test('a record that can never fit is refused at once, with what to do', async () => {
    const cluster = await limited(4096);
    const client = cluster.client();
    const producer = await cluster.until(client.producer({ topic: 't', batchBytes: 1_000_000 }));
    const value = new Uint8Array(5000);
    const sentBefore = cluster.seen.length;
    const told =
      /record of 50\d\d bytes: the nodes take up to 3871; split it, or raise --max-frame/;
    expect(() => producer.sendValue(value)).toThrow(told);
    expect(() => producer.send({ value })).toThrow(told);
    await expect(producer.deliver({ value })).rejects.toMatchObject({ code: 'TOO_LARGE' });
    expect(cluster.seen.length).toBe(sentBefore);
    // What follows is not held up, and the largest that was told does fit.
    await cluster.until(producer.deliver({ value: new Uint8Array(producer.maxValueBytes) }));
    await cluster.until(client.close(), 1000);
  });

  test('a frame over the limit never leaves: what is under way to the node goes on', async () => {
    const cluster = await limited(4096);
    cluster.node(0).maxBatchBytes = 100_000; // said wrongly
    const client = cluster.client();
    const producer = await cluster.until(client.producer({ topic: 't' }));
    const large = producer.deliver({ value: new Uint8Array(5000) });
    const flushed = producer.flush(); // the next one is in a batch of its own
    const small = producer.deliver({ value: bytesOf('1') });
    await expect(cluster.until(large, 1000)).rejects.toMatchObject({
      code: 'TOO_LARGE',
      details: { limitBytes: 4096 },
    });
    await cluster.until(Promise.all([small, flushed]), 1000);
    expect(cluster.node(0).connectionsCount).toBe(1);
  });
});

describe('close', () => {
  test('ends within the delivery time-out when no node answers', async () => {
    const cluster = new FakeCluster(3);
    cluster.addTopic('t');
    const client = cluster.client();
    const options = { topic: 't', deliveryTimeoutMs: 5000 };
    const producer = await cluster.until(client.producer(options));
    for (const index of [0, 1, 2]) cluster.crash(index);
    void producer.sendValue(bytesOf('0'));
    await expect(cluster.until(client.close(), 6000)).rejects.toMatchObject({ code: 'TIMED_OUT' });
  });
});
