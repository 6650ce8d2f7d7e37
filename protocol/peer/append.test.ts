import { expect, test } from '@jest/globals';
import { isWalrusError } from '../../base/errors.ts';
import { offset, segmentId } from '../../base/units.ts';
import { concatBytes } from '../../base/bytes.ts';
import { fuzz } from '../testing/fuzz.ts';
import {
  APPEND_ACK_SIZE_BYTES,
  APPEND_HEADER_SIZE_BYTES,
  decodeReplicationMessage,
  encodeAppendAck,
  encodeAppendHeader,
  encodeOpen,
} from './append.ts';

const header = {
  segmentId: segmentId(2 ** 40),
  token: '0123456789abcdef0123456789abcdef',
  diskId: 'fedcba9876543210fedcba9876543210',
  committedOffset: offset(12),
  firstOffset: offset(2 ** 53 - 1),
};
const ack = {
  segmentId: header.segmentId,
  token: header.token,
  diskId: header.diskId,
  status: 'GAP' as const,
  tail: offset(7),
  durableTail: offset(5),
  committedOffset: offset(3),
};

test('an Append and its answer round-trip, in the documented sizes', () => {
  const batches = new Uint8Array([1, 2, 3]);
  const append = encodeAppendHeader(header);
  expect(append.length).toBe(APPEND_HEADER_SIZE_BYTES);
  expect(decodeReplicationMessage(concatBytes([append, batches]))).toEqual({
    type: 'Append',
    ...header,
    batches,
  });
  const { segmentId: id, token, diskId } = header;
  const open = { segmentId: id, token, diskId, producerSnapshot: new Uint8Array([9]) };
  expect(decodeReplicationMessage(encodeOpen(open))).toEqual({ type: 'Open', ...open });
  expect(encodeAppendAck(ack).length).toBe(APPEND_ACK_SIZE_BYTES);
  expect(decodeReplicationMessage(encodeAppendAck(ack))).toEqual({ type: 'AppendAck', ...ack });
});

test('decodeReplicationMessage() survives damage', () => {
  const { segmentId: id, token, diskId } = header;
  const open = { segmentId: id, token, diskId, producerSnapshot: new Uint8Array([9, 8, 7]) };
  const append = concatBytes([encodeAppendHeader(header), new Uint8Array(20)]);
  fuzz(1, [append, encodeOpen(open), encodeAppendAck(ack)], decodeReplicationMessage);
});

test('decodeReplicationMessage() refuses every truncation and unknown types as MALFORMED', () => {
  const valid = encodeAppendAck(ack);
  for (let length = 0; length < valid.length; length += 1) {
    expect(refusal(valid.subarray(0, length))).toBe(true);
  }
  for (const [at, value] of [
    [0, 9],
    [1, 9],
    [42, 9],
  ] as const) {
    const damaged = valid.slice();
    damaged[at] = value;
    expect(refusal(damaged)).toBe(true);
  }
});

function refusal(message: Uint8Array): boolean {
  try {
    decodeReplicationMessage(message);
    return false;
  } catch (error) {
    return isWalrusError(error, 'MALFORMED');
  }
}
