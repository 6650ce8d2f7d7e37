/** Raft's Election Safety: a term has at most one leader. Watches while the cluster runs. */
import type { NodeParts } from '../../walrusNode.ts';
import { Violation } from '../history.ts';

/** Follows one process life. @param leaders - Leader by term, of the whole run. */
export function watchElections(
  leaders: Map<number, string>,
  parts: NodeParts,
  report: (violation: Violation) => void,
): void {
  parts.raft.onChange(({ role, currentTerm, id }) => {
    if (role !== 'Leader') return;
    const other = leaders.get(currentTerm);
    if (other !== undefined && other !== id) {
      report(
        new Violation('ElectionSafety', `term ${currentTerm} has the leaders ${other} and ${id}`),
      );
    }
    leaders.set(currentTerm, id);
  });
}
