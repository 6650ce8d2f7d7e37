/**
 * Produce: record batches for one partition, as opaque bytes.
 *
 * Request: text topic, u32 partition, u8 acks (1 leader, 2 quorum, 3 all), u32 timeoutMs,
 * bytes batches (one record batch or several, one after the other; last, so that it needs no copy).
 * Response: list batches (u64 baseOffset, bool isDuplicate), u64 logStartOffset.
 */
import type { Offset } from '../../base/units.ts';
import type { Api } from './codec.ts';
import { readOffset, readTopicName } from './codec.ts';

/** How many disks must hold the records before the answer: 1 the leader's, 2 the ack quorum's, 3 all members'. */
export const ACKS = { leader: 1, quorum: 2, all: 3 } as const;
export type Acks = keyof typeof ACKS;

const ACKS_BY_NUMBER = new Map<number, Acks>([
  [ACKS.leader, 'leader'],
  [ACKS.quorum, 'quorum'],
  [ACKS.all, 'all'],
]);

export interface ProduceRequest {
  readonly topic: string;
  readonly partition: number;
  readonly acks: Acks;
  /** After this the outcome is reported as unknown (TIMED_OUT), in ms. */
  readonly timeoutMs: number;
  /** Record batches, one after the other. */
  readonly batches: Uint8Array;
}

export interface ProducedBatch {
  readonly baseOffset: Offset;
  /** The batch was there already: a retry of an idempotent producer. */
  readonly isDuplicate: boolean;
}

export interface ProduceResponse {
  /** One for each batch, in order. */
  readonly batches: readonly ProducedBatch[];
  readonly logStartOffset: Offset;
}

export const produce: Api<ProduceRequest, ProduceResponse> = {
  apiKey: 6,
  name: 'Produce',
  minVersion: 0,
  maxVersion: 0,
  writeRequest(writer, request) {
    writer.text(request.topic).u32(request.partition).u8(ACKS[request.acks]);
    writer.u32(request.timeoutMs).u32(request.batches.length);
    writer.appendTail(request.batches);
  },
  readRequest(reader) {
    const topic = readTopicName(reader);
    const partition = reader.u32();
    const acksNumber = reader.u8();
    const acks = ACKS_BY_NUMBER.get(acksNumber) ?? reader.fail(`acks is ${acksNumber}`);
    return { topic, partition, acks, timeoutMs: reader.u32(), batches: reader.bytes() };
  },
  writeResponse(writer, response) {
    writer.list(response.batches, (w, batch) => w.u64(batch.baseOffset).bool(batch.isDuplicate));
    writer.u64(response.logStartOffset);
  },
  readResponse(reader) {
    return {
      batches: reader.list((r) => ({ baseOffset: readOffset(r), isDuplicate: r.bool() })),
      logStartOffset: readOffset(reader),
    };
  },
};
