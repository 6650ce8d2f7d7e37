/** Requests that only the metadata leader serves, sent to it from whichever node they came in at, over its elections. */
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { Api } from '../../protocol/client/codec.ts';
import type { ServerContext } from './serverContext.ts';

const RETRY_MS = 50;

export interface LeaderCall<Request, Response> {
  readonly api: Api<Request, Response>;
  readonly request: Request;
}

export interface AskOptions {
  /** For one try. */
  readonly timeoutMs: number;
  /** Whether to try again after a failure. */
  readonly isRetried: (error: WalrusError) => boolean;
}

/** Whether a request has for certain not been served, for want of a leader. */
export function isLeaderless(error: WalrusError): boolean {
  return isWalrusError(error, 'METADATA_UNAVAILABLE', 'NOT_LEADER');
}

/**
 * Asks whoever leads the metadata, again and again within the request time-out.
 * @throws {WalrusError} What the leader answers; METADATA_UNAVAILABLE without one; TIMED_OUT: the outcome is unknown.
 */
export async function askLeader<Request, Response>(
  { clock, limits, parts }: ServerContext,
  call: LeaderCall<Request, Response>,
  { timeoutMs, isRetried }: AskOptions,
): Promise<Response> {
  const deadlineMs = clock.monotonicMs() + Math.max(limits.requestTimeoutMs, timeoutMs);
  for (;;) {
    try {
      const address = parts.metadata.leaderAddress;
      if (address === null) {
        throw new WalrusError('METADATA_UNAVAILABLE', 'The metadata has no leader at the moment');
      }
      const leftMs = Math.max(1, deadlineMs - clock.monotonicMs());
      return await parts.rpc.call(address, call.api, call.request, Math.min(timeoutMs, leftMs));
    } catch (error) {
      if (!isWalrusError(error) || !isRetried(error)) throw error;
      if (clock.monotonicMs() + RETRY_MS >= deadlineMs) throw error;
    }
    await new Promise<void>((resolve) => clock.setTimer(RETRY_MS, resolve));
  }
}
