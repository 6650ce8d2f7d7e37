/** The progress line on a terminal: records, bytes, rate. Nothing elsewhere. */
import process from 'node:process';
import { progressText } from './values.ts';

const INTERVAL_MS = 500;

export class ProgressLine {
  readonly #timer: NodeJS.Timeout | null;
  readonly #startMs = performance.now();
  readonly #read: () => { readonly records: number; readonly bytes: number };

  constructor(isQuiet: boolean, read: () => { readonly records: number; readonly bytes: number }) {
    this.#read = read;
    const isShown = !isQuiet && process.stderr.isTTY;
    this.#timer = isShown ? setInterval(() => this.#show('\r'), INTERVAL_MS) : null;
  }

  /** Shows the final state. */
  end(): void {
    if (this.#timer === null) return;
    clearInterval(this.#timer);
    this.#show('\n');
  }

  #show(end: string): void {
    const seconds = Math.max((performance.now() - this.#startMs) / 1000, 0.001);
    process.stderr.write(`\r${progressText(this.#read(), seconds).padEnd(60)}${end}`);
  }
}
