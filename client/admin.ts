/** Topics, groups and the cluster as a whole. Everything is tried again, on other nodes too, until its time is over. */
import { WalrusError, isWalrusError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import { TOPIC_PARTITIONS_MAX } from '../base/limits.ts';
import type { Offset } from '../base/units.ts';
import { nodeId as toNodeId, offset as toOffset, segmentId as toSegmentId } from '../base/units.ts';
import { APIS } from '../protocol/client/apis.ts';
import type { CreateTopicResponse } from '../protocol/client/createTopic.ts';
import type { DescribeClusterResponse } from '../protocol/client/describeCluster.ts';
import type { DescribeTopicResponse } from '../protocol/client/describeTopic.ts';
import type { Position } from '../protocol/client/fetchPositions.ts';
import type { OffsetPosition } from '../protocol/client/listOffsets.ts';
import type { MetadataResponse, TopicInfo } from '../protocol/client/metadata.ts';
import type { MarkDiskLostResponse } from '../protocol/client/markDiskLost.ts';
import type { SealUncleanResponse } from '../protocol/client/sealUnclean.ts';
import { checkTopicName, nameProblem } from '../protocol/topicName.ts';
import type { ConnectionPool } from './pool.ts';

/** A topic to create. */
export interface NewTopic {
  readonly name: string;
  /** Default 1. */
  readonly partitions?: number;
  /** Together with `ackQuorum`; default: what the cluster has nodes for. */
  readonly replicas?: number;
  readonly ackQuorum?: number;
  /** An existing topic is a success. */
  readonly ifNotExists?: boolean;
}

const REPLICAS_MAX = 5;

export class Admin {
  readonly #pool: ConnectionPool;
  readonly #timeoutMs: number;

  constructor(pool: ConnectionPool, timeoutMs: number) {
    this.#pool = pool;
    this.#timeoutMs = timeoutMs;
  }

  get #options(): { readonly timeoutMs: number } {
    return { timeoutMs: this.#timeoutMs };
  }

  /** @throws {WalrusError} TOPIC_EXISTS, INVALID_TOPIC_NAME, INVALID_REPLICATION, INVALID_CONFIG, LIMIT_REACHED. */
  async createTopic(topic: NewTopic): Promise<CreateTopicResponse> {
    const { partitions = 1, ifNotExists = false } = topic;
    checkNewTopic(topic);
    const request = { ...topic, partitions, ifNotExists };
    let isInDoubt = false;
    return await this.#pool.call(APIS.CreateTopic, request, {
      ...this.#options,
      // After a lost answer the topic that is there is the one of the earlier attempt.
      retry: (error) => {
        isInDoubt ||= leavesDoubt(error);
        return isInDoubt ? { ...request, ifNotExists: true } : request;
      },
    });
  }

  /** @throws {WalrusError} TOPIC_NOT_FOUND */
  async deleteTopic(name: string): Promise<void> {
    await this.#deleteOnce('TOPIC_NOT_FOUND', (retry) =>
      this.#pool.call(APIS.DeleteTopic, { name }, { ...this.#options, retry: retry({ name }) }),
    );
  }

  /** After a lost answer what is not there any more was deleted by the earlier attempt. */
  async #deleteOnce(
    missing: ErrorCode,
    call: (retry: <T>(request: T) => (error: WalrusError) => T) => Promise<unknown>,
  ): Promise<void> {
    const doubts: WalrusError[] = [];
    try {
      await call((request) => (error) => {
        if (leavesDoubt(error)) doubts.push(error);
        return request;
      });
    } catch (error) {
      if (doubts.length === 0 || !isWalrusError(error, missing)) throw error;
    }
  }

  /** All topics, by name. */
  async listTopics(): Promise<readonly TopicInfo[]> {
    const { topics } = await this.metadata();
    return [...topics].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The nodes, the topics and who leads them. */
  async metadata(): Promise<MetadataResponse> {
    return await this.#pool.call(APIS.Metadata, {}, this.#options);
  }

  /**
   * A topic with all its segments.
   * @throws {WalrusError} TOPIC_NOT_FOUND
   */
  async describeTopic(topic: string): Promise<DescribeTopicResponse> {
    return await this.#pool.call(APIS.DescribeTopic, { topic }, this.#options);
  }

  /** Nodes, disks and the metadata group, as one node sees them. */
  async describeCluster(): Promise<DescribeClusterResponse> {
    return await this.#pool.call(APIS.DescribeCluster, {}, this.#options);
  }

  /** The offset of a position in a partition. */
  async offsetAt(topic: string, partition: number, at: OffsetPosition): Promise<Offset> {
    const request = { topic, partition, at };
    return (await this.#pool.call(APIS.ListOffsets, request, this.#options)).offset;
  }

  /** The names of all groups that have positions. */
  async listGroups(): Promise<readonly string[]> {
    return (await this.#pool.call(APIS.ListGroups, {}, this.#options)).groups;
  }

  /**
   * Where a group goes on reading.
   * @throws {WalrusError} GROUP_NOT_FOUND
   */
  async describeGroup(group: string): Promise<readonly Position[]> {
    checkGroupName(group);
    return (await this.#pool.call(APIS.FetchPositions, { group }, this.#options)).positions;
  }

  /**
   * Forgets a group's positions.
   * @throws {WalrusError} GROUP_NOT_FOUND
   */
  async deleteGroup(group: string): Promise<void> {
    checkGroupName(group);
    await this.#deleteOnce('GROUP_NOT_FOUND', (retry) =>
      this.#pool.call(APIS.DeleteGroup, { group }, { ...this.#options, retry: retry({ group }) }),
    );
  }

  /**
   * Deletes the records of a partition before an offset; harmless when they are gone already.
   * @returns where it begins now.
   * @throws {WalrusError} TOPIC_NOT_FOUND, PARTITION_NOT_FOUND, OFFSET_OUT_OF_RANGE beyond the end.
   */
  async deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<Offset> {
    const request = { topic, partition, beforeOffset: toOffset(beforeOffset) };
    return (await this.#pool.call(APIS.DeleteRecords, request, this.#options)).logStartOffset;
  }

  /**
   * Gives a disk up for ever; without `confirm`, only says what that would mean.
   * @throws {WalrusError} DISK_REFUSED for an unknown disk, CONFLICT while a node uses it.
   */
  async markDiskLost(diskId: string, confirm: boolean): Promise<MarkDiskLostResponse> {
    return await this.#pool.call(APIS.MarkDiskLost, { diskId, confirm }, this.#options);
  }

  /**
   * Lets another node lead the metadata; a node of the caller's choice, or any.
   * @returns who leads now.
   * @throws {WalrusError} INVALID_MEMBERSHIP when it does not vote, CONFLICT when it is down.
   */
  async transferLeadership(to?: number): Promise<number> {
    const request = { nodeId: to === undefined ? undefined : toNodeId(to) };
    // A repeat without a name would move it once more.
    const retry = (): typeof request | null => (to === undefined ? null : request);
    const options = { ...this.#options, retry };
    return (await this.#pool.call(APIS.TransferLeadership, request, options)).nodeId;
  }

  /**
   * Gives up what the reachable copies of a segment do not hold.
   * @param confirmedEnd - The `endOffset` that a call without it has named; without it nothing is done.
   * @throws {WalrusError} SEGMENT_NOT_FOUND; REPLICA_UNKNOWN when no copy can be reached; CONFLICT when the segment does
   *   not wait for its recovery, or would end elsewhere by now: look again.
   */
  async sealUnclean(segmentId: number, confirmedEnd?: number): Promise<SealUncleanResponse> {
    const request = {
      segmentId: toSegmentId(segmentId),
      confirmedEnd: confirmedEnd === undefined ? undefined : toOffset(confirmedEnd),
    };
    return await this.#pool.call(APIS.SealUnclean, request, {
      ...this.#options,
      retry: () => null,
    });
  }
}

function leavesDoubt(error: WalrusError): boolean {
  return ['TIMED_OUT', 'CONNECTION_FAILED', 'SHUTTING_DOWN', 'METADATA_UNAVAILABLE'].includes(
    error.code,
  );
}

/** What no cluster would take is refused before anything is sent. */
function checkNewTopic({ name, partitions = 1, replicas, ackQuorum }: NewTopic): void {
  checkTopicName(name);
  if (!(Number.isInteger(partitions) && partitions >= 1 && partitions <= TOPIC_PARTITIONS_MAX)) {
    throw new WalrusError(
      'INVALID_CONFIG',
      `Cannot create topic ${name} with ${partitions} partitions: a topic has 1 to ${TOPIC_PARTITIONS_MAX}`,
    );
  }
  for (const count of [replicas, ackQuorum]) {
    if (count === undefined || (Number.isInteger(count) && count >= 1 && count <= REPLICAS_MAX))
      continue;
    throw new WalrusError(
      'INVALID_REPLICATION',
      `Cannot create topic ${name} with replicas ${replicas ?? '-'} and ack quorum ${ackQuorum ?? '-'}: ` +
        'it must be 1/1, 3/2 or 5/3',
    );
  }
}

/** @throws {WalrusError} INVALID_CONFIG */
export function checkGroupName(group: string): void {
  const problem = nameProblem(group);
  if (problem === null) return;
  throw new WalrusError('INVALID_CONFIG', `Invalid group name "${group.slice(0, 60)}": ${problem}`);
}
