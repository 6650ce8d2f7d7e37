/**
 * DESIGN section 5: a leader whose session with the metadata has lapsed acknowledges nothing, except what the
 * metadata has sealed. Looks at every acknowledgement of every leader.
 */
import { segmentContaining } from '../../state/queries.ts';
import type { NodeParts } from '../../walrusNode.ts';
import { Violation } from '../history.ts';

/** Follows one process life. */
export function watchLease(
  nodeId: number,
  parts: NodeParts,
  report: (violation: Violation) => void,
): void {
  const { segments, session, metadata } = parts;
  const append = segments.append.bind(segments);
  segments.append = (partition, batch, acks, done) => {
    append(partition, batch, acks, (error, outcome) => {
      if (outcome !== null && !session.isFresh) {
        const segment = segmentContaining(metadata.metadata, partition, outcome.baseOffset);
        if (segment?.state !== 'SEALED') {
          const what = `node ${nodeId} acknowledged ${partition.topic}@${outcome.baseOffset}`;
          report(new Violation('LeaseHeld', `${what} after its session had lapsed`));
        }
      }
      done(error, outcome);
    });
  };
}
