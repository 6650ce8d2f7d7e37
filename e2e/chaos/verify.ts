/** After the faults: reads every topic through every node and compares it with the ledgers. */
import type { Cluster } from './cluster.ts';
import { checkCursor } from './cursorCheck.ts';
import type { CursorFindings } from './cursorCheck.ts';
import { keyOf } from './cursorReader.ts';
import type { Load } from './load.ts';
import { TOPICS, TOPIC_NAMES } from './load.ts';
import { LogCheck, TROUBLES } from './logCheck.ts';
import type { Trouble } from './logCheck.ts';
import { endOffsetThrough, readBack } from './readBack.ts';
import { messageOf } from '../../base/errors.ts';

export interface Verification {
  /** Over all topics and nodes. */
  readonly troubles: Record<Trouble, number>;
  readonly cursor: CursorFindings;
  /** Records read, by topic. */
  readonly recordsCounts: Record<string, number>;
  /** Everything that is wrong, in words. */
  readonly problems: string[];
}

export async function verify(cluster: Cluster, load: Load): Promise<Verification> {
  const troubles = Object.fromEntries(TROUBLES.map((name) => [name, 0])) as Record<Trouble, number>;
  const recordsCounts: Record<string, number> = {};
  const problems: string[] = [];
  const offsets = new Map<number, number>();
  for (const topic of TOPIC_NAMES) {
    const ledgers = load.ledgers.filter((ledger) => ledger.topic === topic);
    const ends = await Promise.all(
      cluster.nodes.map(({ clientAddress }) => endOffsetThrough(clientAddress, topic)),
    );
    const endOffset = Math.max(...ends);
    const hashes = new Map<string, number>();
    for (const node of cluster.nodes) {
      const check = new LogCheck(`${topic} through node ${node.nodeId}`, ledgers);
      const onRecord = (offset: number, value: Uint8Array | null): void => {
        const name = check.add(offset, value);
        if (topic === TOPICS.text && name !== null) offsets.set(keyOf(name), offset);
      };
      try {
        const { clientAddress: address } = node;
        const { sha256 } = await readBack({ address, topic, endOffset, onRecord });
        hashes.set(sha256, node.nodeId);
      } catch (error) {
        problems.push(`${topic} cannot be read through node ${node.nodeId}: ${messageOf(error)}`);
      }
      const { counts, examples, recordsCount } = check.finish();
      for (const name of TROUBLES) troubles[name] += counts[name];
      problems.push(...examples);
      recordsCounts[topic] = recordsCount;
    }
    if (hashes.size > 1) problems.push(`${topic} has other bytes through other nodes`);
  }
  const cursor = checkCursor(load.reader.events, offsets);
  if (cursor.skippedCount + cursor.missingAtEndCount + cursor.foreignCount > 0) {
    problems.push(...cursor.examples);
  }
  return { troubles, cursor, recordsCounts, problems };
}
