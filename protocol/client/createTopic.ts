/**
 * CreateTopic.
 *
 * Request: text name, u32 partitions, optional u8 replicas, optional u8 ackQuorum, bool ifNotExists.
 * Response: u64 topicId, bool isNew.
 */
import type { Api } from './codec.ts';
import { readTopicName } from './codec.ts';

export interface CreateTopicRequest {
  readonly name: string;
  /** From 1; more than TOPIC_PARTITIONS_MAX are refused by the metadata. */
  readonly partitions: number;
  /** Together with `ackQuorum`; undefined for the cluster's default. */
  readonly replicas?: number | undefined;
  readonly ackQuorum?: number | undefined;
  /** An existing topic is a success (with `isNew` false) instead of TOPIC_EXISTS. */
  readonly ifNotExists: boolean;
}

export interface CreateTopicResponse {
  readonly topicId: number;
  readonly isNew: boolean;
}

export const createTopic: Api<CreateTopicRequest, CreateTopicResponse> = {
  apiKey: 3,
  name: 'CreateTopic',
  minVersion: 0,
  maxVersion: 0,
  writeRequest(writer, request) {
    writer.text(request.name).u32(request.partitions);
    writer.optional(request.replicas, (w, replicas) => w.u8(replicas));
    writer.optional(request.ackQuorum, (w, ackQuorum) => w.u8(ackQuorum));
    writer.bool(request.ifNotExists);
  },
  readRequest(reader) {
    const name = readTopicName(reader);
    const partitions = reader.u32();
    if (partitions < 1) reader.fail('a topic has at least one partition');
    return {
      name,
      partitions,
      replicas: reader.optional((r) => r.u8()),
      ackQuorum: reader.optional((r) => r.u8()),
      ifNotExists: reader.bool(),
    };
  },
  writeResponse(writer, response) {
    writer.u64(response.topicId).bool(response.isNew);
  },
  readResponse(reader) {
    return { topicId: reader.u64(), isNew: reader.bool() };
  },
};
