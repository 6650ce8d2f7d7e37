/** The large buffers of a node's process. */
import { BufferPool } from '../../base/bufferPool.ts';
import { MIB } from '../../base/units.ts';

/** Free buffers that are kept for batches and frames to come. */
const FREE_BYTES_MAX = 16 * MIB;

/** One pool for all connections and segments of a node. */
export function nodeBuffers(): BufferPool {
  return new BufferPool({ maxFreeBytes: FREE_BYTES_MAX });
}
