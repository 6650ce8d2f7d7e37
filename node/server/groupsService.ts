/** The positions of consumer groups: CommitPositions, FetchPositions, DeleteGroup, ListGroups. */
import { WalrusError } from '../../base/errors.ts';
import type { CommitPositionsRequest } from '../../protocol/client/commitPositions.ts';
import type {
  FetchPositionsRequest,
  FetchPositionsResponse,
  Position,
} from '../../protocol/client/fetchPositions.ts';
import type { ListGroupsResponse } from '../../protocol/client/listGroups.ts';
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

  /** @throws {WalrusError} CONFLICT, TOPIC_NOT_FOUND, PARTITION_NOT_FOUND, LIMIT_REACHED ... of the first refused. */
  async commit({ group, positions }: CommitPositionsRequest): Promise<void> {
    const codes = await Promise.all(
      positions.map(({ topic, partition, offset, expected }) => {
        const position = { group, topic, partition, offset };
        return this.#committer.commit(() =>
          expected === undefined ? position : { ...position, expected },
        );
      }),
    );
    for (const [index, code] of codes.entries()) {
      if (code === null) continue;
      const { topic, partition } = positions[index] ?? { topic: '', partition: 0 };
      const message = `Cannot commit the position of group ${group} in ${topic}/${partition}`;
      throw new WalrusError(code, `${message}: ${code}`, { details: { topic, partition } });
    }
  }

  /** What is committed now, others' latest commits included. */
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
    const positions: Position[] = [];
    for (const [topic, offsets] of known ?? []) {
      for (const [partition, offset] of offsets) positions.push({ topic, partition, offset });
    }
    return { positions };
  }

  async delete(group: string): Promise<void> {
    const result = await this.#context.parts.metadata.propose({ type: 'DeleteGroup', group });
    if (!result.ok) throw new WalrusError(result.code, result.message);
  }

  async list(): Promise<ListGroupsResponse> {
    await this.#router.barrier();
    const groups = [...this.#router.metadata.groups.keys()];
    return { groups: groups.filter((group) => group !== SHARED_GROUP).sort() };
  }
}
