/** DESIGN 1.3: every node gives the same log. */
import { Violation } from '../history.ts';
import type { FinalLog, History } from '../history.ts';

export function checkSameBytes(history: History): void {
  const first = new Map<string, FinalLog>();
  for (const log of history.finalLogs) {
    const other = first.get(log.topic);
    if (other === undefined) {
      first.set(log.topic, log);
      continue;
    }
    const length = Math.max(log.records.length, other.records.length);
    for (let at = 0; at < length; at += 1) {
      const mine = log.records[at]?.value ?? 'nothing';
      const theirs = other.records[at]?.value ?? 'nothing';
      if (mine === theirs) continue;
      const where = `${log.topic}, record ${at}: node ${log.nodeId} has ${mine}`;
      throw new Violation('SameBytes', `${where}, node ${other.nodeId} has ${theirs}`);
    }
  }
}
