/**
 * The shared cursor of the text protocol: no acknowledged record is skipped, whatever replies are lost; nothing that nobody put; each for the first time in order, whatever goes wrong, and without faults
 * only once.
 */
import { Violation } from '../history.ts';
import type { TextHistory } from '../history.ts';

export function checkSharedCursor(history: TextHistory, isFaultless: boolean): void {
  const { got, puts, acknowledged } = history;
  const known = new Set(puts);
  for (const value of got) {
    if (!known.has(value)) throw new Violation('SharedCursor', `GET gave ${value}: nobody put it`);
  }
  const seen = new Set(got);
  const missing = acknowledged.filter((value) => !seen.has(value));
  if (missing.length > 0) {
    const what = `${missing.length} acknowledged records were never given, first ${missing[0] ?? ''}`;
    throw new Violation('SharedCursor', what);
  }
  if (!isFaultless) return;
  for (const [index, value] of got.entries()) {
    if (value === acknowledged[index]) continue;
    const what = `GET ${index} gave ${value}, not ${acknowledged[index] ?? 'nothing'}`;
    throw new Violation('SharedCursor', `${what}, though nothing went wrong`);
  }
}

/** For how long a GET without a reply may keep its record: over a node that is paused with it, and then does not confirm it. */
const HELD_MS_MAX = 12_000;

/**
 * A GET was answered EMPTY. Then whatever had been acknowledged before it was sent has been given: to this client, or to one that
 * cannot tell since its reply was lost, and who may have it still.
 * @param acknowledgedCount - When it was sent.
 */
export function checkEmpty(history: TextHistory, acknowledgedCount: number, nowMs: number): void {
  const got = new Set(history.got);
  const left = history.acknowledged.slice(0, acknowledgedCount).filter((value) => !got.has(value));
  const held = history.unansweredMs.filter((atMs) => nowMs - atMs < HELD_MS_MAX).length;
  if (left.length <= held) return;
  const what = `${left.length} acknowledged records were left, first ${left[0] ?? ''}`;
  throw new Violation('SharedCursor', `GET ${history.topic} said EMPTY, and ${what}`);
}

/**
 * For a topic with one partition and one client that GETs: what is given again may come at any time, but nothing comes
 * for the first time behind what was put after it.
 */
export function checkCursorOrder({ got, topic, acknowledged }: TextHistory): void {
  const places = new Map(acknowledged.map((value, place) => [value, place]));
  let last = -1;
  for (const value of new Set(got)) {
    const place = places.get(value);
    if (place === undefined) continue; // nobody knows where it is stored
    if (place < last) {
      const what = `GET ${topic} gave ${value} behind ${acknowledged[last] ?? ''}`;
      throw new Violation('SharedCursor', `${what}, for the first time`);
    }
    last = place;
  }
}

/** The cursor is durable: after a crash of all machines it gives nothing again that it had given in peace. */
export function checkCursorKept({ got, topic }: TextHistory, gotBefore: number): void {
  const again = got[gotBefore];
  if (again === undefined) return;
  const what = `GET ${topic} gave ${again} again after a crash`;
  throw new Violation('SharedCursor', `${what}, ${got.length - gotBefore} records in all`);
}
