/**
 * Creates and deletes topics through the metadata leader, on whichever node the request came in, over its elections;
 * and makes sure that this node knows of it before it answers.
 */
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import { APIS } from '../../protocol/client/apis.ts';
import type { CreateTopicRequest, CreateTopicResponse } from '../../protocol/client/createTopic.ts';
import type { Replication } from '../state/types.ts';
import { askLeader } from './leaderRequests.ts';
import { topicNotFound } from './router.ts';
import type { Router } from './router.ts';
import type { ServerContext } from './serverContext.ts';

const ASK_TIMEOUT_MS = 6000;

export class TopicAdmin {
  readonly #context: ServerContext;
  readonly #router: Router;

  constructor(context: ServerContext, router: Router) {
    this.#context = context;
    this.#router = router;
    context.parts.rpc.handle(APIS.CreateTopic, (request) => this.#createAsLeader(request));
  }

  /** @throws {WalrusError} TOPIC_EXISTS, INVALID_REPLICATION, NOT_ENOUGH_REPLICAS, METADATA_UNAVAILABLE ... */
  async create(request: CreateTopicRequest): Promise<CreateTopicResponse> {
    const known = this.#router.knownTopic(request.name);
    if (known !== undefined && request.ifNotExists) return { topicId: known.topicId, isNew: false };
    const response = await this.#askLeader(request);
    if (this.#router.knownTopic(request.name)?.topicId !== response.topicId) {
      await this.#router.barrier();
    }
    return response;
  }

  /** A repeat after an unknown outcome is only safe where an existing topic is a success. */
  async #askLeader(request: CreateTopicRequest): Promise<CreateTopicResponse> {
    const call = { api: APIS.CreateTopic, request };
    return await askLeader(this.#context, call, {
      timeoutMs: ASK_TIMEOUT_MS,
      isRetried: ({ code, retriable }) =>
        retriable && (code !== 'TIMED_OUT' || request.ifNotExists),
    });
  }

  async #createAsLeader(request: CreateTopicRequest): Promise<CreateTopicResponse> {
    const { controller } = this.#context.parts;
    const { name, partitions, ifNotExists } = request;
    try {
      const replication = replicationOf(request);
      return {
        topicId: await controller.createTopic({ name, partitions, replication }),
        isNew: true,
      };
    } catch (error) {
      const known = this.#router.knownTopic(name);
      if (!ifNotExists || known === undefined || !isWalrusError(error, 'TOPIC_EXISTS')) throw error;
      return { topicId: known.topicId, isNew: false };
    }
  }

  /** @throws {WalrusError} TOPIC_NOT_FOUND, METADATA_UNAVAILABLE, TIMED_OUT */
  async delete(name: string): Promise<void> {
    const { topicId } = await this.#router.findTopic(name);
    const command = { type: 'DeleteTopic', name, topicId } as const;
    const result = await this.#context.parts.metadata.propose(command);
    if (result.ok) return;
    if (result.code === 'TOPIC_NOT_FOUND') throw topicNotFound(name);
    throw new WalrusError(result.code, result.message);
  }
}

function replicationOf({ name, replicas, ackQuorum }: CreateTopicRequest): Replication | null {
  if (replicas === undefined && ackQuorum === undefined) return null;
  if (replicas !== undefined && ackQuorum !== undefined) return { replicas, ackQuorum };
  throw new WalrusError(
    'INVALID_REPLICATION',
    `Cannot create topic ${name}: replicas and ack quorum are given together, or not at all`,
  );
}
