/** A read sees everything that was committed anywhere before it was asked for (thesis §6.4). */
import { Violation } from '../simCluster.ts';
import type { Checker } from '../simCluster.ts';

export function readsAreLinearizable(): Checker {
  const name = 'ReadsAreLinearizable';
  const required = new Map<number, number>();
  let committed = 0;
  return {
    name,
    onStep({ raft, event, output }) {
      if (event.type === 'ReadIndex') required.set(event.context, committed);
      for (const { context, index } of output.readStates) {
        if (index !== null && index < (required.get(context) ?? 0))
          throw new Violation(
            name,
            `${raft.id} reads at ${index}, ${required.get(context) ?? 0} was committed before`,
          );
      }
      committed = Math.max(committed, raft.commitIndex);
    },
  };
}
