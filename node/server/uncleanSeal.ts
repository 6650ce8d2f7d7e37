/** SealUnclean (DESIGN S4): an operator gives up what the reachable copies do not hold; on the metadata leader. */
import { WalrusError } from '../../base/errors.ts';
import { APIS } from '../../protocol/client/apis.ts';
import type { SealUncleanRequest, SealUncleanResponse } from '../../protocol/client/sealUnclean.ts';
import type { ServerContext } from './serverContext.ts';

/** Fences and copies take their time; a try that is cut off may be repeated. */
const ASK_TIMEOUT_MS = 30_000;

export class UncleanSeal {
  readonly #context: ServerContext;

  constructor(context: ServerContext) {
    this.#context = context;
    const { rpc, controller } = context.parts;
    rpc.handle(APIS.SealUnclean, async ({ segmentId, confirm }) => {
      const { endOffset, lossy } = await controller.sealUnclean(segmentId, confirm);
      return { endOffset, lossy: lossy ?? undefined };
    });
  }

  /** @throws {WalrusError} METADATA_UNAVAILABLE, SEGMENT_NOT_FOUND, CONFLICT, REPLICA_UNKNOWN, NOT_LEADER */
  async seal(request: SealUncleanRequest): Promise<SealUncleanResponse> {
    const { metadata, rpc } = this.#context.parts;
    const address = metadata.leaderAddress;
    if (address === null) {
      throw new WalrusError(
        'METADATA_UNAVAILABLE',
        'The metadata has no leader at the moment: try again',
      );
    }
    return await rpc.call(address, APIS.SealUnclean, request, ASK_TIMEOUT_MS);
  }
}
