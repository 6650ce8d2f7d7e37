/** Elections: time-out, pre-vote, vote, victory (Raft §5.2, thesis §9.6). */
import { assert } from '../../base/assert.ts';
import { logIndex, term } from '../../base/units.ts';
import { appendEntries } from './appendLog.ts';
import { isVoter, majority } from './configuration.ts';
import type { RequestVote } from './messages.ts';
import { latestConfiguration, resetElectionTimeout } from './raft.ts';
import type { Raft } from './raft.ts';
import { advanceCommit } from './commit.ts';
import { broadcastEntries, syncProgress } from './replication.ts';
import { send } from './send.ts';
import { becomeFollower } from './terms.ts';

const NO_PAYLOAD = new Uint8Array(0);

/**
 * Whether this server may stand: it has a vote, may use it, and is not in the middle of a snapshot. "A server that
 * is not part of its own latest configuration should still start new elections, as it might still be needed until
 * the C_new entry is committed" (thesis §4.2.2): its log may be the only one that is long enough.
 */
export function isPromotable(raft: Raft): boolean {
  if (!raft.isAdmitted || raft.incoming?.isInstalling === true) return false;
  const { configurations, commitIndex } = raft;
  const committed = configurations.findLastIndex(({ index }) => index <= commitIndex);
  const possible = configurations.slice(Math.max(committed, 0));
  return possible.some(({ configuration }) => isVoter(configuration, raft.id));
}

/** One tick of a server that does not lead. */
export function tickElection(raft: Raft): void {
  raft.electionElapsedTicks += 1;
  raft.leaderElapsedTicks += 1;
  if (raft.electionElapsedTicks >= raft.electionTimeoutTicks) {
    // Nobody leads as far as this server knows, whether or not it may stand itself.
    raft.leaderId = null;
    if (isPromotable(raft)) campaignPreVote(raft);
    else if (raft.role === 'PreCandidate' || raft.role === 'Candidate')
      becomeFollower(raft, raft.currentTerm, null);
    else resetElectionTimeout(raft);
    return;
  }
  const isAsking = raft.role === 'PreCandidate' || raft.role === 'Candidate';
  if (isAsking && raft.electionElapsedTicks % raft.options.heartbeatTicks === 0) requestVotes(raft);
}

/** Asks whether an election could be won, before disturbing anybody with a higher term (thesis §9.6). */
export function campaignPreVote(raft: Raft): void {
  assert(raft.role !== 'Leader', 'A leader does not stand for election');
  raft.role = 'PreCandidate';
  raft.leaderId = null;
  raft.isTransferElection = false;
  startVoting(raft);
}

/** Increments the term, votes for itself and asks the others (Raft §5.2). */
export function campaign(raft: Raft, isTransfer: boolean): void {
  assert(raft.role !== 'Leader', 'A leader does not stand for election');
  assert(isPromotable(raft), 'Only a voter stands for election');
  becomeFollower(raft, term(raft.currentTerm + 1), null);
  raft.role = 'Candidate';
  raft.votedFor = raft.id;
  raft.isTransferElection = isTransfer;
  startVoting(raft);
}

function startVoting(raft: Raft): void {
  resetElectionTimeout(raft);
  raft.votes.clear();
  raft.votes.set(raft.id, true);
  requestVotes(raft);
  countVotes(raft);
}

/** Asks the voters that have not answered, at first and again with each heartbeat interval. */
function requestVotes(raft: Raft): void {
  const isPreVote = raft.role === 'PreCandidate';
  const request: RequestVote = {
    type: 'RequestVote',
    term: isPreVote ? term(raft.currentTerm + 1) : raft.currentTerm,
    isPreVote,
    isTransfer: raft.isTransferElection,
    lastLogIndex: raft.trail.lastIndex,
    lastLogTerm: raft.trail.lastTerm,
  };
  for (const { id } of latestConfiguration(raft).configuration.voters)
    if (!raft.votes.has(id)) send(raft, id, request);
}

/** Goes on when a majority of the voters has granted, gives up when a majority has refused. */
export function countVotes(raft: Raft): void {
  const { voters } = latestConfiguration(raft).configuration;
  const needed = majority(voters.length);
  const granted = voters.filter(({ id }) => raft.votes.get(id) === true).length;
  const refused = voters.filter(({ id }) => raft.votes.get(id) === false).length;
  if (granted >= needed) {
    if (raft.role === 'PreCandidate') campaign(raft, false);
    else becomeLeader(raft);
  } else if (refused > voters.length - needed) {
    becomeFollower(raft, raft.currentTerm, null);
  }
}

/** Leads from here on; an entry of the own term commits what came before (Raft §5.4.2, §8). */
function becomeLeader(raft: Raft): void {
  assert(raft.role === 'Candidate', 'Only a candidate wins an election');
  raft.role = 'Leader';
  raft.leaderId = raft.id;
  raft.votes.clear();
  raft.incoming = null;
  raft.matchedIndex = logIndex(0);
  raft.heartbeatElapsedTicks = 0;
  raft.quorumElapsedTicks = 0;
  raft.round = 0;
  raft.reads = [];
  raft.progress.clear();
  syncProgress(raft);
  appendEntries(raft, [
    { term: raft.currentTerm, type: 'NoOp', payload: NO_PAYLOAD, configuration: null },
  ]);
  broadcastEntries(raft);
  advanceCommit(raft);
}
