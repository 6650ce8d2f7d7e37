/** The positions of consumer groups: CommitPositions, FetchPositions, DeleteGroup, ListGroups. */
import { assert } from '../../base/assert.ts';
import { WalrusError } from '../../base/errors.ts';
import { logIndex } from '../../base/units.ts';
import type {
  CommitPositionsRequest,
  CommitPositionsResponse,
} from '../../protocol/client/commitPositions.ts';
import type {
  FetchPositionsRequest,
  FetchPositionsResponse,
  Position,
} from '../../protocol/client/fetchPositions.ts';
import type { ListGroupsResponse } from '../../protocol/client/listGroups.ts';
import type { PositionsCommit } from '../state/commands.ts';
import { MAX_POSITIONS_PER_COMMAND } from '../state/limits.ts';
import type { PositionCommitter } from './positionCommitter.ts';
import type { Router } from './router.ts';
import type { ServerContext } from './serverContext.ts';
import { SHARED_GROUP } from './sharedCursors.ts';

export class GroupsService {
  readonly #context: ServerContext;
  readonly #router: Router;
  readonly #committer: PositionCommitter;

  constructor(context: ServerContext, router: Router, committer: PositionCommitter) {
    this.#context = context;
    this.#router = router;
    this.#committer = committer;
  }

  /**
   * Commits all positions or none.
   * @throws {WalrusError} CONFLICT, TOPIC_NOT_FOUND, PARTITION_NOT_FOUND, LIMIT_REACHED ... of the first refused;
   *   TOO_LARGE.
   */
  async commit(request: CommitPositionsRequest): Promise<CommitPositionsResponse> {
    const { group, unchangedSince, positions } = request;
    if (positions.length > MAX_POSITIONS_PER_COMMAND) {
      const bound = `up to ${MAX_POSITIONS_PER_COMMAND} are taken`;
      const message = `Cannot commit ${positions.length} positions at once: ${bound}`;
      throw new WalrusError('TOO_LARGE', message);
    }
    const commit: PositionsCommit = {
      group,
      ...(unchangedSince === undefined ? {} : { unchangedSince: logIndex(unchangedSince) }),
      positions,
    };
    const outcome = await this.#committer.commit(positions.length, () => commit);
    assert(outcome !== null, 'This commit is never given up');
    const { index: metadataEpoch, refusal } = outcome;
    if (refusal === null) return { metadataEpoch };
    const { topic, partition } = positions[refusal.position] ?? { topic: '', partition: 0 };
    const message = `Cannot commit the position of group ${group} in ${topic}/${partition}`;
    const details = { topic, partition, metadataEpoch };
    throw new WalrusError(refusal.code, `${message}: ${refusal.code}`, { details });
  }

  /**
   * What is committed now, others' latest commits included.
   * @throws {WalrusError} GROUP_NOT_FOUND when all positions are asked for and there are none.
   */
  async fetch({ group, partitions }: FetchPositionsRequest): Promise<FetchPositionsResponse> {
    await this.#router.barrier();
    const { groups, lastApplied: metadataEpoch } = this.#router.metadata;
    const known = groups.get(group);
    if (partitions !== undefined) {
      return {
        metadataEpoch,
        positions: partitions.map(({ topic, partition }) => ({
          topic,
          partition,
          offset: known?.get(topic)?.get(partition)?.offset,
        })),
      };
    }
    if (known === undefined) throw groupNotFound(group);
    const positions: Position[] = [];
    for (const [topic, offsets] of known) {
      for (const [partition, { offset }] of offsets) positions.push({ topic, partition, offset });
    }
    return { metadataEpoch, positions };
  }

  /** @throws {WalrusError} GROUP_NOT_FOUND; CONFLICT when it commits meanwhile. */
  async delete(group: string): Promise<void> {
    await this.#router.barrier();
    if (!this.#router.metadata.groups.has(group)) throw groupNotFound(group);
    const { lastApplied: unchangedSince } = this.#router.metadata;
    const command = { type: 'DeleteGroup', group, unchangedSince } as const;
    const result = await this.#context.parts.metadata.propose(command);
    if (!result.ok) throw new WalrusError(result.code, result.message);
  }

  async list(): Promise<ListGroupsResponse> {
    await this.#router.barrier();
    const groups = [...this.#router.metadata.groups.keys()];
    return { groups: groups.filter((group) => group !== SHARED_GROUP).sort() };
  }
}

function groupNotFound(group: string): WalrusError {
  const message = `There is no group ${group}: none of this name has positions`;
  return new WalrusError('GROUP_NOT_FOUND', message, { details: { group } });
}
