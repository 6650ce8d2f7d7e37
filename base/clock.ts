/** Time, as a parameter. The real clock is in node/io, the virtual one in node/sim. */

/** A timer that has not fired yet. */
export interface Timer {
  /** Keeps the callback from being called. Harmless after it has fired. */
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since an arbitrary start, never going back, possibly fractional. */
  monotonicMs(): number;
  /** Milliseconds since 1970. May jump; nothing that matters for safety may depend on it. */
  wallMs(): number;
  /** Calls `callback` once, `delayMs` (>= 0) from now. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Calls `callback` after the I/O events that are already waiting: the end of the present turn. */
  defer(callback: () => void): void;
}
