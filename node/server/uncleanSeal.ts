/** SealUnclean (DESIGN S4). */
import { WalrusError } from '../../base/errors.ts';
import type { SealUncleanRequest, SealUncleanResponse } from '../../protocol/client/sealUnclean.ts';

export class UncleanSeal {
  /** @throws {WalrusError} */
  seal(request: SealUncleanRequest): Promise<SealUncleanResponse> {
    const message = `Cannot seal segment ${request.segmentId}: not served`;
    return Promise.reject(new WalrusError('UNKNOWN_COMMAND', message));
  }
}
