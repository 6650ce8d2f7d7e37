/** The embeddable engine: a durable log in a directory, in the program's own process (docs/embedded.md). */
import { SILENT, type Logger } from '../../base/log.ts';
import { installNativeCrc32c } from './nativeCrc32c.ts';
import { RealClock } from './realClock.ts';
import { RealDisk } from './realDisk.ts';
import { RealRandom } from './realRandom.ts';
import { openEmbedded } from '../storage/embedded.ts';
import type { EmbeddedStore } from '../storage/embedded.ts';

export { WalrusError, isWalrusError } from '../../base/errors.ts';
export type { ErrorCode } from '../../base/errors.ts';
export type { Logger } from '../../base/log.ts';
export type { EmbeddedStore } from '../storage/embedded.ts';
export type { EmbeddedNewRecord, EmbeddedRecord, EmbeddedTopic } from '../storage/embeddedTopic.ts';

export interface OpenStoreOptions {
  /** Made when it does not exist. One process at a time. */
  readonly directory: string;
  /** 'none' resolves when records are written, not when they are synced: a power cut may lose them. Default 'always'. */
  readonly sync?: 'always' | 'none';
  readonly logger?: Logger;
}

/**
 * Opens the store of a directory, and recovers it if its last process ended without closing it.
 * @throws {WalrusError} DATA_DIR_LOCKED, WRONG_DATA_DIR, UNSUPPORTED_VERSION, DISK_FAILED
 */
export async function openStore(options: OpenStoreOptions): Promise<EmbeddedStore> {
  const { directory, sync = 'always', logger = SILENT } = options;
  await installNativeCrc32c(logger);
  return openEmbedded({
    disk: new RealDisk(directory),
    clock: new RealClock(),
    random: new RealRandom(),
    logger,
    sync,
  });
}
