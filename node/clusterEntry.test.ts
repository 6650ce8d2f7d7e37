import { expect, test } from '@jest/globals';
import { WalrusError } from '../base/errors.ts';
import { SILENT } from '../base/log.ts';
import { ClusterEntry } from './clusterEntry.ts';
import type { PeerRpc } from './controller/types.ts';
import { ManualClock } from './server/testing/manualClock.ts';

const SELF = 'self:6001';
const FOREIGN = new WalrusError(
  'WRONG_CLUSTER',
  'The node at a:6001 belongs to cluster d, not to c',
);

/** Members whose answers are taken one after the other; a failure is what the connection's problem was. */
function entryWith(join: readonly string[], answers: Record<string, (WalrusError | 'OK')[]>) {
  const clock = new ManualClock();
  const asked: string[] = [];
  const rpc = {
    call: (address: string) => {
      asked.push(address);
      const answer = answers[address]?.shift() ?? 'OK';
      if (answer === 'OK') return Promise.resolve({ clusterId: 'c', leaderAddress: '' });
      const message = `The outcome is unknown: ${answer.message}`;
      return Promise.reject(new WalrusError('TIMED_OUT', message, { cause: answer }));
    },
  } as unknown as PeerRpc; // an entry only calls, and what is called answers as the api says
  const addresses = { peer: SELF, client: '', http: '' };
  const options = { clock, logger: SILENT, rpc, addresses, join, zone: '', version: '1' };
  return { clock, asked, entry: new ClusterEntry({ ...options, replaceDisk: false }) };
}

/** Lets time pass until it is decided. */
async function outcomeOf(clock: ManualClock, waiting: Promise<void>): Promise<string> {
  let outcome = '';
  waiting.then(
    () => (outcome = 'found'),
    (error: unknown) => (outcome = error instanceof WalrusError ? error.code : 'a bug'),
  );
  for (let i = 0; outcome === '' && i < 100; i += 1) {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    clock.advance(1000);
  }
  return outcome;
}

test('awaitCluster() gives up at once when all others are of another cluster', async () => {
  const { clock, asked, entry } = entryWith([SELF, 'a:6001', 'b:6001'], {
    'a:6001': [FOREIGN],
    'b:6001': [FOREIGN],
  });
  expect(
    await outcomeOf(
      clock,
      entry.awaitCluster(() => false),
    ),
  ).toBe('WRONG_CLUSTER');
  expect(asked).toEqual(['a:6001', 'b:6001']);
});

test('awaitCluster() goes on while another member may still come up', async () => {
  const down = new WalrusError('CONNECTION_FAILED', 'nobody listens on b:6001');
  const { clock, asked, entry } = entryWith(['a:6001', 'b:6001'], {
    'a:6001': [FOREIGN, FOREIGN],
    'b:6001': [down],
  });
  expect(
    await outcomeOf(
      clock,
      entry.awaitCluster(() => false),
    ),
  ).toBe('found');
  expect(asked).toEqual(['a:6001', 'b:6001', 'a:6001', 'b:6001']);
});

test('the question at the last moment is no reason to end', async () => {
  const { entry } = entryWith(['a:6001'], { 'a:6001': [FOREIGN] });
  expect(await entry.isClusterThere()).toBe(false);
});
