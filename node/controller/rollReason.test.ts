import { expect, test } from '@jest/globals';
import { SEGMENT_ENTRIES_MAX } from '../replication/segmentLeader.ts';
import { whyFull } from './rollReason.ts';

const CONFIG = { maxSegmentEntries: 1000, maxSegmentBytes: 5000 };

test.each([
  ['small', { entries: 999, sizeBytes: 4999 }, true, null],
  ['of many records', { entries: 1000, sizeBytes: 4999 }, true, 'entries'],
  ['large', { entries: 999, sizeBytes: 5000 }, true, 'bytes'],
  ['full, without room for the next', { entries: 1000, sizeBytes: 5000 }, false, null],
  ['at the end of its growth', { entries: SEGMENT_ENTRIES_MAX, sizeBytes: 1 }, false, 'entries'],
] as const)('whyFull() of a segment that is %s', (_, segment, hasRoom, reason) => {
  expect(whyFull(segment, CONFIG, hasRoom)).toBe(reason);
});
