/** Those who wait for the driver. */
import type { WalrusError } from '../../../base/errors.ts';
import type { RaftOutput } from '../events.ts';

/** Who wants to see the output of an event, before anything in it is acted on. */
export interface Caller {
  look(output: RaftOutput): void;
  reject(error: WalrusError): void;
}

/** Someone who waits for leadership to go elsewhere. */
export interface TransferWaiter {
  resolve(): void;
  reject(error: WalrusError): void;
}
