import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { logIndex, term } from '../../base/units.ts';
import { fuzz, fuzzCount } from '../../protocol/testing/fuzz.ts';
import { encodeConfiguration } from './configuration.ts';
import type { Entry } from './entry.ts';
import { decodeMessage, encodeMessage } from './messageCodec.ts';
import type { Message } from './messages.ts';
import { memberOf } from './testing/simCluster.ts';

const configuration = { voters: [memberOf(1), memberOf(2)], learners: [memberOf(3)] };
const number = fc.nat({ max: 2 ** 31 - 1 });
const index = number.map(logIndex);
const anyTerm = number.map(term);
const bytes = fc.uint8Array({ maxLength: 200 });

function entriesUpTo(max: number): fc.Arbitrary<Entry[]> {
  const entry = fc.record({ at: fc.nat({ max }), isCommand: fc.boolean(), payload: bytes });
  return fc.array(entry, { maxLength: 6 }).map((list) =>
    list
      .sort((a, b) => a.at - b.at)
      .map(({ at, isCommand, payload }) => ({
        term: term(at),
        type: isCommand ? 'Command' : 'Configuration',
        payload: isCommand ? payload : encodeConfiguration(configuration),
        configuration: isCommand ? null : configuration,
      })),
  );
}

const snapshot = fc.record({
  index,
  term: anyTerm,
  configuration: fc.constant(configuration),
  configurationIndex: index,
  sizeBytes: fc.constant(5000),
  checksum: number,
});

const messages: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    type: fc.constant('RequestVote' as const),
    term: anyTerm,
    isPreVote: fc.boolean(),
    isTransfer: fc.boolean(),
    lastLogIndex: index,
    lastLogTerm: anyTerm,
  }),
  fc.record({
    type: fc.constant('RequestVoteResponse' as const),
    term: anyTerm,
    isPreVote: fc.boolean(),
    voteGranted: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('AppendEntries' as const),
    term: fc.constant(term(1000)),
    prevLogIndex: index,
    prevLogTerm: fc.constant(term(0)),
    leaderCommit: index,
    round: number,
    entries: entriesUpTo(1000),
  }),
  fc.record({
    type: fc.constant('AppendEntriesResponse' as const),
    term: anyTerm,
    round: number,
    outcome: fc.oneof(
      fc.record({ type: fc.constant('Match' as const), matchIndex: index }),
      fc.record({
        type: fc.constant('Conflict' as const),
        rejectedIndex: index,
        hintIndex: index,
        hintTerm: anyTerm,
      }),
      fc.constant({ type: 'StaleTerm' as const }),
    ),
  }),
  fc.record({
    type: fc.constant('InstallSnapshot' as const),
    term: anyTerm,
    snapshot,
    offset: fc.nat({ max: 4800 }),
    data: bytes,
  }),
  fc.record({
    type: fc.constant('InstallSnapshotResponse' as const),
    term: anyTerm,
    round: number,
    index,
    nextOffset: number,
  }),
  fc.record({ type: fc.constant('TimeoutNow' as const), term: anyTerm }),
  fc.record({ type: fc.constant('ReadIndexRequest' as const), term: anyTerm, context: number }),
  fc.record({
    type: fc.constant('ReadIndexResponse' as const),
    term: anyTerm,
    context: number,
    index: fc.option(index),
  }),
);

describe('encodeMessage() and decodeMessage()', () => {
  test('round-trip every message', () => {
    fc.assert(
      fc.property(messages, fc.string(), (message, senderAddress) => {
        const received = decodeMessage(encodeMessage(message, senderAddress));
        expect(received).toEqual({ senderAddress, message });
      }),
      { numRuns: 500 },
    );
  });

  test('refuse another version', () => {
    const encoded = encodeMessage({ type: 'TimeoutNow', term: term(1) }, 'a:1').slice();
    encoded[0] = 2;
    expect(() => decodeMessage(encoded)).toThrow(/version 2: this build knows 1/);
  });

  test('survive damage', () => {
    const samples = fc
      .sample(messages, { numRuns: 200, seed: 1 })
      .map((message) => encodeMessage(message, 'host:1').slice());
    const { accepted, refused } = fuzz(1, samples, decodeMessage);
    expect(Math.min(accepted, refused)).toBeGreaterThan(fuzzCount() / 20);
  });

  test('refuse a list that claims more entries than there are bytes', () => {
    const message: Message = {
      type: 'AppendEntries',
      term: term(1),
      prevLogIndex: logIndex(0),
      prevLogTerm: term(0),
      leaderCommit: logIndex(0),
      round: 0,
      entries: [],
    };
    const encoded = encodeMessage(message, '').slice();
    new DataView(encoded.buffer).setUint32(encoded.length - 4, 0xffffffff, true);
    expect(() => decodeMessage(encoded)).toThrow(/does not fit/);
  });
});
