/** A client port straight into a node's parts, below the protocols: for what the replicated core promises. */
import { decodeUtf8 } from '../../base/bytes.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import { offset } from '../../base/units.ts';
import { splitBatches } from '../../protocol/recordBatch.ts';
import { RecordIterator } from '../../protocol/recordIterator.ts';
import { partitionRecord, segmentContaining } from '../state/queries.ts';
import type { NodeParts } from '../walrusNode.ts';
import type { ClientPort, FetchedRecords, Reply } from './clientPort.ts';

const FETCH_BYTES_MAX = 64 * 1024;

export function partsPort(parts: NodeParts): ClientPort {
  return {
    produce(topic, batch, done) {
      parts.segments.append({ topic, partition: 0 }, batch, 'quorum', (error, outcome) => {
        done(error, outcome?.baseOffset ?? null);
      });
    },
    fetch(topic, from, done) {
      try {
        done(null, fetchHere(parts, topic, from));
      } catch (error) {
        if (!isWalrusError(error)) throw error;
        done(error, null);
      }
    },
    createTopic(topic, done) {
      parts.controller.createTopic({ name: topic, partitions: 1, replication: null }).then(
        () => done(null, true),
        (error: unknown) => fail(error, done),
      );
    },
    lookup(topic, done) {
      parts.metadata.barrier().then(
        () => done(null, parts.metadata.metadata.topics.has(topic)),
        (error: unknown) => fail(error, done),
      );
    },
  };
}

function fail<T>(error: unknown, done: Reply<T>): void {
  if (!isWalrusError(error)) throw error;
  done(error, null);
}

function fetchHere(parts: NodeParts, topic: string, from: number): FetchedRecords {
  const { metadata } = parts.metadata;
  const partition = { topic, partition: 0 };
  const segment = segmentContaining(metadata, partition, offset(from));
  if (segment === undefined || partitionRecord(metadata, topic, 0) === undefined) {
    throw new WalrusError('TOPIC_NOT_FOUND', `There is no topic ${topic} here`);
  }
  const committed = parts.host.committedOffset(segment);
  if (from >= committed) return { records: [], nextOffset: from };
  const { bytes, nextOffset } = parts.host.read(segment, offset(from), {
    maxBytes: FETCH_BYTES_MAX,
  });
  const records: { offset: number; value: string }[] = [];
  for (const batch of splitBatches(bytes)) {
    const iterator = new RecordIterator(batch);
    while (iterator.next()) {
      const value = iterator.value();
      if (iterator.offset >= from && value !== null) {
        records.push({ offset: iterator.offset, value: decodeUtf8(value) });
      }
    }
  }
  return { records, nextOffset };
}
