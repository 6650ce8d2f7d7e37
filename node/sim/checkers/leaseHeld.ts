/**
 * DESIGN section 5: a leader whose session with the metadata has lapsed acknowledges nothing, except what the
 * metadata has sealed. Looks at every acknowledgement of every leader, and counts the lease itself: from the sending of
 * each heartbeat that was answered.
 */
import type { Clock } from '../../../base/clock.ts';
import { HEARTBEAT } from '../../../protocol/peer/requests.ts';
import type { HeartbeatResponse } from '../../../protocol/peer/requests.ts';
import { segmentContaining } from '../../state/queries.ts';
import type { NodeParts } from '../../walrusNode.ts';
import { Violation } from '../history.ts';

export interface WatchedNode {
  readonly nodeId: number;
  readonly clock: Clock;
  readonly leaseMs: number;
}

/** Follows one process life. */
export function watchLease(
  node: WatchedNode,
  parts: NodeParts,
  report: (violation: Violation) => void,
): void {
  const isFresh = followLease(node, parts);
  const { segments, metadata } = parts;
  const append = segments.append.bind(segments);
  segments.append = (partition, batch, acks, done) => {
    append(partition, batch, acks, (error, outcome) => {
      if (outcome !== null && !isFresh()) {
        const segment = segmentContaining(metadata.metadata, partition, outcome.baseOffset);
        if (segment?.state !== 'SEALED') {
          const what = `node ${node.nodeId} acknowledged ${partition.topic}@${outcome.baseOffset}`;
          report(new Violation('LeaseHeld', `${what} after its session had lapsed`));
        }
      }
      done(error, outcome);
    });
  };
}

/** Whether the lease holds by what was answered, whatever the node makes of it. */
function followLease({ clock, leaseMs }: WatchedNode, { rpc }: NodeParts): () => boolean {
  let freshUntilMs = Number.NEGATIVE_INFINITY;
  const call = rpc.call.bind(rpc);
  rpc.call = async (address, api, request, timeoutMs) => {
    const sentMs = clock.monotonicMs();
    const answer = await call(address, api, request, timeoutMs);
    if (api.apiKey === HEARTBEAT.apiKey) {
      const { isRegistered } = answer as HeartbeatResponse;
      if (isRegistered) freshUntilMs = Math.max(freshUntilMs, sentMs + leaseMs);
    }
    return answer;
  };
  return () => clock.monotonicMs() < freshUntilMs;
}
