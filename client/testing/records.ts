/** Records of tests: numbered values. */
import type { Consumer } from '../consumer.ts';
import type { Producer } from '../producer.ts';

/** The bytes of a text. */
export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text));
}

/** The values `0`, `1`, ... of as many records. */
export function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i));
}

/** Sends numbered records, `batch` in each batch, waiting as the producer wants it. */
export async function sendNumbered(producer: Producer, count: number, batch = 1): Promise<void> {
  for (const [index, text] of numbered(count).entries()) {
    const room = producer.sendValue(bytesOf(text));
    if (room !== undefined) await room;
    if (index % batch === batch - 1) void producer.flush().catch(() => undefined);
  }
}

/** Reads the values of as many records. */
export async function readValues(consumer: Consumer, count: number): Promise<string[]> {
  const values: string[] = [];
  if (count === 0) return values;
  for await (const { value } of consumer) {
    values.push(Buffer.from(value ?? []).toString());
    if (values.length === count) break;
  }
  return values;
}
