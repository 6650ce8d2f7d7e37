/**
 * "State Machine Safety: if a server has applied a log entry at a given index to its state machine, no other
 * server will ever apply a different log entry for the same index" (Raft Figure 3). The state is a hash over
 * everything applied, so snapshots are compared, too.
 */
import { Violation } from '../simCluster.ts';
import type { Checker } from '../simCluster.ts';

export function stateMachineSafety(): Checker {
  const name = 'StateMachineSafety';
  const states = new Map<number, number>();
  const appliedTerms = new Map<number, number>();
  return {
    name,
    onStep({ raft, output, server }) {
      if (output.committed === null) return;
      for (let index: number = output.committed.from; index <= output.committed.to; index += 1) {
        const term = raft.trail.termAt(index) ?? -1;
        const known = appliedTerms.get(index) ?? term;
        if (known !== term)
          throw new Violation(name, `${server.id} applies ${index}@${term}, others @${known}`);
        appliedTerms.set(index, term);
      }
    },
    onActed({ server }) {
      if (server.stateIndex === 0) return;
      const known = states.get(server.stateIndex) ?? server.stateHash;
      if (known !== server.stateHash)
        throw new Violation(name, `${server.id} has another state at ${server.stateIndex}`);
      states.set(server.stateIndex, server.stateHash);
    },
  };
}
