/** Wakes whoever waits for a topic to move on: records committed here, segments sealed or opened. */
import type { Clock } from '../../base/clock.ts';
import type { NodeParts } from '../walrusNode.ts';

type Listener = () => void;

export class Progress {
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(parts: NodeParts) {
    const { metadata, host } = parts;
    host.onCommitted((segmentId) => {
      const segment = metadata.metadata.segments.get(segmentId);
      if (segment !== undefined) this.#wake(segment.topic);
    });
    metadata.onApplied((change) => {
      if (this.#listeners.size === 0) return;
      const topics = change.isRestored ? [...this.#listeners.keys()] : change.topics;
      for (const topic of topics) this.#wake(topic);
      for (const segmentId of change.segments) {
        const segment = metadata.metadata.segments.get(segmentId);
        if (segment !== undefined && !change.topics.has(segment.topic)) this.#wake(segment.topic);
      }
    });
  }

  /** Calls `listener` whenever a topic moves, until the returned function is called. */
  onMove(topic: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(topic) === listeners) {
        this.#listeners.delete(topic);
      }
    };
  }

  /** Resolves when the topic moves, or after `withinMs`. */
  moved(topic: string, withinMs: number, clock: Clock): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        timer.cancel();
        forget();
        resolve();
      };
      const timer = clock.setTimer(withinMs, finish);
      const forget = this.onMove(topic, finish);
    });
  }

  #wake(topic: string): void {
    const listeners = this.#listeners.get(topic);
    if (listeners === undefined) return;
    for (const listener of [...listeners]) listener();
  }
}
