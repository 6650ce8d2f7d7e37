import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { WalrusError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import { SeededRandom, between, chance } from '../base/random.ts';
import { ProducerPipeline, stampProducer } from './producerPipeline.ts';
import type { Sending } from './producerPipeline.ts';
import { baseSequenceOf, producerEpochOf, producerIdOf, validateBatch } from './recordBatch.ts';
import { RecordBatchBuilder } from './recordBatchBuilder.ts';

interface Setup {
  readonly pipeline: ProducerPipeline<string, null>;
  readonly sent: Sending<string>[];
  readonly settled: string[];
  readonly log: string[];
  /** Fails the latest sending of a batch. */
  readonly fail: (batch: string, code: ErrorCode) => void;
  readonly acknowledge: (batch: string) => void;
}

function setup(windowMax = 5): Setup {
  const sent: Sending<string>[] = [];
  const settled: string[] = [];
  const log: string[] = [];
  let nextId = 1;
  const pipeline: ProducerPipeline<string, null> = new ProducerPipeline<string, null>({
    windowMax,
    send: (sending) => {
      sent.push(sending);
      log.push(`${sending.batch}@${sending.identity.producerId}:${sending.baseSequence}`);
    },
    settled: (batch, error) => settled.push(`${batch} ${error?.code ?? 'OK'}`),
    needIdentity: () => {
      pipeline.setIdentity({ producerId: nextId, producerEpoch: 0 });
      nextId += 1;
    },
    paused: () => log.push('pause'),
  });
  const latest = (batch: string): number =>
    sent.findLast((sending) => sending.batch === batch)?.attempt ?? -1;
  return {
    pipeline,
    sent,
    settled,
    log,
    fail: (batch, code) => pipeline.failed(latest(batch), new WalrusError(code, code)),
    acknowledge: (batch) => pipeline.acknowledged(latest(batch), null),
  };
}

describe('ProducerPipeline', () => {
  test('sends up to its window, with sequences without gaps', () => {
    const { pipeline, log, acknowledge } = setup(2);
    pipeline.add('a', 3);
    pipeline.add('b', 2);
    pipeline.add('c', 1);
    expect(log).toEqual(['a@1:0', 'b@1:3']);
    acknowledge('b'); // behind one that is not settled: the window stays where it is
    expect(log).toHaveLength(2);
    acknowledge('a');
    expect(log).toEqual(['a@1:0', 'b@1:3', 'c@1:5']);
  });

  test('after a failure waits for what is under way, then sends again in order', () => {
    const { pipeline, log, fail, acknowledge, settled } = setup();
    for (const batch of ['a', 'b', 'c']) pipeline.add(batch, 1);
    fail('a', 'NOT_LEADER');
    pipeline.add('d', 1);
    fail('b', 'OUT_OF_ORDER_SEQUENCE');
    expect(log).toHaveLength(3);
    fail('c', 'OUT_OF_ORDER_SEQUENCE');
    expect(log.at(-1)).toBe('pause');
    pipeline.resume();
    expect(log.slice(4)).toEqual(['a@1:0', 'b@1:1', 'c@1:2', 'd@1:3']);
    for (const batch of ['a', 'b', 'c', 'd']) acknowledge(batch);
    expect(settled).toEqual(['a OK', 'b OK', 'c OK', 'd OK']);
    expect(pipeline.isIdle).toBe(true);
  });

  test('a repeat is never behind more batches than the log remembers, whatever was settled behind it', () => {
    const { pipeline, log, fail, acknowledge } = setup();
    for (const batch of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) pipeline.add(batch, 1);
    acknowledge('c');
    acknowledge('d');
    for (const batch of ['a', 'b', 'e']) fail(batch, 'CONNECTION_FAILED');
    pipeline.resume();
    expect(log.slice(6)).toEqual(['a@1:0', 'b@1:1', 'e@1:4']);
    acknowledge('a');
    expect(log.slice(9)).toEqual(['f@1:5']);
  });

  test('a lost answer is asked for again under the same sequence', () => {
    const { pipeline, log, fail, acknowledge } = setup();
    pipeline.add('a', 1);
    pipeline.add('b', 1);
    fail('a', 'TIMED_OUT');
    acknowledge('b');
    pipeline.resume();
    expect(log).toEqual(['a@1:0', 'b@1:1', 'pause', 'a@1:0']);
  });

  test('a batch that fails for good burns the producer id; the others go on under a new one', () => {
    const { pipeline, log, fail, settled } = setup();
    pipeline.add('a', 1);
    pipeline.add('b', 1);
    fail('a', 'TOO_LARGE');
    fail('b', 'OUT_OF_ORDER_SEQUENCE');
    pipeline.resume();
    expect(log).toEqual(['a@1:0', 'b@1:1', 'pause', 'b@2:0']);
    expect(settled).toEqual(['a TOO_LARGE']);
  });

  test('what may be stored under a lost producer id is not sent again', () => {
    const { pipeline, log, fail, settled } = setup();
    pipeline.add('a', 1);
    pipeline.add('b', 1);
    fail('a', 'TIMED_OUT');
    fail('b', 'NOT_LEADER');
    pipeline.resume();
    fail('a', 'UNKNOWN_PRODUCER');
    fail('b', 'UNKNOWN_PRODUCER');
    pipeline.resume();
    expect(settled).toEqual(['a TIMED_OUT']);
    expect(log.at(-1)).toBe('b@2:0');
  });

  test('what is given up after an unknown outcome says so once', () => {
    const messages: string[] = [];
    const pipeline = new ProducerPipeline<string, null>({
      windowMax: 1,
      send: ({ attempt }) => {
        const why = 'The outcome of Produce is unknown: b:1 did not answer in time';
        pipeline.failed(attempt, new WalrusError('TIMED_OUT', why));
      },
      settled: (_batch, error) => messages.push(error?.message ?? 'ok'),
      needIdentity: () => undefined,
      paused: () => undefined,
    });
    pipeline.add('a', 1);
    pipeline.setIdentity({ producerId: 1, producerEpoch: 0 });
    pipeline.expire(() => true);
    expect(messages).toEqual(['The outcome is unknown: b:1 did not answer in time']);
  });

  test('expired batches are given up; later answers to them are ignored', () => {
    const { pipeline, log, acknowledge, settled } = setup(1);
    for (const batch of ['a', 'b', 'c']) pipeline.add(batch, 1);
    pipeline.expire((batch) => batch === 'a' || batch === 'c');
    expect(settled).toEqual(['a TIMED_OUT', 'c TIMED_OUT']);
    acknowledge('a');
    pipeline.resume();
    expect(settled).toHaveLength(2);
    expect(log).toEqual(['a@1:0', 'pause', 'b@2:0']);
  });

  test('a batch that expires while it rests is not left out of the sequence', () => {
    const { pipeline, log, fail } = setup();
    pipeline.add('a', 1);
    pipeline.add('b', 1);
    fail('a', 'NOT_LEADER');
    fail('b', 'NOT_LEADER');
    pipeline.expire((batch) => batch === 'a');
    pipeline.resume();
    expect(log.at(-1)).toBe('b@2:0');
  });
});

/** Requests and answers overtake each other. */
function deliverOne(network: (() => void)[], random: SeededRandom): void {
  if (network.length === 0) return;
  const [event] = network.splice(between(random, 0, Math.min(2, network.length - 1)), 1);
  event?.();
}

/** A log that remembers a producer's last five batches, and a network that loses requests and answers. */
function runAgainstLog(seed: number): void {
  const random = new SeededRandom(seed);
  const stored: string[] = [];
  const producers = new Map<number, { next: number; recent: number[] }>();
  const settled = new Map<string, string>();
  const network: (() => void)[] = [];
  let nextId = 1;
  const append = (sending: Sending<string>): ErrorCode | null => {
    const id = sending.identity.producerId;
    const known = producers.get(id) ?? { next: 0, recent: [] };
    if (known.recent.includes(sending.baseSequence)) return null;
    if (sending.baseSequence !== known.next) return 'OUT_OF_ORDER_SEQUENCE';
    stored.push(sending.batch);
    known.recent = [...known.recent, sending.baseSequence].slice(-5);
    known.next += 1;
    producers.set(id, known);
    return null;
  };
  const pipeline: ProducerPipeline<string, null> = new ProducerPipeline<string, null>({
    windowMax: 5,
    send: (sending) => {
      const fate = between(random, 0, 9);
      const answer = (code: ErrorCode | null): void => {
        network.push(() => {
          if (code === null) pipeline.acknowledged(sending.attempt, null);
          else pipeline.failed(sending.attempt, new WalrusError(code, 'x'));
        });
      };
      if (fate === 0) answer('NOT_LEADER');
      else if (fate === 1) answer('TIMED_OUT');
      else {
        network.push(() => {
          const code = append(sending);
          answer(fate === 2 ? 'TIMED_OUT' : code);
        });
      }
    },
    settled: (batch, error) => settled.set(batch, error?.code ?? 'OK'),
    needIdentity: () => {
      pipeline.setIdentity({ producerId: nextId, producerEpoch: 0 });
      nextId += 1;
    },
    paused: () => network.push(() => pipeline.resume()),
  });
  for (let i = 0; i < 40; i += 1) {
    pipeline.add(`b${i}`, 1);
    if (chance(random, 0.02)) pipeline.expire(() => true);
    while (chance(random, 0.6)) deliverOne(network, random);
  }
  while (network.length > 0) deliverOne(network, random);
  expect(settled.size).toBe(40);
  expect(new Set(stored).size).toBe(stored.length); // none twice
  const acked = [...settled].filter(([, outcome]) => outcome === 'OK').map(([batch]) => batch);
  expect(acked.filter((batch) => !stored.includes(batch))).toEqual([]); // none lost
  const order = stored.map((batch) => Number(batch.slice(1)));
  expect(order).toEqual([...order].sort((a, b) => a - b)); // in order
}

test('a pipeline neither loses, nor repeats, nor reorders over a bad network', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => runAgainstLog(seed)),
    { numRuns: 300 },
  );
});

test('stampProducer() gives a sound batch with the identity', () => {
  const builder = new RecordBatchBuilder({ maxBytes: 1000 });
  builder.appendValue(Uint8Array.of(1, 2, 3), 5);
  const batch = builder.finish();
  stampProducer(batch, { producerId: 7, producerEpoch: 2 }, 9);
  expect(validateBatch(batch, 0, batch.length)).toBeNull();
  expect([producerIdOf(batch), producerEpochOf(batch), baseSequenceOf(batch)]).toEqual([7, 2, 9]);
});
