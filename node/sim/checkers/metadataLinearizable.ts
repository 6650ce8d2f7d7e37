/**
 * The metadata as clients see it: once a topic's creation has returned, or somebody has seen the topic, every look-up
 * that begins later sees it. (Topics are not deleted in these runs, so that is all of linearizability.)
 */
import { Violation } from '../history.ts';
import type { History } from '../history.ts';

export function checkMetadataLinearizable(history: History): void {
  for (const seen of history.metadata) {
    if (!seen.exists) continue;
    for (const later of history.metadata) {
      if (later.topic !== seen.topic || later.exists || later.invokedMs <= seen.returnedMs)
        continue;
      const what = `${seen.topic} was there at ${seen.returnedMs.toFixed(1)} ms`;
      const then = `a look-up that began at ${later.invokedMs.toFixed(1)} ms did not find it`;
      throw new Violation('MetadataLinearizable', `${what}, and ${then}`);
    }
  }
}
