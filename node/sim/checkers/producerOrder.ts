/** DESIGN 1.3: the records of one producer are in the log in the order in which it sent them, each once. */
import { Violation } from '../history.ts';
import type { History } from '../history.ts';

export function checkProducerOrder(history: History): void {
  const appends = new Map(history.appends.map((append) => [append.value, append]));
  for (const log of history.finalLogs) {
    const next = new Map<number, number>();
    for (const { offset, value } of log.records) {
      const append = appends.get(value);
      const where = `${log.topic}@${offset} through node ${log.nodeId}`;
      if (append === undefined) {
        throw new Violation('ProducerOrder', `nobody sent ${value}, which is at ${where}`);
      }
      const expected = next.get(append.producerId) ?? 0;
      if (append.sequence !== expected) {
        const what = `producer ${append.producerId} has sequence ${append.sequence}`;
        throw new Violation('ProducerOrder', `${what}, not ${expected}, at ${where}`);
      }
      next.set(append.producerId, expected + 1);
    }
  }
}
