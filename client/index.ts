/** The Walrus client library: what programs import. */
import type { WalrusError } from '../base/errors.ts';
import { failureOfText } from '../protocol/text.ts';
import type { TextReply } from '../protocol/text.ts';
import { Client } from './client.ts';
import type { ClientOptions } from './client.ts';
import { systemWorld, useNativeCrc32c } from './io/system.ts';
import { TextClient } from './textClient.ts';

export { WalrusError, isWalrusError } from '../base/errors.ts';
export type { ErrorCode } from '../base/errors.ts';
export type { Acks } from '../protocol/client/produce.ts';
export type { TextReply } from '../protocol/text.ts';
export type { SegmentDescription } from '../protocol/client/describeTopic.ts';
export type { RecordHeader } from '../protocol/recordBatchBuilder.ts';
export type { RecordIterator } from '../protocol/recordIterator.ts';
export type { Admin, NewTopic } from './admin.ts';
export type { Client, ClientOptions } from './client.ts';
export type { ConsumedBatch, ConsumedRecord } from './consumedBatch.ts';
export type { Consumer, PartitionPosition } from './consumer.ts';
export type { ConsumerOptions, StartPosition } from './consumerOptions.ts';
export type { OutgoingRecord, Producer, ProducerCounts, StoredRecord } from './producer.ts';
export type { ProducerOptions } from './producerOptions.ts';
export type { TextClient } from './textClient.ts';

/**
 * Connects to a cluster. Returns at once: the first request finds a node that answers.
 * @throws {WalrusError} INVALID_CONFIG
 */
export async function connect(options: ClientOptions): Promise<Client> {
  await useNativeCrc32c();
  return new Client(systemWorld(), options);
}

/** The failure that an `ERR` reply tells of. */
export function textFailure(reply: Extract<TextReply, { type: 'ERR' }>): WalrusError {
  return failureOfText(reply.message);
}

const TEXT_TIMEOUT_MS = 15_000;

/** Connects to one node by the text protocol. */
export function connectText(address: string, timeoutMs = TEXT_TIMEOUT_MS): TextClient {
  return new TextClient(systemWorld(), address, timeoutMs);
}
