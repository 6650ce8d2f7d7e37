/** What a reader of the shared cursor (`GET`) got, compared with the log: nothing may be left out. Pure. */

/** In the order in which it happened. `unanswered`: that many GETs whose replies were lost with their connection. */
export type CursorEvent =
  | { readonly type: 'record'; readonly key: number }
  | { readonly type: 'unanswered'; readonly count: number };

export interface CursorFindings {
  readonly deliveredCount: number;
  /** Handed out again: allowed after a crash. */
  readonly redeliveredCount: number;
  readonly unansweredCount: number;
  /** Records that were left out and that no lost reply explains. */
  readonly skippedCount: number;
  /** Records at the end of the log that never came, up to the last one that was acknowledged. */
  readonly missingAtEndCount: number;
  /**
   * Behind them: nobody was told that they are stored. A PUT that its client has given up may be stored until its node
   * gives it up, too: behind the last GET as well.
   */
  readonly lateCount: number;
  /** Records that are not in the log. */
  readonly foreignCount: number;
  readonly examples: string[];
}

const EXAMPLES_MAX = 5;

/**
 * For a reader that has ended behind the last acknowledgement.
 * @param offsets - Of every record of the log, by its key.
 * @param isAcknowledged - Of a key.
 */
export function checkCursor(
  events: readonly CursorEvent[],
  offsets: ReadonlyMap<number, number>,
  isAcknowledged: (key: number) => boolean,
): CursorFindings {
  const counts = { delivered: 0, redelivered: 0, unanswered: 0, skipped: 0, foreign: 0 };
  const examples: string[] = [];
  const note = (message: string): void => {
    if (examples.length < EXAMPLES_MAX) examples.push(message);
  };
  let highest = -1;
  let explained = 0;
  for (const event of events) {
    if (event.type === 'unanswered') {
      counts.unanswered += event.count;
      explained += event.count;
      continue;
    }
    counts.delivered += 1;
    const offset = offsets.get(event.key);
    if (offset === undefined) {
      counts.foreign += 1;
      note('the cursor handed out a record that is not in the log');
    } else if (offset <= highest) {
      counts.redelivered += 1;
    } else {
      const left = offset - highest - 1;
      const unexplained = Math.max(0, left - explained);
      explained = Math.max(0, explained - left);
      counts.skipped += unexplained;
      if (unexplained > 0) note(`the cursor went from offset ${highest} to ${offset}`);
      highest = offset;
    }
  }
  let acknowledged = -1;
  for (const [key, offset] of offsets) {
    if (offset > acknowledged && isAcknowledged(key)) acknowledged = offset;
  }
  const missing = Math.max(0, acknowledged - highest - explained);
  if (missing > 0) {
    note(`the cursor ended at offset ${highest}, and ${acknowledged} was acknowledged before`);
  }
  return {
    deliveredCount: counts.delivered,
    redeliveredCount: counts.redelivered,
    unansweredCount: counts.unanswered,
    skippedCount: counts.skipped,
    missingAtEndCount: missing,
    lateCount: offsets.size - 1 - Math.max(highest, acknowledged),
    foreignCount: counts.foreign,
    examples,
  };
}
