/** After the faults: reads every topic through every node and compares it with the ledgers. */
import type { Cluster } from './cluster.ts';
import { checkCursor } from './cursorCheck.ts';
import type { CursorFindings } from './cursorCheck.ts';
import { keyOf } from './cursorReader.ts';
import type { Load } from './load.ts';
import { TOPICS, TOPIC_NAMES } from './load.ts';
import { TROUBLES } from '../load/logCheck.ts';
import type { Trouble } from '../load/logCheck.ts';
import { verifyTopic } from '../load/verifyTopic.ts';

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
  const nodes = cluster.nodes.map(({ nodeId, clientAddress: address }) => {
    return { name: `node ${nodeId}`, address };
  });
  for (const topic of TOPIC_NAMES) {
    const found = await verifyTopic({
      topic,
      nodes,
      ledgers: load.ledgers.filter((ledger) => ledger.topic === topic),
      onRecord: ({ offset, name }) => {
        if (topic === TOPICS.text && name !== null) offsets.set(keyOf(name), offset);
      },
    });
    for (const name of TROUBLES) troubles[name] += found.troubles[name];
    problems.push(...found.problems);
    recordsCounts[topic] = found.recordsCount;
  }
  const cursor = checkCursor(load.reader.events, offsets, (key) => load.isAcknowledged(key));
  if (cursor.skippedCount + cursor.missingAtEndCount + cursor.foreignCount > 0) {
    problems.push(...cursor.examples);
  }
  return { troubles, cursor, recordsCounts, problems };
}
