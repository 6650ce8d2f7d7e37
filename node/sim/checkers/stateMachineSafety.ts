/**
 * Raft's State Machine Safety, seen from above: what the metadata became at an index is the same on every node.
 * Watches while the cluster runs.
 */
import { crc32c } from '../../../base/crc32c.ts';
import { encodeUtf8 } from '../../../base/bytes.ts';
import type { NodeParts } from '../../walrusNode.ts';
import { Violation } from '../history.ts';

export class StateMachineSafety {
  /** Index -> digest of what the command there touched. */
  readonly #digests = new Map<number, number>();
  #count = 0;

  /** Commands compared so far. */
  get comparedCount(): number {
    return this.#count;
  }

  /** Follows one process life. */
  watch(nodeId: number, parts: NodeParts): void {
    parts.metadata.onApplied((change) => {
      if (change.isRestored) return;
      const { segments, topics, nodes, disks } = parts.metadata.metadata;
      const touched = JSON.stringify([
        sorted(change.segments).map((id) => segments.get(id) ?? id),
        sorted(change.topics).map((name) => topics.get(name) ?? name),
        sorted(change.nodes).map((id) => nodes.get(id) ?? id),
        sorted(change.disks).map((id) => disks.get(id) ?? id),
      ]);
      const digest = crc32c(encodeUtf8(touched));
      const other = this.#digests.get(change.index);
      if (other === undefined) this.#digests.set(change.index, digest);
      else this.#count += 1;
      if (other === undefined || other === digest) return;
      throw new Violation(
        'StateMachineSafety',
        `node ${nodeId} came to another state at index ${change.index}: ${touched}`,
      );
    });
  }
}

/** The order in which a command touched them is no part of the state. */
function sorted<T extends string | number>(touched: Iterable<T>): T[] {
  return [...touched].sort((a, b) => (a < b ? -1 : 1));
}
