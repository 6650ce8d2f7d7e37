/** DESIGN 1.1: every acknowledged record is in the final log, at its offset, through every node. */
import { Violation } from '../history.ts';
import type { History } from '../history.ts';

export function checkAcknowledgedNotLost(history: History): void {
  for (const log of history.finalLogs) {
    const values = new Map(log.records.map(({ offset, value }) => [offset, value]));
    for (const append of history.acknowledged()) {
      if (append.topic !== log.topic || append.offset === null) continue;
      const found = values.get(append.offset);
      if (found === append.value) continue;
      const what = `${append.value}, acknowledged at ${append.topic}@${append.offset}`;
      const where = `node ${log.nodeId} has ${found ?? 'nothing'} there`;
      throw new Violation('AcknowledgedNotLost', `${what}, is lost: ${where}`);
    }
  }
}
