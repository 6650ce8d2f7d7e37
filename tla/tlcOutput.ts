/**
 * Reads what TLC 2.18 prints. Pure: text in, one value out. Every message looked for here is held
 * by a recorded output in `testdata/`, so a TLC with other words fails a test, not a proof.
 */

/** How a run ended. Everything but `completed` carries what TLC blamed. */
export type TlcOutcome =
  | { readonly kind: 'completed' }
  | { readonly kind: 'invariant'; readonly name: string }
  | { readonly kind: 'actionProperty'; readonly name: string }
  | { readonly kind: 'temporal' }
  | { readonly kind: 'deadlock' }
  | { readonly kind: 'error'; readonly message: string };

/** What one run of TLC told. Counts are undefined where TLC ended before it printed them. */
export interface TlcResult {
  readonly outcome: TlcOutcome;
  readonly generatedStates: number | undefined;
  readonly distinctStates: number | undefined;
  /** Length of the longest shortest behaviour; TLC does not print it after a temporal violation. */
  readonly depth: number | undefined;
  /** Number of states of the counterexample; 0 without one. A stuttering step is no state. */
  readonly traceLength: number;
  /** The counterexample as TLC printed it, empty without one. */
  readonly trace: string;
}

const COMPLETED = 'Model checking completed. No error has been found.';
const INVARIANT = /^Error: Invariant (\S+) is violated(?:\.| by the initial state:)$/m;
const ACTION_PROPERTY = /^Error: Action property (.+) is violated\.$/m;
const TEMPORAL = /^Error: Temporal properties were violated\.$/m;
const DEADLOCK = /^Error: Deadlock reached\.$/m;
const COUNTS = /^(\d+) states generated, (\d+) distinct states found, /gm;
const DEPTH = /^The depth of the complete state graph search is (\d+)\.$/m;
const STATE = /^State \d+: </gm;
const TRACE_START =
  /^(?:State 1: |Error: (?:The behavior up to|The following behavior)|Error: Invariant .* initial)/m;
const TRACE_END = /^(?:\d+ states generated|Finished |Progress\()/m;
const MESSAGE_LINES_MAX = 12;

/**
 * Parses the whole output (stdout and stderr) of one run of TLC.
 * @param output - The text as printed; CRLF is accepted.
 * @returns The outcome, the counts and the counterexample.
 */
export function parseTlcOutput(output: string): TlcResult {
  const text = output.replaceAll('\r\n', '\n');
  const outcome = parseOutcome(text);
  const counts = [...text.matchAll(COUNTS)].at(-1);
  const trace = parseTrace(text, outcome);
  return {
    outcome,
    generatedStates: toCount(counts?.[1]),
    distinctStates: toCount(counts?.[2]),
    depth: toCount(DEPTH.exec(text)?.[1]),
    traceLength: trace === '' ? 0 : Math.max(1, trace.match(STATE)?.length ?? 0),
    trace,
  };
}

function parseOutcome(text: string): TlcOutcome {
  const invariant = INVARIANT.exec(text)?.[1];
  if (invariant !== undefined) return { kind: 'invariant', name: invariant };
  const actionProperty = ACTION_PROPERTY.exec(text)?.[1];
  if (actionProperty !== undefined) return { kind: 'actionProperty', name: actionProperty };
  if (TEMPORAL.test(text)) return { kind: 'temporal' };
  if (DEADLOCK.test(text)) return { kind: 'deadlock' };
  // Last, and only without any error line: a run that failed never counts as a proof.
  if (text.includes(COMPLETED) && !/^Error: /m.test(text)) return { kind: 'completed' };
  return { kind: 'error', message: parseMessage(text) };
}

/** Cuts the lines that say why TLC could not judge the specification. */
function parseMessage(text: string): string {
  const start = text.search(/^(?:\*\*\*Parse Error|Semantic errors:|Error: |Exception in thread)/m);
  if (start < 0) return 'TLC ended without a verdict';
  const lines = text.slice(start).split('\n');
  const kept = lines.filter((line) => line.trim() !== '' && !line.startsWith('Finished '));
  return kept.slice(0, MESSAGE_LINES_MAX).join('\n');
}

function parseTrace(text: string, outcome: TlcOutcome): string {
  if (outcome.kind === 'completed' || outcome.kind === 'error') return '';
  const start = text.search(TRACE_START);
  if (start < 0) return '';
  const rest = text.slice(start);
  const end = rest.search(TRACE_END);
  return (end < 0 ? rest : rest.slice(0, end)).trim();
}

function toCount(digits: string | undefined): number | undefined {
  return digits === undefined ? undefined : Number(digits);
}
