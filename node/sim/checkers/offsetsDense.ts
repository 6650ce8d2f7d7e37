/** DESIGN 1.3, 1.4: the offsets of a log rise by one from 0: none twice, none left out. */
import { Violation } from '../history.ts';
import type { History } from '../history.ts';

export function checkOffsetsDense(history: History): void {
  for (const log of history.finalLogs) {
    for (const [index, { offset }] of log.records.entries()) {
      if (offset === index) continue;
      const where = `${log.topic} through node ${log.nodeId}`;
      throw new Violation('OffsetsDense', `${where} has offset ${offset} in place ${index}`);
    }
  }
}
