import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { SeededRandom } from '../../base/random.ts';
import { checkCursor } from './cursorCheck.ts';
import type { CursorEvent } from './cursorCheck.ts';
import { distributionOf } from '../load/distribution.ts';
import { FAULT_KINDS, planFaults } from './faults.ts';
import { Ledger } from '../load/ledger.ts';
import { LogCheck, TROUBLES } from '../load/logCheck.ts';
import type { Trouble } from '../load/logCheck.ts';
import { NodeProcess } from './nodeProcess.ts';
import { parseOptions } from './options.ts';
import { freePorts } from './ports.ts';
import { decodeRecord, encodeRecord } from '../load/record.ts';
import { makeReport, showReport } from './report.ts';
import type { RunResult } from './report.ts';
import { waitFor } from './wait.ts';

const SIZE = 40;

/** A writer that sent `sent` records; `acknowledged` maps sequences to offsets. */
function ledgerOf(
  writer: number,
  delivery: Ledger['delivery'],
  sent: number,
  acknowledged: Readonly<Record<number, number>>,
): Ledger {
  const ledger = new Ledger(writer, { kind: 'test', topic: 't', delivery });
  for (let i = 0; i < sent; i += 1) ledger.next();
  for (const [sequence, offset] of Object.entries(acknowledged)) {
    const ack = { sentMs: 0, nowMs: 0, sizeBytes: SIZE };
    ledger.acknowledge(Number(sequence), delivery === 'exactlyOnce' ? { ...ack, offset } : ack);
  }
  return ledger;
}

/** What is wrong with a log of one writer's records, without the zeros. */
function troublesOf(ledger: Ledger, log: readonly number[]): Partial<Record<Trouble, number>> {
  const check = new LogCheck('t', [ledger]);
  for (const [offset, sequence] of log.entries()) {
    check.add(offset, encodeRecord({ writer: ledger.writer, sequence }, SIZE));
  }
  const { counts } = check.finish();
  return Object.fromEntries(
    TROUBLES.filter((name) => counts[name] > 0).map((name) => [name, counts[name]]),
  );
}

describe('LogCheck of an idempotent producer', () => {
  const ledger = ledgerOf(3, 'exactlyOnce', 6, { 0: 0, 1: 1, 2: 2, 3: 3 });

  test('takes what is complete, in order, with or without what was not acknowledged', () => {
    expect(troublesOf(ledger, [0, 1, 2, 3])).toEqual({});
    expect(troublesOf(ledger, [0, 1, 2, 3, 4, 5])).toEqual({});
  });

  test.each<[string, number[], Partial<Record<Trouble, number>>]>([
    ['a lost suffix', [0, 1, 2], { lostSuffix: 1 }],
    ['a lost prefix', [1, 2, 3], { lostPrefix: 1, moved: 3 }],
    ['a lost middle', [0, 1, 3], { lostMiddle: 1, moved: 1 }],
    ['everything lost', [], { lostSuffix: 4 }],
    ['a duplicate', [0, 1, 2, 3, 3], { duplicate: 1 }],
    ['another order', [0, 2, 1, 3], { reordered: 1, moved: 2 }],
    ['a hole among what was not acknowledged', [0, 1, 2, 3, 5], { gap: 1 }],
    ['a record that nobody sent', [0, 1, 2, 3, 6], { foreign: 1 }],
  ])('finds %s', (_, log, troubles) => {
    expect(troublesOf(ledger, log)).toEqual(troubles);
  });

  test('finds a gap in the offsets, damaged bytes and records of others', () => {
    const check = new LogCheck('t', [ledger]);
    const bytes = encodeRecord({ writer: 3, sequence: 0 }, SIZE);
    check.add(0, bytes);
    bytes[SIZE - 1] = (bytes[SIZE - 1] ?? 0) ^ 1;
    check.add(2, bytes);
    check.add(3, encodeRecord({ writer: 4, sequence: 0 }, SIZE));
    check.add(4, null);
    expect(check.finish().counts).toMatchObject({ gap: 1, foreign: 3, lostSuffix: 3 });
  });
});

describe('LogCheck of a writer that never sends again', () => {
  const ledger = ledgerOf(0, 'uncertain', 5, { 0: 0, 2: 0, 4: 0 });

  test('lets what was not acknowledged be anywhere, or nowhere, but not twice', () => {
    expect(troublesOf(ledger, [0, 2, 4])).toEqual({});
    expect(troublesOf(ledger, [3, 0, 2, 4, 1])).toEqual({});
    expect(troublesOf(ledger, [0, 1, 2, 1, 4])).toEqual({ duplicate: 1 });
  });

  test('wants what was acknowledged, in order', () => {
    expect(troublesOf(ledger, [0, 4])).toEqual({ lostMiddle: 1 });
    expect(troublesOf(ledger, [2, 0, 4])).toEqual({ reordered: 1 });
  });
});

describe('checkCursor()', () => {
  const offsets = new Map([10, 11, 12, 13].map((key, offset) => [key, offset]));
  let isLastAcknowledged = true;
  const record = (key: number): CursorEvent => ({ type: 'record', key });
  const check = (...events: CursorEvent[]) => {
    const { skippedCount, missingAtEndCount, redeliveredCount, foreignCount } = checkCursor(
      events,
      offsets,
      (key) => key !== 13 || isLastAcknowledged,
    );
    return [skippedCount, missingAtEndCount, redeliveredCount, foreignCount];
  };

  test('takes everything in order, and again after a step back', () => {
    expect(check(...[10, 11, 12, 13].map(record))).toEqual([0, 0, 0, 0]);
    expect(check(...[10, 11, 12, 11, 12, 13].map(record))).toEqual([0, 0, 2, 0]);
  });

  test('finds what was left out, at the end too, and what is not in the log', () => {
    expect(check(...[10, 12, 13].map(record))).toEqual([1, 0, 0, 0]);
    expect(check(...[10, 11].map(record))).toEqual([0, 2, 0, 0]);
    expect(check(...[10, 11, 12, 13, 14].map(record))).toEqual([0, 0, 0, 1]);
  });

  test('does not want at the end what nobody was told to be stored', () => {
    isLastAcknowledged = false;
    expect(check(...[10, 11, 12].map(record))).toEqual([0, 0, 0, 0]);
    expect(check(...[10, 11].map(record))).toEqual([0, 1, 0, 0]);
    expect(check(...[10, 11, 13].map(record))).toEqual([1, 0, 0, 0]);
    isLastAcknowledged = true;
  });

  test('lets a lost reply explain one record, once', () => {
    const lost: CursorEvent = { type: 'unanswered', count: 1 };
    expect(check(record(10), lost, record(12), record(13))).toEqual([0, 0, 0, 0]);
    expect(check(record(10), lost, record(13))).toEqual([1, 0, 0, 0]);
    expect(check(record(10), record(12), record(13), lost)).toEqual([1, 0, 0, 0]);
  });
});

test('a record comes back as it was, and not when a byte is another', () => {
  for (const sizeBytes of [12, 13, 1000, 65_536]) {
    const name = { writer: 7, sequence: sizeBytes };
    const bytes = encodeRecord(name, sizeBytes);
    expect(decodeRecord(bytes)).toEqual(name);
    const at = sizeBytes >> 1;
    bytes[at] = (bytes[at] ?? 0) ^ 0x40;
    expect(decodeRecord(bytes)).not.toEqual(name);
  }
  expect(decodeRecord(Buffer.alloc(5))).toBeNull();
});

test('planFaults() gives the same for the same seed, and first one of each kind', () => {
  const take = (seed: number) => {
    const plan = planFaults(new SeededRandom(seed));
    return Array.from({ length: 40 }, () => plan.next().value);
  };
  expect(take(5)).toEqual(take(5));
  expect(take(5)).not.toEqual(take(6));
  const first = take(5).slice(0, FAULT_KINDS.length);
  expect(first.map(({ kind }) => kind).sort()).toEqual([...FAULT_KINDS].sort());
});

test('a ledger notes pauses, and refuses to count a record twice', () => {
  const ledger = ledgerOf(1, 'exactlyOnce', 3, {});
  const ack = (sequence: number, nowMs: number): void =>
    ledger.acknowledge(sequence, { sentMs: nowMs - 1, nowMs, sizeBytes: 1, offset: sequence });
  ack(0, 1000);
  ack(1, 1050);
  ack(2, 4000);
  expect(ledger.pauses).toEqual([{ fromMs: 1050, toMs: 4000 }]);
  expect(ledger.lastAckedSentMs).toBe(3999);
  expect(() => ack(2, 4001)).toThrow('acknowledged twice');
});

test('distributionOf() of few and of none', () => {
  expect(distributionOf([3, 1, 2])).toEqual({ count: 3, p50: 2, p90: 3, max: 3 });
  expect(distributionOf([])).toEqual({ count: 0, p50: 0, p90: 0, max: 0 });
});

describe('makeReport()', () => {
  const options = parseOptions(['--seed', '1'], 0);
  if (typeof options === 'string') throw new Error(options);
  const noTrouble = Object.fromEntries(TROUBLES.map((name) => [name, 0])) as Record<
    Trouble,
    number
  >;
  const good: RunResult = {
    options,
    loadMs: 1000,
    faults: [{ kind: 'killLeader', nodeIds: [1], startMs: 0, healedMs: 5 }],
    ledgers: [ledgerOf(0, 'exactlyOnce', 5, { 0: 0, 1: 1, 2: 2, 3: 3, 4: 4 })],
    uncertainCount: 0,
    segmentsCount: 9,
    verification: {
      troubles: noTrouble,
      cursor: checkCursor([], new Map(), () => true),
      recordsCounts: {},
      problems: [],
    },
    failures: [],
  };

  test('is a success when all is there and enough was done', () => {
    expect(makeReport(good).ok).toBe(true);
    expect(showReport(makeReport(good))).toContain('chaos: ok');
  });

  test.each<[string, Partial<RunResult>]>([
    [
      'a loss',
      { verification: { ...good.verification!, troubles: { ...noTrouble, lostMiddle: 1 } } },
    ],
    ['another problem', { verification: { ...good.verification!, problems: ['other bytes'] } }],
    ['no verification', { verification: null }],
    ['a failure of a process', { failures: ['node 1 ended by itself'] }],
    ['too few faults', { faults: [] }],
    ['too few acknowledgements', { ledgers: [ledgerOf(0, 'uncertain', 4, { 0: 0 })] }],
    ['too few segments', { segmentsCount: 1 }],
  ])('is a failure with %s', (_, change) => {
    const report = makeReport({ ...good, ...change });
    expect(report.ok).toBe(false);
    expect(showReport(report)).toContain('chaos: FAILED');
  });
});

test('parseOptions() reads, has defaults, and says what is wrong', () => {
  expect(parseOptions(['--short', '--seed', '9'], 0)).toMatchObject({ seconds: 40, seed: 9 });
  expect(parseOptions([], 123)).toMatchObject({ seconds: 60, seed: 123, scenario: 'faults' });
  expect(parseOptions(['--seconds', 'x', '--nodes', '2'], 0)).toBe(
    '--seconds must be a whole number in 5..86400, not "x"\n' +
      '--nodes must be a whole number in 3..5, not "2"\n',
  );
  expect(parseOptions(['--scenario', 'none'], 0)).toContain('must be one of');
  expect(parseOptions(['--what'], 0)).toContain('--what');
});

/** Answers /readyz on the port after --http-port. */
const FAKE_NODE = `
const port = Number(process.argv[process.argv.indexOf('--http-port') + 1]);
console.error('a life');
require('node:http').createServer((_, response) => response.end()).listen(port, '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
`;

describe('NodeProcess', () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-chaos-test-'));
  const started: NodeProcess[] = [];

  async function fakeNode(): Promise<{ node: NodeProcess; ends: string[] }> {
    const script = path.join(directory, 'fake.cjs');
    fs.writeFileSync(script, FAKE_NODE);
    const [client = 0, peer = 0, http = 0] = await freePorts(3);
    const ends: string[] = [];
    const node = new NodeProcess({
      nodeId: 1,
      command: [script],
      ports: { client, peer, http },
      dataDir: directory,
      logDir: directory,
      onUnexpectedEnd: (message) => ends.push(message),
    });
    started.push(node);
    return { node, ends };
  }

  afterEach(async () => {
    for (const node of started.splice(0)) await node.kill();
  });

  afterAll(() => fs.rmSync(directory, { recursive: true }));

  test('starts, stops, is killed and starts again, each life with its log', async () => {
    const { node, ends } = await fakeNode();
    node.start([]);
    await waitFor('ready', 10_000, () => node.isReady());
    expect(await node.stop()).toEqual({ code: 0, signal: null });
    expect(node.readLog()).toBe('a life\n');
    node.start([]);
    await waitFor('ready', 10_000, () => node.isReady());
    expect(node.logFile).toContain('life-2');
    await node.kill();
    expect(await node.isReady()).toBe(false);
    expect(ends).toEqual([]);
  });

  test('frozen it answers nothing, thawed it goes on', async () => {
    const { node } = await fakeNode();
    node.start([]);
    await waitFor('ready', 10_000, () => node.isReady());
    node.freeze();
    expect(await node.isReady()).toBe(false);
    node.thaw();
    await waitFor('ready', 10_000, () => node.isReady());
  });

  test('tells of an end that nobody wanted', async () => {
    const { node, ends } = await fakeNode();
    node.start([]);
    await waitFor('ready', 10_000, () => node.isReady());
    process.kill(node.pid ?? 0, 'SIGKILL');
    await waitFor('the end is told', 10_000, () => ends.length === 1);
    expect(ends[0]).toContain('node 1 ended by itself (SIGKILL)');
  });
});
