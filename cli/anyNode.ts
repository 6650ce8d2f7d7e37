/** Questions to the admin API that any node answers, and that take place once however often they are asked. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WalrusError, isWalrusError } from '../base/errors.ts';
import type { Admin } from '../client/index.ts';

/** For so long nodes are asked again that know of no metadata leader: longer than an election. */
const LEADERLESS_MS_MAX = 5000;
const ASK_AGAIN_MS = 100;

/**
 * Asks the nodes that are up until one answers, and over a change of the metadata leader.
 * @param ask - Of one node. What it decides upon, the epoch too, it reads each time.
 * @throws {WalrusError} What it was refused with.
 */
export async function askAnyNode<Answer>(
  admin: Pick<Admin, 'describeCluster'>,
  ask: (httpAddress: string) => Promise<Answer>,
): Promise<Answer> {
  const deadlineMs = performance.now() + LEADERLESS_MS_MAX;
  for (;;) {
    try {
      return await askEach(admin, ask);
    } catch (error) {
      if (!isAskedAgain(error) || performance.now() >= deadlineMs) throw error;
    }
    await sleep(ASK_AGAIN_MS);
  }
}

/** Asks one after the other, each once. */
async function askEach<Answer>(
  admin: Pick<Admin, 'describeCluster'>,
  ask: (httpAddress: string) => Promise<Answer>,
): Promise<Answer> {
  let failure = new WalrusError('METADATA_UNAVAILABLE', 'No node is known to be up');
  const { nodes } = await admin.describeCluster();
  for (const { httpAddress } of nodes.filter(({ isAlive }) => isAlive)) {
    try {
      return await ask(httpAddress);
    } catch (error) {
      if (!isAskedAgain(error)) throw error;
      failure = error;
    }
  }
  throw failure;
}

/** Another node may know more, or this one after a moment. */
function isAskedAgain(error: unknown): error is WalrusError {
  if (isWalrusError(error, 'CONFLICT')) return error.details['reason'] === 'StaleEpoch';
  return isWalrusError(
    error,
    'CONNECTION_FAILED',
    'METADATA_UNAVAILABLE',
    'NOT_LEADER',
    'TIMED_OUT',
  );
}
