/** The consumer against a scripted cluster: every record once, in order, in bounded memory. */
import { describe, expect, test } from '@jest/globals';
import { WalrusError } from '../base/errors.ts';
import { SeededRandom, chance, pick } from '../base/random.ts';
import { offset } from '../base/units.ts';
import type { Consumer } from './consumer.ts';
import type { ConsumerOptions } from './consumerOptions.ts';
import { FakeCluster } from './testing/fakeCluster.ts';
import type { Fate, Seen } from './testing/fakeCluster.ts';
import { bytesOf, numbered, readValues } from './testing/records.ts';

/** A cluster whose topic holds numbered records, three in each batch. */
async function filled(count: number): Promise<FakeCluster> {
  const cluster = new FakeCluster(3);
  cluster.addTopic('t');
  await fill(cluster, 0, count);
  return cluster;
}

async function fill(cluster: FakeCluster, from: number, to: number): Promise<void> {
  const client = cluster.client();
  const producer = await cluster.until(client.producer({ topic: 't' }));
  for (let i = from; i < to; i += 1) {
    void producer.sendValue(bytesOf(String(i)));
    if (i % 3 === 2) await cluster.until(producer.flush());
  }
  await cluster.until(client.close());
  cluster.seen.length = 0;
}

async function consumerOf(
  cluster: FakeCluster,
  options: Partial<ConsumerOptions> = {},
): Promise<Consumer> {
  const small = { fetchBytes: 200, maxWaitMs: 500 };
  return await cluster.until(cluster.client().consumer({ topic: 't', ...small, ...options }));
}

describe('every record once, in order', () => {
  test('from the beginning, past the present end', async () => {
    const cluster = await filled(30);
    const consumer = await consumerOf(cluster);
    expect(await cluster.until(readValues(consumer, 30))).toEqual(numbered(30));
    const more = readValues(consumer, 6);
    await cluster.run(3000);
    await fill(cluster, 30, 36);
    expect(await cluster.until(more)).toEqual(numbered(36).slice(30));
  });

  test('from an offset within a batch', async () => {
    const cluster = await filled(30);
    const consumer = await consumerOf(cluster, { from: { type: 'offset', offset: 13 } });
    expect(await cluster.until(readValues(consumer, 17))).toEqual(numbered(30).slice(13));
  });

  test('a loop that is left within a batch goes on with the rest of it', async () => {
    const cluster = await filled(30);
    const consumer = await consumerOf(cluster);
    const values: string[] = [];
    for (const count of [1, 1, 5, 3, 20]) {
      values.push(...(await cluster.until(readValues(consumer, count))));
      expect(consumer.positions).toEqual([{ partition: 0, offset: values.length }]);
    }
    expect(values).toEqual(numbered(30));
  });

  test('until latest ends where the log ended, however it grows', async () => {
    const cluster = await filled(30);
    const consumer = await consumerOf(cluster, { until: 'latest', fetchBytes: 10_000 });
    await fill(cluster, 30, 60);
    const values: string[] = [];
    const reading = (async () => {
      for await (const { value } of consumer) values.push(Buffer.from(value ?? []).toString());
    })();
    await cluster.until(reading);
    expect(values).toEqual(numbered(30));
  });

  test.each([1, 2, 3, 4, 5, 6])(
    'through failures and changes of leaders, seed %d',
    async (seed) => {
      const cluster = await filled(90);
      const random = new SeededRandom(seed);
      const fates: readonly Fate[] = [
        'CloseBefore',
        'CloseAfter',
        'Silence',
        new WalrusError('NOT_LEADER', 'Scripted'),
        new WalrusError('REPLICA_UNKNOWN', 'Scripted'),
      ];
      cluster.onRequest = ({ call }) => {
        if (call.name !== 'Fetch') return undefined;
        if (chance(random, 0.1)) cluster.setLeader('t', 0, random.uint32() % 3);
        return chance(random, 0.4) ? pick(random, fates) : undefined;
      };
      const consumer = await consumerOf(cluster, { requestTimeoutMs: 1000 });
      expect(await cluster.until(readValues(consumer, 90), 600_000)).toEqual(numbered(90));
    },
  );

  test('the death of the leader while nobody writes', async () => {
    const cluster = await filled(9);
    const consumer = await consumerOf(cluster);
    await cluster.until(readValues(consumer, 9));
    const more = readValues(consumer, 3);
    await cluster.run(700);
    cluster.crash(0);
    await cluster.run(700);
    cluster.setLeader('t', 0, 1);
    await fill(cluster, 9, 12);
    expect(await cluster.until(more, 5000)).toEqual(['9', '10', '11']);
  });
});

describe('what cannot be read', () => {
  test('an offset that was deleted is an error, after what was read before', async () => {
    const cluster = await filled(30);
    cluster.log('t').trim(15);
    const consumer = await consumerOf(cluster, { from: { type: 'offset', offset: 3 } });
    await expect(cluster.until(readValues(consumer, 1))).rejects.toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
    });
  });

  test('an offset beyond the end is an error, not an empty result', async () => {
    const cluster = await filled(3);
    const from = { type: 'offset', offset: 4 } as const;
    await expect(consumerOf(cluster, { from, until: 'latest' })).rejects.toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
    });
    await consumerOf(cluster, { from: { ...from, offset: 3 }, until: 'latest' });
  });

  test('a damaged batch is an error and nothing of it is handed out', async () => {
    const cluster = await filled(6);
    const bytes = cluster.log('t').batches[1]?.bytes as Uint8Array;
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    const consumer = await consumerOf(cluster);
    expect(await cluster.until(readValues(consumer, 3))).toEqual(numbered(3));
    await expect(cluster.until(readValues(consumer, 1))).rejects.toMatchObject({
      code: 'CORRUPT_BATCH',
    });
  });
});

describe('when nobody can say where the log ends', () => {
  const UNKNOWN = new WalrusError('METADATA_UNAVAILABLE', 'Scripted: no quorum');
  const noEnd: FakeCluster['onRequest'] = ({ call }) =>
    call.name === 'ListOffsets' && call.request.at.type === 'latest' ? UNKNOWN : undefined;

  /** The values that come before the error. */
  async function readAll(consumer: Consumer): Promise<{ values: string[]; error: unknown }> {
    const values: string[] = [];
    try {
      for await (const { value } of consumer) values.push(Buffer.from(value ?? []).toString());
    } catch (error) {
      return { values, error };
    }
    return { values, error: null };
  }

  test('what can be read is handed out, then the error says how far that was', async () => {
    const cluster = await filled(30);
    cluster.onRequest = noEnd;
    const consumer = await consumerOf(cluster, { until: 'latest' });
    const { values, error } = await cluster.until(readAll(consumer));
    expect(values).toEqual(numbered(30));
    expect(error).toMatchObject({
      code: 'METADATA_UNAVAILABLE',
      retriable: true,
      message:
        'Read t/0 up to offset 30; whether there is more cannot be known now: Scripted: no quorum',
    });
  });

  test('a few records do not wait for the end to be known', async () => {
    const cluster = await filled(30);
    cluster.onRequest = noEnd;
    const consumer = await consumerOf(cluster, { until: 'latest' });
    expect(await cluster.until(readValues(consumer, 2), 100)).toEqual(['0', '1']);
  });

  test('the end that is told late is the end', async () => {
    const cluster = await filled(30);
    cluster.onRequest = noEnd;
    const consumer = await consumerOf(cluster, { until: 'latest' });
    const reading = readAll(consumer);
    await cluster.run(3000);
    cluster.onRequest = () => undefined;
    expect(await cluster.until(reading, 5000)).toEqual({ values: numbered(30), error: null });
  });

  test('the other partitions are read to their ends first', async () => {
    const cluster = new FakeCluster(3);
    cluster.addTopic('t', 2);
    const client = cluster.client();
    for (const partition of [0, 1]) {
      const producer = await cluster.until(client.producer({ topic: 't', partition }));
      for (const value of numbered(30)) void producer.sendValue(bytesOf(value));
      await cluster.until(producer.close());
    }
    cluster.onRequest = (seen) =>
      'partition' in seen.call.request && seen.call.request.partition === 0
        ? noEnd(seen)
        : undefined;
    const consumer = await consumerOf(cluster, { until: 'latest', maxBufferedBytes: 100 });
    const { values, error } = await cluster.until(readAll(consumer));
    expect(values.sort()).toEqual([...numbered(30), ...numbered(30)].sort());
    expect(error).toMatchObject({ code: 'METADATA_UNAVAILABLE', details: { partition: 0 } });
  });

  test('what cannot be read before a known end is an error in bounded time', async () => {
    const cluster = await filled(30);
    const consumer = await consumerOf(cluster, { until: 'latest', fetchBytes: 200 });
    const lost = new WalrusError('REPLICA_UNKNOWN', 'Scripted: no copy');
    cluster.onRequest = ({ call }) =>
      call.name === 'Fetch' && (call.request.partitions[0]?.offset ?? 0) >= 18 ? lost : undefined;
    const { values, error } = await cluster.until(readAll(consumer), 40_000);
    expect(values).toEqual(numbered(18));
    expect(error).toMatchObject({
      code: 'REPLICA_UNKNOWN',
      message: 'Read t/0 up to offset 18; what follows cannot be read now: Scripted: no copy',
    });
  });
});

describe('few requests, bounded memory', () => {
  test('at the end of the log there is one long poll after the other', async () => {
    const cluster = await filled(3);
    const consumer = await consumerOf(cluster);
    await cluster.until(readValues(consumer, 3));
    cluster.seen.length = 0;
    const more = readValues(consumer, 3);
    await cluster.run(5000);
    expect(cluster.count('Fetch')).toBeGreaterThan(5);
    expect(cluster.count('Fetch')).toBeLessThan(15);
    await fill(cluster, 3, 6);
    const startMs = cluster.scheduler.nowMs;
    await cluster.until(more);
    expect(cluster.scheduler.nowMs - startMs).toBeLessThan(50);
  });

  test('a reader that stops reading stops the fetching', async () => {
    const cluster = await filled(300);
    const consumer = await consumerOf(cluster, { maxBufferedBytes: 1000 });
    await cluster.until(readValues(consumer, 1));
    await cluster.run(5000);
    const bound = (1000 + 200) / 70;
    expect(cluster.count('Fetch')).toBeLessThan(bound);
    expect(await cluster.until(readValues(consumer, 299))).toEqual(numbered(300).slice(1));
  });
});

describe('groups', () => {
  test('the next consumer goes on where the last one ended', async () => {
    const cluster = await filled(30);
    const first = await consumerOf(cluster, { group: 'g' });
    await cluster.until(readValues(first, 7));
    await cluster.until(first.close());
    const second = await consumerOf(cluster, { group: 'g' });
    expect(await cluster.until(readValues(second, 23))).toEqual(numbered(30).slice(7));
  });

  test('a commit of unknown outcome that is applied late undoes no newer one', async () => {
    const cluster = await filled(30);
    const consumer = await consumerOf(cluster, { group: 'g' });
    const commit = (at: number): Promise<void> =>
      cluster.until(consumer.commit([{ partition: 0, offset: offset(at) }]));
    const late: Seen[] = [];
    cluster.onRequest = (seen) => {
      if (seen.call.name !== 'CommitPositions' || late.length > 0) return undefined;
      late.push(seen);
      return 'CloseBefore'; // as far as the client knows; it is on its way for long
    };
    await commit(2);
    await commit(20);
    const { node, call } = late[0]!;
    expect(await cluster.serve(node, call)).toMatchObject({ code: 'CONFLICT' });
    expect(cluster.positions.get('t/0')?.offset).toBe(20);
    // Back to where the late one would have begun, on purpose.
    await commit(0);
    expect(await cluster.serve(node, call)).toMatchObject({ code: 'CONFLICT' });
    expect(cluster.positions.get('t/0')?.offset).toBe(0);
  });

  test('the last commit of a group wins, whichever consumer it comes from; a repeat is no error', async () => {
    const cluster = await filled(30);
    const [one, two] = [
      await consumerOf(cluster, { group: 'g' }),
      await consumerOf(cluster, { group: 'g' }),
    ];
    const at = (position: number) => [{ partition: 0, offset: offset(position) }];
    await cluster.until(one.commit(at(10)));
    let isLost = false;
    cluster.onRequest = ({ call }) => {
      if (call.name !== 'CommitPositions' || isLost) return undefined;
      isLost = true;
      return 'CloseAfter';
    };
    await cluster.until(one.commit(at(12)));
    await cluster.until(two.commit(at(7)));
    expect(cluster.positions.get('t/0')?.offset).toBe(7);
    await cluster.until(Promise.all([one.commit(at(20)), one.commit(at(21))]));
    expect(cluster.positions.get('t/0')?.offset).toBe(21);
  });

  test('a commit needs a group', async () => {
    const consumer = await consumerOf(await filled(3));
    await expect(consumer.commit()).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
  });
});
