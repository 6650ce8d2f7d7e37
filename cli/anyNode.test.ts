/** Which nodes are asked, and asked again, while the metadata change their leader. */
import { describe, expect, test } from '@jest/globals';
import { WalrusError } from '../base/errors.ts';
import type { Admin } from '../client/index.ts';
import { askAnyNode } from './anyNode.ts';

type Cluster = Awaited<ReturnType<Admin['describeCluster']>>;

/** Of three nodes the second one is down. */
const admin = {
  describeCluster: () => {
    const node = { nodeId: 1, clientAddress: '', peerAddress: '', zone: '', diskId: '' };
    const nodes = ['a', 'b', 'c'].map((httpAddress) => {
      return { ...node, httpAddress, isAlive: httpAddress !== 'b' };
    });
    return Promise.resolve({ nodes } as unknown as Cluster);
  },
};

function refused(code: 'CONFLICT' | 'NOT_LEADER' | 'TIMED_OUT', reason = ''): WalrusError {
  return new WalrusError(code, 'why', { details: { reason } });
}

/** @returns who was asked, and the outcome. */
async function ask(...refusals: readonly WalrusError[]): Promise<unknown[]> {
  const left = refusals.slice();
  const asked: string[] = [];
  const answer = (address: string): Promise<string> => {
    asked.push(address);
    const refusal = left.shift();
    return refusal === undefined ? Promise.resolve('yes') : Promise.reject(refusal);
  };
  const outcome = await askAnyNode(admin, answer).catch((error: unknown) => error);
  return [asked.join(''), outcome];
}

describe('askAnyNode()', () => {
  test('asks those that are up, over an election, and reads a stale epoch again', async () => {
    expect(await ask()).toEqual(['a', 'yes']);
    expect(await ask(refused('NOT_LEADER', 'NoLeader'))).toEqual(['ac', 'yes']);
    expect(await ask(refused('NOT_LEADER'), refused('TIMED_OUT'))).toEqual(['aca', 'yes']);
    expect(await ask(refused('CONFLICT', 'StaleEpoch'))).toEqual(['ac', 'yes']);
  });

  test('takes a refusal for an answer', async () => {
    const refusal = refused('CONFLICT', 'AnotherNodeIsDown');
    expect(await ask(refusal)).toEqual(['a', refusal]);
  });
});
