import { describe, expect, test } from '@jest/globals';
import type { TakeNextResponse } from '../../protocol/peer/requests.ts';
import { offset } from '../../base/units.ts';
import type { TopicRecord } from '../state/types.ts';
import { SharedCursors } from './sharedCursors.ts';
import type { CursorServices } from './sharedCursors.ts';
import { ManualClock } from './testing/manualClock.ts';

const RECORD = { partition: 1, offset: offset(8), value: new Uint8Array(0) };

/**
 * A node that leads no partition of a topic itself.
 * @param leaders - The address of each partition's leader, as far as this node knows.
 * @param answers - What those who are asked answer, one after the other.
 */
function world(leaders: readonly string[], answers: readonly Partial<TakeNextResponse>[]) {
  const asked: string[] = [];
  const happened: string[] = [];
  const call = (address: string) => {
    const answer = answers[asked.length];
    asked.push(address);
    happened.push(`ask ${address}`);
    return Promise.resolve({ records: [], ended: [], ...answer });
  };
  const parts = {
    rpc: { handle: () => undefined, call },
    segments: { beforeClose: () => undefined },
    metadata: { onApplied: () => undefined },
    identity: { bootEpoch: 1 },
    self: { nodeId: 9 },
  };
  const topic = { name: 't', partitions: leaders };
  const router = {
    findTopic: () => Promise.resolve(topic),
    leadership: ({ partition }: { partition: number }) => ({
      type: 'There',
      address: leaders[partition],
    }),
  };
  const moved = () => {
    happened.push('wait');
    return Promise.resolve();
  };
  const context = { clock: new ManualClock(), limits: { requestTimeoutMs: 1000 }, parts };
  // Doubles: who only asks others needs nothing else of its own node.
  const services = { context, router, progress: { moved } } as unknown as CursorServices;
  const cursors = new SharedCursors(services);
  const get = () =>
    new Promise<string>((resolve) => {
      cursors.next(topic as unknown as TopicRecord, {
        isWanted: () => true,
        done: (error, handed) => resolve(error?.code ?? String(handed?.offset ?? 'EMPTY')),
      });
    });
  return { get, happened };
}

describe('a shared cursor whose partitions others lead', () => {
  test('is at its end when each of them has looked at every partition', async () => {
    const { get, happened } = world(['a', 'b', 'a'], [{ ended: [0, 2] }, { ended: [1] }]);
    expect(await get()).toBe('EMPTY');
    expect(happened).toEqual(['ask a', 'ask b']);
  });

  test.each([
    ['the first', ['a', 'a'], [1]],
    ['the last', ['a', 'a'], [0]],
  ])(
    'is not at its end while a node does not know that it leads %s partition',
    async (_which, leaders, ended) => {
      const late = [{ ended }, { records: [RECORD] }];
      const { get, happened } = world(leaders, late);
      expect(await get()).toBe('8');
      expect(happened).toEqual(['ask a', 'wait', 'ask a']);
    },
  );
});
