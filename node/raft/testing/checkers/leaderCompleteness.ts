/**
 * "Leader Completeness: if a log entry is committed in a given term, then that entry will be present in the logs
 * of the leaders for all higher-numbered terms" (Raft Figure 3).
 */
import { Violation } from '../simCluster.ts';
import type { Checker } from '../simCluster.ts';

export function leaderCompleteness(): Checker {
  const name = 'LeaderCompleteness';
  const committed: { index: number; term: number | null; committedIn: number }[] = [];
  const seen = new Set<number>();
  return {
    name,
    onStep({ raft, before }) {
      if (raft.role === 'Leader' && before.role !== 'Leader') {
        for (const { index, term, committedIn } of committed) {
          if (committedIn >= raft.currentTerm || index <= raft.trail.baseIndex) continue;
          if (raft.trail.termAt(index) !== term)
            throw new Violation(
              name,
              `leader ${raft.id} of term ${raft.currentTerm} lacks ${index}@${term ?? '?'}`,
            );
        }
      }
      // Only leaders commit; a removed one has stepped down within the step that committed.
      if (raft.role !== 'Leader' && before.role !== 'Leader') return;
      for (let index = before.commitIndex + 1; index <= raft.commitIndex; index += 1) {
        if (seen.has(index)) continue;
        seen.add(index);
        committed.push({ index, term: raft.trail.termAt(index), committedIn: raft.currentTerm });
      }
    },
  };
}
