import type { ScenarioKind } from './scenarios.ts';

/** Seeds that CI runs each time, with what they are there for: each found a bug, or brings about something rare. */
export interface FixedSeed {
  readonly seed: number;
  readonly reason: string;
  /** Only this scenario, as with `--focus`. */
  readonly focus?: ScenarioKind;
}

export const FIXED_SEEDS: readonly FixedSeed[] = [
  { seed: 2, reason: 'what was left of a time-out went to another node as a fraction' },
  { seed: 7, reason: 'five nodes, kills and power failures with several batches in flight' },
  { seed: 9, reason: 'a lost disk among pauses and slow disks' },
  {
    seed: 9011,
    reason: 'a leader whose disk was replaced by one with the same boot epoch was not replaced',
  },
  {
    seed: 9031,
    reason: 'a node that was starting refused to register another one, which then ended',
  },
  {
    seed: 6,
    reason: 'a node that was starting answered a forwarded Produce with TOPIC_NOT_FOUND',
  },
  {
    seed: 777091,
    reason: 'a leader whose disk was full as it opened its segment never tried again',
  },
  {
    seed: 540021,
    reason:
      'a metadata leader right after its start refused a topic for good: it had applied no node yet',
  },
  {
    seed: 5042,
    reason:
      'a producer sent more batches behind a repeat than the log remembers, and the repeat was refused',
  },
  {
    seed: 1,
    focus: 'noFaults',
    reason: 'without faults a GET gives each record once, in the order of the PUTs',
  },
  {
    seed: 1,
    focus: 'staleLeader',
    reason:
      'a metadata leader that was cut off as it handed over gave itself a lease, and answered EMPTY',
  },
  {
    seed: 4,
    focus: 'staleLeader',
    reason: 'a leader that was replaced while it was cut off answered GET with EMPTY',
  },
  {
    seed: 47,
    focus: 'unfitLeader',
    reason:
      'a leader that had no room to begin was replaced, and answered GET with EMPTY until it heard of it',
  },
  {
    seed: 64,
    focus: 'lateSuccessor',
    reason: 'GET was answered with EMPTY while a new leader did not know that it led a partition',
  },
];
