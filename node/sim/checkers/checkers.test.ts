/** Every checker of a history: a good history passes, and each kind of harm is named. */
import { describe, expect, test } from '@jest/globals';
import { nodeId } from '../../../base/units.ts';
import { History, TextHistory, Violation } from '../history.ts';
import type { AppendOperation } from '../history.ts';
import { HISTORY_CHECKERS } from './index.ts';
import {
  checkCursorKept,
  checkCursorOrder,
  checkEmpty,
  checkSharedCursor,
} from './sharedCursor.ts';

const TOPIC = 'topic-0';

function appended(sequence: number, offset: number | null): AppendOperation {
  return {
    topic: TOPIC,
    producerId: 7,
    sequence,
    value: `v${sequence}`,
    invokedMs: sequence,
    offset,
    acknowledgedMs: offset === null ? null : sequence + 1,
  };
}

/** Three records, the last one without an answer; read once, and whole through two nodes; one topic looked up. */
function goodHistory(): History {
  const history = new History();
  history.appends.push(appended(0, 0), appended(1, 1), appended(2, null));
  history.reads.push({ topic: TOPIC, offset: 1, value: 'v1', nodeId: nodeId(2), atMs: 5 });
  history.metadata.push(
    { type: 'Create', topic: TOPIC, invokedMs: 1, returnedMs: 3, exists: true },
    { type: 'Lookup', topic: TOPIC, invokedMs: 2, returnedMs: 4, exists: false },
    { type: 'Lookup', topic: TOPIC, invokedMs: 5, returnedMs: 6, exists: true },
  );
  for (const node of [1, 2]) {
    const records = ['v0', 'v1', 'v2'].map((value, offset) => ({ offset, value }));
    history.finalLogs.push({ topic: TOPIC, nodeId: nodeId(node), records });
  }
  return history;
}

/** The property that the checkers find broken; null when all is well. */
function brokenIn(history: History): string | null {
  try {
    for (const check of HISTORY_CHECKERS) check(history);
    return null;
  } catch (error) {
    if (error instanceof Violation) return error.property;
    throw error;
  }
}

function logs(history: History, values: readonly (readonly [number, string])[]): void {
  history.finalLogs.length = 0;
  for (const node of [1, 2]) {
    const records = values.map(([offset, value]) => ({ offset, value }));
    history.finalLogs.push({ topic: TOPIC, nodeId: nodeId(node), records });
  }
}

const HARM: readonly (readonly [string, string, (history: History) => void])[] = [
  ['AcknowledgedNotLost', 'a record is gone', (h) => logs(h, [[0, 'v0']])],
  [
    'AcknowledgedNotLost',
    'one node lacks a record',
    (h) => {
      h.finalLogs[1] = { topic: TOPIC, nodeId: nodeId(2), records: [{ offset: 0, value: 'v0' }] };
    },
  ],
  [
    'OffsetNeverReused',
    'an offset was given to two records',
    (h) => {
      h.reads.push({ topic: TOPIC, offset: 1, value: 'v2', nodeId: nodeId(1), atMs: 9 });
    },
  ],
  [
    'CommittedReadsOnly',
    'a reader got what nobody holds in the end',
    (h) => {
      h.reads.push({ topic: TOPIC, offset: 3, value: 'v3', nodeId: nodeId(1), atMs: 9 });
    },
  ],
  [
    'SameBytes',
    'one node has more',
    (h) => {
      const records = [...(h.finalLogs[1]?.records ?? []), { offset: 3, value: 'v3' }];
      h.finalLogs[1] = { topic: TOPIC, nodeId: nodeId(2), records };
    },
  ],
  [
    'OffsetsDense',
    'an offset is left out',
    (h) =>
      logs(h, [
        [0, 'v0'],
        [1, 'v1'],
        [3, 'v2'],
      ]),
  ],
  [
    'ProducerOrder',
    'a record is stored twice',
    (h) =>
      logs(h, [
        [0, 'v0'],
        [1, 'v1'],
        [2, 'v1'],
      ]),
  ],
  [
    'ProducerOrder',
    'nobody sent a record',
    (h) =>
      logs(h, [
        [0, 'v0'],
        [1, 'v1'],
        [2, 'x'],
      ]),
  ],
  [
    'MetadataLinearizable',
    'a topic that was there is not found',
    (h) => {
      h.metadata.push({
        type: 'Lookup',
        topic: TOPIC,
        invokedMs: 7,
        returnedMs: 8,
        exists: false,
      });
    },
  ],
];

describe('the checkers of a history', () => {
  test('pass a good history', () => {
    expect(brokenIn(goodHistory())).toBeNull();
  });

  test.each(HARM)('%s is found broken when %s', (property, _what, harm) => {
    const history = goodHistory();
    harm(history);
    expect(brokenIn(history)).toBe(property);
  });
});

describe('the checker of the shared cursor', () => {
  function cursor(got: readonly string[]): TextHistory {
    const history = new TextHistory('text');
    history.puts.push('a', 'b', 'c');
    history.acknowledged.push('a', 'b', 'c');
    history.got.push(...got);
    return history;
  }

  test('passes what it may give', () => {
    checkSharedCursor(cursor(['a', 'b', 'c']), true);
    checkSharedCursor(cursor(['a', 'b', 'a', 'b', 'c']), false);
    checkCursorKept(cursor(['a', 'b', 'c']), 3);
    checkCursorOrder(cursor(['a', 'b', 'a', 'x', 'c', 'b']));
  });

  test.each([
    ['a record is skipped', ['a', 'c'], false],
    ['nobody put a record', ['a', 'b', 'c', 'x'], false],
    ['a record is given twice in peace', ['a', 'b', 'b', 'c'], true],
  ])('finds that %s', (_what, got, isFaultless) => {
    expect(() => checkSharedCursor(cursor(got), isFaultless)).toThrow(Violation);
  });

  test('finds that a record comes for the first time behind a newer one', () => {
    expect(() => checkCursorOrder(cursor(['a', 'c', 'a', 'b']))).toThrow(Violation);
  });

  test('finds an EMPTY before the end, unless a lost reply may hold what is left', () => {
    checkEmpty(cursor(['a', 'b', 'c']), 3, 0);
    checkEmpty(cursor(['a', 'b']), 2, 0); // the last one was acknowledged behind the GET
    expect(() => checkEmpty(cursor(['a', 'b']), 3, 0)).toThrow(Violation);
    expect(() => checkEmpty(cursor(['a', 'c']), 3, 0)).toThrow(Violation);
    const history = cursor(['a']);
    history.unansweredMs.push(1000);
    checkEmpty(history, 2, 2000);
    expect(() => checkEmpty(history, 3, 2000)).toThrow(Violation);
    expect(() => checkEmpty(history, 2, 20_000)).toThrow(Violation);
  });

  test('finds that records come again after a crash', () => {
    expect(() => checkCursorKept(cursor(['a', 'b', 'c', 'a']), 3)).toThrow(Violation);
  });
});
