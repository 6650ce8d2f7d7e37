/**
 * DESIGN 1.3, 1.4: whatever a reader got at any time is what the log holds there at the end: it was committed
 * when it was read, and its offset has not been given to another record.
 */
import { Violation } from '../history.ts';
import type { History } from '../history.ts';

export function checkCommittedReadsOnly(history: History): void {
  for (const log of history.finalLogs) {
    const values = new Map(log.records.map(({ offset, value }) => [offset, value]));
    for (const read of history.reads) {
      if (read.topic !== log.topic) continue;
      const found = values.get(read.offset);
      if (found === read.value) continue;
      const what = `node ${read.nodeId ?? '(any)'} gave ${read.value} at ${read.topic}@${read.offset}`;
      const when = `at ${read.atMs.toFixed(0)} ms`;
      const now = `node ${log.nodeId} has ${found ?? 'nothing'} there in the end`;
      throw new Violation('CommittedReadsOnly', `${what} ${when}, and ${now}`);
    }
  }
}
