/** Reads a topic through every node and compares it with what its writers know. */
import { messageOf } from '../../base/errors.ts';
import type { Ledger } from './ledger.ts';
import { LogCheck, TROUBLES } from './logCheck.ts';
import type { Trouble } from './logCheck.ts';
import { endOffsetThrough, readBack } from './readBack.ts';
import type { RecordName } from './record.ts';

export interface NodePlace {
  readonly name: string;
  /** Of its client port. */
  readonly address: string;
}

/** A record as it was read. */
export interface ReadRecord {
  readonly offset: number;
  readonly value: Uint8Array | null;
  /** null: nobody sent it. */
  readonly name: RecordName | null;
  /** Through whom. */
  readonly node: NodePlace;
}

export interface TopicToVerify {
  readonly topic: string;
  readonly nodes: readonly NodePlace[];
  readonly ledgers: readonly Ledger[];
  readonly onRecord?: (record: ReadRecord) => void;
}

export interface TopicVerification {
  readonly endOffset: number;
  /** Over all nodes. */
  readonly troubles: Record<Trouble, number>;
  readonly recordsCount: number;
  /** Everything that is wrong, in words. */
  readonly problems: readonly string[];
}

export async function verifyTopic(wanted: TopicToVerify): Promise<TopicVerification> {
  const { topic, nodes, ledgers } = wanted;
  const troubles = Object.fromEntries(TROUBLES.map((name) => [name, 0])) as Record<Trouble, number>;
  const problems: string[] = [];
  const ends = await Promise.all(nodes.map(({ address }) => endOffsetThrough(address, topic)));
  const endOffset = Math.max(...ends);
  const hashes = new Set<string>();
  let recordsTotal = 0;
  for (const node of nodes) {
    const { name, address } = node;
    const check = new LogCheck(`${topic} through ${name}`, ledgers);
    const onRecord = (offset: number, value: Uint8Array | null): void => {
      const sender = check.add(offset, value);
      wanted.onRecord?.({ offset, value, name: sender, node });
    };
    try {
      hashes.add((await readBack({ address, topic, endOffset, onRecord })).sha256);
    } catch (error) {
      problems.push(`${topic} cannot be read through ${name}: ${messageOf(error)}`);
    }
    const { counts, examples, recordsCount } = check.finish();
    for (const each of TROUBLES) troubles[each] += counts[each];
    problems.push(...examples);
    recordsTotal = recordsCount;
  }
  if (hashes.size > 1) problems.push(`${topic} has other bytes through other nodes`);
  return { endOffset, troubles, recordsCount: recordsTotal, problems };
}
