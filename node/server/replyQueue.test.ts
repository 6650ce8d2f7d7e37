import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { concatBytes } from '../../base/bytes.ts';
import { encodeTextReply } from '../../protocol/text.ts';
import { OK_REPLY, ReplyQueue } from './replyQueue.ts';

test('replies leave in the order of their commands, whatever the order in which they are found', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(3), { minLength: 1, maxLength: 60 }), fc.nat(), (kinds, seed) => {
      const queue = new ReplyQueue();
      const replies = kinds.map((kind, index) =>
        kind > 0 ? OK_REPLY : encodeTextReply({ type: 'ERR', message: String(index) }),
      );
      const slots = replies.map(() => queue.reserve(10));
      const order = slots
        .map((slot, index) => ({ slot, index, rank: (index * 7919 + seed) % 31 }))
        .sort((a, b) => a.rank - b.rank || a.index - b.index);
      const written: Uint8Array[] = [];
      for (const { slot, index } of order) {
        queue.fill(slot, replies[index] ?? OK_REPLY);
        const ready = queue.takeReady();
        if (ready !== null) written.push(ready);
      }
      expect(concatBytes(written)).toEqual(concatBytes(replies));
      expect([queue.size, queue.sizeBytes]).toEqual([0, 0]);
    }),
  );
});
