/**
 * Rules that tests can switch off one by one, to prove that the checkers would notice.
 * Production never sets any of them.
 */
export interface Bugs {
  /** A vote is sent without being made durable first. */
  readonly voteNotPersisted: boolean;
  /** Entries of older terms are committed by counting replicas (Raft Figure 8). */
  readonly commitOlderTerm: boolean;
  /** Learners' logs count for the commit. */
  readonly learnerCounted: boolean;
  /** A membership change is accepted while another one is not committed, or before an own-term commit. */
  readonly concurrentMembershipChanges: boolean;
  /** A follower acknowledges entries that are not durable yet. */
  readonly ackBeforePersisted: boolean;
  /** A follower acknowledges what is durable, also where the leader has not confirmed that it matches. */
  readonly ackUnmatched: boolean;
  /** A read is served without a round of heartbeats. */
  readonly readWithoutQuorum: boolean;
  /** Votes go to candidates with an older log, too (Raft §5.4.1). */
  readonly voteForStaleLog: boolean;
  /** The follower's commit index follows the leader's beyond what is known to match. */
  readonly commitBeyondMatch: boolean;
  /** A follower appends after any entry at prevLogIndex, whatever its term is (AppendEntries step 2). */
  readonly prevTermNotCompared: boolean;
}

export const NO_BUGS: Bugs = {
  voteNotPersisted: false,
  commitOlderTerm: false,
  learnerCounted: false,
  concurrentMembershipChanges: false,
  ackBeforePersisted: false,
  ackUnmatched: false,
  readWithoutQuorum: false,
  voteForStaleLog: false,
  commitBeyondMatch: false,
  prevTermNotCompared: false,
};
