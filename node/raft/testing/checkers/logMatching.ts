/**
 * "Log Matching: if two logs contain an entry with the same index and term, then the logs are identical in all
 * entries up through the given index" (Raft Figure 3). By induction: an entry is the same everywhere, and so is
 * the term of the one before it.
 */
import { toHex } from '../../../../base/bytes.ts';
import { Violation } from '../simCluster.ts';
import type { Checker } from '../simCluster.ts';
import { termOf } from '../simServer.ts';

export function logMatching(): Checker {
  const name = 'LogMatching';
  const entries = new Map<string, string>();
  return {
    name,
    onStep({ server, output }) {
      for (const { prevIndex, entries: written } of output.writes) {
        let prevTerm = termOf(server.log, prevIndex);
        for (const [i, entry] of written.entries()) {
          const key = `${prevIndex + 1 + i}@${entry.term}`;
          const value = `${entry.type} ${toHex(entry.payload)} after ${prevTerm ?? '?'}`;
          const known = entries.get(key) ?? value;
          if (known !== value)
            throw new Violation(name, `${key} on ${server.id} is ${value}, elsewhere ${known}`);
          entries.set(key, value);
          prevTerm = entry.term;
        }
      }
    },
  };
}
