/** "Leader Append-Only: a leader never overwrites or deletes entries in its log" (Raft Figure 3). */
import { Violation } from '../simCluster.ts';
import type { Checker } from '../simCluster.ts';

export function leaderAppendOnly(): Checker {
  const name = 'LeaderAppendOnly';
  return {
    name,
    onStep({ raft, output, before }) {
      const hasLed = before.role === 'Leader' && raft.role === 'Leader';
      if (!hasLed || raft.currentTerm !== before.currentTerm) return;
      for (const { prevIndex } of output.writes)
        if (prevIndex < before.lastIndex)
          throw new Violation(name, `leader ${raft.id} overwrites from ${prevIndex + 1} on`);
    },
  };
}
