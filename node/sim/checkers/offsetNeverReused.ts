/** DESIGN 1.4: an offset that was handed out, to a producer or to a reader, never names another record. */
import { Violation } from '../history.ts';
import type { History } from '../history.ts';

export function checkOffsetNeverReused(history: History): void {
  const names = new Map<string, string>();
  const claim = (topic: string, offset: number, value: string): void => {
    const key = `${topic}@${offset}`;
    const other = names.get(key);
    if (other !== undefined && other !== value) {
      throw new Violation('OffsetNeverReused', `${key} has named ${other} and ${value}`);
    }
    names.set(key, value);
  };
  for (const { topic, offset, value } of history.acknowledged()) {
    if (offset !== null) claim(topic, offset, value);
  }
  for (const { topic, offset, value } of history.reads) claim(topic, offset, value);
}
