/** Record batches for tests. */
import { encodeUtf8 } from '../../../base/bytes.ts';
import type { Offset } from '../../../base/units.ts';
import { setBaseOffset } from '../../../protocol/recordBatch.ts';
import { RecordBatchBuilder } from '../../../protocol/recordBatchBuilder.ts';

/** A batch of `count` records, each `text` (padded to `bytes`), at a base offset. */
export function makeBatch(
  baseOffset: number,
  options: { text?: string; count?: number; bytes?: number; timestampMs?: number } = {},
): Uint8Array {
  const { text = `at ${baseOffset}`, count = 1, bytes = 0, timestampMs = 1000 } = options;
  const builder = new RecordBatchBuilder({ maxBytes: 8 * 1024 * 1024 });
  const value = encodeUtf8(text.padEnd(bytes, '.'));
  for (let i = 0; i < count; i += 1) builder.appendValue(value, timestampMs);
  const batch = builder.finish().slice();
  setBaseOffset(batch, 0, baseOffset as Offset);
  return batch;
}
