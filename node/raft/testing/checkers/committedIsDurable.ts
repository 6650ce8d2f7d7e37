/** What a leader takes for committed is on the disks of a majority of its voters, also of those that are down. */
import { majority } from '../../configuration.ts';
import { latestConfiguration } from '../../raft.ts';
import { Violation } from '../simCluster.ts';
import type { Checker } from '../simCluster.ts';
import { termOf } from '../simServer.ts';
import type { SimDurable } from '../simServer.ts';

function holds(durable: SimDurable, index: number, term: number | null): boolean {
  if (index <= (durable.snapshot?.info.index ?? 0)) return true;
  return index <= durable.log.baseIndex || termOf(durable.log, index) === term;
}

export function committedIsDurable(): Checker {
  const name = 'CommittedIsDurable';
  return {
    name,
    onStep({ cluster, raft, before }) {
      const hasLed = raft.role === 'Leader' || before.role === 'Leader';
      if (!hasLed || raft.commitIndex === before.commitIndex) return;
      const { commitIndex } = raft;
      const term = raft.trail.termAt(commitIndex);
      const { voters } = latestConfiguration(raft).configuration;
      const holders = voters.filter(({ id }) =>
        holds(cluster.server(id).durable, commitIndex, term),
      );
      if (holders.length >= majority(voters.length)) return;
      throw new Violation(
        name,
        `${raft.id} commits ${commitIndex}@${term ?? '?'}, durable on ${holders.length} of ${voters.length}`,
      );
    },
  };
}
