/** SealUnclean (DESIGN S4): known to the protocol, refused by this version; nothing is ever given up. */
import { WalrusError } from '../../base/errors.ts';
import type { SealUncleanRequest, SealUncleanResponse } from '../../protocol/client/sealUnclean.ts';

export class UncleanSeal {
  /** @throws {WalrusError} UNKNOWN_COMMAND, always. */
  seal(request: SealUncleanRequest): Promise<SealUncleanResponse> {
    const message = `Cannot seal segment ${request.segmentId} unclean: this version does not serve it`;
    return Promise.reject(new WalrusError('UNKNOWN_COMMAND', message));
  }
}
