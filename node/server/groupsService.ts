/** The positions of consumer groups: CommitPositions, FetchPositions, DeleteGroup, ListGroups. */
import { WalrusError } from '../../base/errors.ts';
import type { CommitPositionsRequest } from '../../protocol/client/commitPositions.ts';
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
  async commit({ group, positions }: CommitPositionsRequest): Promise<void> {
    if (positions.length > MAX_POSITIONS_PER_COMMAND) {
      const bound = `up to ${MAX_POSITIONS_PER_COMMAND} are taken`;
      const message = `Cannot commit ${positions.length} positions at once: ${bound}`;
      throw new WalrusError('TOO_LARGE', message);
    }
    const commit: PositionsCommit = {
      group,
      positions: positions.map(({ expected, ...position }) =>
        expected === undefined ? position : { ...position, expected },
      ),
    };
    const refusal = await this.#committer.commit(positions.length, () => commit);
    if (refusal === null) return;
    const { topic, partition } = positions[refusal.position] ?? { topic: '', partition: 0 };
    const message = `Cannot commit the position of group ${group} in ${topic}/${partition}`;
    const details = { topic, partition };
    throw new WalrusError(refusal.code, `${message}: ${refusal.code}`, { details });
  }

  /**
   * What is committed now, others' latest commits included.
   * @throws {WalrusError} GROUP_NOT_FOUND when all positions are asked for and there are none.
   */
  async fetch({ group, partitions }: FetchPositionsRequest): Promise<FetchPositionsResponse> {
    await this.#router.barrier();
    const known = this.#router.metadata.groups.get(group);
    if (partitions !== undefined) {
      return {
        positions: partitions.map(({ topic, partition }) => ({
          topic,
          partition,
          offset: known?.get(topic)?.get(partition),
        })),
      };
    }
    if (known === undefined) throw groupNotFound(group);
    const positions: Position[] = [];
    for (const [topic, offsets] of known) {
      for (const [partition, offset] of offsets) positions.push({ topic, partition, offset });
    }
    return { positions };
  }

  /** @throws {WalrusError} GROUP_NOT_FOUND */
  async delete(group: string): Promise<void> {
    await this.#router.barrier();
    if (!this.#router.metadata.groups.has(group)) throw groupNotFound(group);
    const result = await this.#context.parts.metadata.propose({ type: 'DeleteGroup', group });
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
