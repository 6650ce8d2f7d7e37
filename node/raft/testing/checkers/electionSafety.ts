/** "Election Safety: at most one leader can be elected in a given term" (Raft Figure 3). */
import { Violation } from '../simCluster.ts';
import type { Checker } from '../simCluster.ts';

export function electionSafety(): Checker {
  const name = 'ElectionSafety';
  const leaders = new Map<number, string>();
  return {
    name,
    onStep({ raft }) {
      if (raft.role !== 'Leader') return;
      const known = leaders.get(raft.currentTerm);
      if (known === undefined) leaders.set(raft.currentTerm, raft.id);
      else if (known !== raft.id)
        throw new Violation(name, `term ${raft.currentTerm} has leaders ${known} and ${raft.id}`);
    },
  };
}
