import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesEqual } from '../../../base/bytes.ts';
import { isWalrusError } from '../../../base/errors.ts';
import { fuzz } from '../../../protocol/testing/fuzz.ts';
import { COMMAND_TYPES, anyCommand, commandOf } from '../testing/commandArbitrary.ts';
import { COMMAND_NUMBERS, decodeCommand, encodeCommand } from './commandCodec.ts';

describe('encodeCommand() and decodeCommand()', () => {
  test.each(COMMAND_TYPES)('round-trip every %s', (type) => {
    fc.assert(
      fc.property(commandOf(type), (command) => {
        const bytes = encodeCommand(command);
        expect([bytes[0], bytes[1]]).toEqual([1, COMMAND_NUMBERS[type]]);
        expect(decodeCommand(bytes)).toEqual(command);
      }),
      { numRuns: 60 },
    );
  });

  test('keep the numbers that logs on disk hold', () => {
    expect(COMMAND_NUMBERS).toEqual({
      Bootstrap: 1,
      RegisterNode: 2,
      MarkDiskLost: 3,
      RemoveNode: 4,
      CreateTopic: 5,
      BeginRecovery: 7,
      SealAndOpen: 8,
      ReplaceReplicas: 9,
      PlanCopies: 10,
      DropCopies: 11,
      AdvanceLogStart: 12,
      ConfirmDeleted: 13,
      AllocateProducerIds: 16,
      SetConfig: 17,
      CommitPositions: 19,
      DeleteGroup: 20,
      DeleteTopic: 21,
    });
  });

  test('keep the bytes that logs on disk hold', () => {
    const bytes = encodeCommand({ type: 'DeleteTopic', name: 'orders', topicId: 3 });
    const name = [6, 0, 0, 0, 111, 114, 100, 101, 114, 115];
    expect([...bytes]).toEqual([1, 21, ...name, 3, 0, 0, 0, 0, 0, 0, 0]);
  });

  test('refuse versions and types that are not known', () => {
    const bytes = encodeCommand({ type: 'MarkDiskLost', diskId: 'd'.repeat(32) });
    const withByte = (at: number, value: number): Uint8Array => bytes.with(at, value);
    const unknown = [0, 6, 14, 15, 18, 22].map((number) => withByte(1, number));
    for (const other of [withByte(0, 0), withByte(0, 2), ...unknown]) {
      expect(codeOf(() => decodeCommand(other))).toBe('UNSUPPORTED_VERSION');
    }
  });

  test('refuse what is cut short, too long or out of range', () => {
    const bytes = encodeCommand({ type: 'DeleteTopic', name: 'topic', topicId: 1 });
    for (let length = 0; length < bytes.length; length += 1) {
      expect(codeOf(() => decodeCommand(bytes.subarray(0, length)))).toBe('MALFORMED');
    }
    expect(codeOf(() => decodeCommand(new Uint8Array([...bytes, 0])))).toBe('MALFORMED');
    expect(() => decodeCommand(new Uint8Array([1, 4, 0, 0, 0, 0]))).toThrow('a node id is 0');
    expect(codeOf(() => encodeCommand({ type: 'MarkDiskLost', diskId: 'abc' }))).toBe('MALFORMED');
    expect(codeOf(() => encodeCommand({ type: 'MarkDiskLost', diskId: 'A'.repeat(32) }))).toBe(
      'MALFORMED',
    );
  });

  test('survive damage: a command that encodes to the same bytes, or a refusal', () => {
    const samples = fc.sample(anyCommand, { numRuns: 300, seed: 1 }).map(encodeCommand);
    fuzz(1, samples, (bytes) => {
      const again = encodeCommand(decodeCommand(bytes));
      if (!bytesEqual(again, bytes)) throw new Error('read as something else');
    });
  });
});

function codeOf(attempt: () => unknown): string {
  try {
    attempt();
  } catch (error) {
    return isWalrusError(error) ? error.code : String(error);
  }
  return 'none';
}
