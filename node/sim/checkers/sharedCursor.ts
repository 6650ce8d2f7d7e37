/**
 * The shared cursor of the text protocol: no acknowledged record is skipped, except that a reply which was lost took
 * its record with it; nothing that nobody put; without faults each once and in order.
 */
import { Violation } from '../history.ts';
import type { TextHistory } from '../history.ts';

export function checkSharedCursor(history: TextHistory, isFaultless: boolean): void {
  const { got, puts, acknowledged, lostReplies } = history;
  const known = new Set(puts);
  for (const value of got) {
    if (!known.has(value)) throw new Violation('SharedCursor', `GET gave ${value}: nobody put it`);
  }
  const seen = new Set(got);
  const missing = acknowledged.filter((value) => !seen.has(value));
  if (missing.length > lostReplies) {
    const what = `${missing.length} acknowledged records were never given, first ${missing[0] ?? ''}`;
    throw new Violation('SharedCursor', `${what}; only ${lostReplies} replies were lost`);
  }
  if (!isFaultless) return;
  for (const [index, value] of got.entries()) {
    if (value === acknowledged[index]) continue;
    const what = `GET ${index} gave ${value}, not ${acknowledged[index] ?? 'nothing'}`;
    throw new Violation('SharedCursor', `${what}, though nothing went wrong`);
  }
}

/** The cursor is durable: after a crash of all machines it gives nothing again that it had given in peace. */
export function checkCursorKept({ got, topic }: TextHistory, gotBefore: number): void {
  const again = got[gotBefore];
  if (again === undefined) return;
  const what = `GET ${topic} gave ${again} again after a crash`;
  throw new Violation('SharedCursor', `${what}, ${got.length - gotBefore} records in all`);
}
