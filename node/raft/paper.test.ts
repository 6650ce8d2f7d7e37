/**
 * One test for each sentence of the Raft paper (extended version) and thesis that the core must live up to. Clusters
 * are driven by hand: nothing is delivered or made durable but by the test.
 */
import { describe, expect, test } from '@jest/globals';
import { logIndex, term } from '../../base/units.ts';
import type { LogIndex } from '../../base/units.ts';
import type { Bugs } from './bugs.ts';
import type { RaftEvent, RaftOutput } from './events.ts';
import { decodeMessage } from './messageCodec.ts';
import type { Message } from './messages.ts';
import type { Raft } from './raft.ts';
import { allCheckers } from './testing/checkers/all.ts';
import { idOf, memberOf, SimCluster } from './testing/simCluster.ts';
import type { SimClusterOptions } from './testing/simCluster.ts';
import type { MembershipChange } from './types.ts';

/** A cluster with short names for what tests do with it. */
class Story {
  readonly cluster: SimCluster;

  constructor(options: Partial<SimClusterOptions> = {}) {
    this.cluster = new SimCluster({
      seed: 1,
      voters: [1, 2, 3],
      checkers: allCheckers(),
      persistAtOnce: true,
      ...options,
    });
  }

  raft(number: number): Raft {
    const { raft } = this.cluster.server(idOf(number));
    if (raft === null) throw new Error(`server ${number} is down`);
    return raft;
  }

  run(number: number, event: RaftEvent): RaftOutput {
    const output = this.cluster.run(idOf(number), event);
    if (output === null) throw new Error(`server ${number} is down`);
    return output;
  }

  receive(to: number, from: number, message: Message): RaftOutput {
    return this.run(to, { type: 'Receive', from: idOf(from), message });
  }

  tick(number: number, count = 1): void {
    for (let i = 0; i < count; i += 1) this.run(number, { type: 'Tick' });
  }

  /** The messages on their way from one server to another, decoded. */
  between(from: number, to: number): Message[] {
    return this.cluster.packets
      .filter((packet) => packet.from === idOf(from) && packet.to === idOf(to))
      .map(({ bytes }) => decodeMessage(bytes).message);
  }

  drop(): void {
    this.cluster.packets = [];
  }

  /** Delivers everything, also what comes of it; not to and from those that are cut off. */
  settle(...cutOff: number[]): void {
    const isCut = new Set(cutOff.map(idOf));
    for (let i = 0; i < 10_000; i += 1) {
      const packet = this.cluster.packets.shift();
      if (packet === undefined) return;
      if (!isCut.has(packet.from) && !isCut.has(packet.to)) this.cluster.deliver(packet);
    }
    throw new Error('the cluster does not come to rest');
  }

  /** Lets the leases of a former leader run out. */
  forgetLeader(...numbers: number[]): void {
    for (const number of numbers) {
      this.raft(number).leaderElapsedTicks = 100;
    }
  }

  elect(number: number, ...cutOff: number[]): void {
    this.run(number, { type: 'Campaign' });
    this.settle(...cutOff);
    expect(this.raft(number).role).toBe('Leader');
  }
}

const requestVote = {
  type: 'RequestVote',
  term: term(5),
  isPreVote: false,
  isTransfer: false,
  lastLogIndex: logIndex(1),
  lastLogTerm: term(1),
} as const;

function heartbeatOf(leaderTerm: number, leaderCommit = 0): Message {
  return {
    type: 'AppendEntries',
    term: term(leaderTerm),
    prevLogIndex: logIndex(0),
    prevLogTerm: term(0),
    leaderCommit: logIndex(leaderCommit),
    round: 0,
    entries: [],
  };
}

describe('Terms (§5.1)', () => {
  test('"If one server\'s current term is smaller than the other\'s, then it updates its current term"', () => {
    const story = new Story();
    const output = story.receive(1, 2, requestVote);
    expect(output.hardState).toEqual({ currentTerm: 5, votedFor: idOf(2) });
  });

  test('"If a candidate or leader discovers that its term is out of date, it immediately reverts to follower"', () => {
    const story = new Story();
    story.elect(1);
    story.receive(1, 2, heartbeatOf(9));
    expect(story.raft(1)).toMatchObject({ role: 'Follower', currentTerm: 9, leaderId: idOf(2) });
  });

  test('"If a server receives a request with a stale term number, it rejects the request"', () => {
    const story = new Story();
    story.elect(1);
    story.receive(2, 3, heartbeatOf(1));
    expect(story.between(2, 3).at(-1)).toMatchObject({ term: 2, outcome: { type: 'StaleTerm' } });
  });
});

describe('Elections (§5.2, §5.4.1)', () => {
  test('"Each server will vote for at most one candidate in a given term, first-come-first-served"', () => {
    const story = new Story();
    story.receive(1, 2, requestVote);
    story.receive(1, 3, requestVote);
    expect(story.between(1, 2)).toMatchObject([{ voteGranted: true }]);
    expect(story.between(1, 3)).toMatchObject([{ voteGranted: false }]);
  });

  test('a vote survives a crash', () => {
    const story = new Story();
    story.receive(1, 2, requestVote);
    story.cluster.crash(idOf(1));
    story.cluster.restart(idOf(1));
    story.receive(1, 3, requestVote);
    expect(story.between(1, 3)).toMatchObject([{ voteGranted: false }]);
  });

  test('the same candidate gets its vote again when it asks again', () => {
    const story = new Story();
    story.receive(1, 2, requestVote);
    story.drop();
    story.receive(1, 2, requestVote);
    expect(story.between(1, 2)).toMatchObject([{ voteGranted: true }]);
  });

  test('"the voter denies its vote if its own log is more up-to-date than that of the candidate"', () => {
    const story = new Story();
    story.elect(1);
    story.forgetLeader(2);
    story.drop();
    story.receive(2, 3, { ...requestVote, lastLogIndex: logIndex(99) });
    expect(story.between(2, 3)).toMatchObject([{ voteGranted: false }]);
  });

  test('"A candidate wins an election if it receives votes from a majority of the servers"', () => {
    const story = new Story({ voters: [1, 2, 3, 4, 5] });
    story.run(1, { type: 'Campaign' });
    story.settle(4, 5);
    expect(story.raft(1).role).toBe('Leader');
    const lonely = new Story({ voters: [1, 2, 3, 4, 5] });
    lonely.run(1, { type: 'Campaign' });
    lonely.settle(3, 4, 5);
    expect(lonely.raft(1).role).toBe('PreCandidate');
  });

  test('"If the leader\'s term is at least as large as the candidate\'s, the candidate returns to follower state"', () => {
    const story = new Story();
    story.run(1, { type: 'Campaign' });
    story.receive(1, 2, {
      type: 'RequestVoteResponse',
      term: term(2),
      isPreVote: true,
      voteGranted: true,
    });
    expect(story.raft(1).role).toBe('Candidate');
    story.receive(1, 3, heartbeatOf(2));
    expect(story.raft(1)).toMatchObject({ role: 'Follower', leaderId: idOf(3) });
  });

  test('"each candidate restarts its randomized election timeout at the start of an election"', () => {
    const timeouts = new Set<number>();
    const story = new Story();
    for (let i = 0; i < 40; i += 1) {
      story.tick(1, story.raft(1).electionTimeoutTicks);
      timeouts.add(story.raft(1).electionTimeoutTicks);
    }
    expect(Math.min(...timeouts)).toBeGreaterThanOrEqual(10);
    expect(Math.max(...timeouts)).toBeLessThanOrEqual(20);
    expect(timeouts.size).toBeGreaterThan(5);
  });

  test('a server with a time-out between ticks 10 and 20 stands within 20 ticks, and asks again when not answered', () => {
    const story = new Story();
    story.tick(1, 20);
    story.drop();
    story.tick(1, 2);
    expect(story.between(1, 2)).toMatchObject([{ type: 'RequestVote', isPreVote: true, term: 2 }]);
  });
});

describe('Pre-vote and leases (thesis §9.6, §4.2.3)', () => {
  test('a server that is cut off does not raise its term', () => {
    const story = new Story();
    story.elect(1);
    story.tick(3, 500);
    expect(story.raft(3)).toMatchObject({ role: 'PreCandidate', currentTerm: 2 });
    story.settle();
    story.tick(1, 2);
    story.settle();
    expect(story.raft(1).role).toBe('Leader');
    expect(story.raft(3)).toMatchObject({ role: 'Follower', leaderId: idOf(1), currentTerm: 2 });
  });

  test('"If a server receives a RequestVote within the minimum election timeout of hearing from a current leader, it does not update its term or grant its vote"', () => {
    const story = new Story();
    story.elect(1);
    story.tick(2, 9);
    story.drop();
    expect(story.receive(2, 3, { ...requestVote, lastLogTerm: term(4) }).messages).toEqual([]);
    expect(story.raft(2).currentTerm).toBe(2);
    story.tick(2);
    story.receive(2, 3, { ...requestVote, lastLogTerm: term(4) });
    expect(story.raft(2)).toMatchObject({ currentTerm: 5, votedFor: idOf(3) });
  });

  test('a pre-vote is no vote: any number may be given', () => {
    const story = new Story();
    const preVote = { ...requestVote, isPreVote: true } as const;
    expect(story.receive(1, 2, preVote).hardState).toBeNull();
    story.receive(1, 3, preVote);
    expect(story.between(1, 2)).toMatchObject([{ voteGranted: true, term: 5 }]);
    expect(story.between(1, 3)).toMatchObject([{ voteGranted: true, term: 5 }]);
  });

  test('a server that is not admitted stores what it gets and promises nothing (ADR 0011)', () => {
    const story = new Story();
    story.run(3, { type: 'SetAdmitted', isAdmitted: false });
    story.receive(3, 2, { ...requestVote, isPreVote: true });
    story.tick(3, 100);
    expect(story.raft(3).role).toBe('Follower');
    story.elect(1);
    expect(story.between(3, 1)).toEqual([]);
    expect(story.raft(1).progress.get(idOf(3))).toMatchObject({ matchIndex: 0, ackedRound: 0 });
    story.tick(1, 2);
    story.run(3, { type: 'SetAdmitted', isAdmitted: true });
    story.settle();
    expect(story.raft(1).progress.get(idOf(3))?.matchIndex).toBe(2);
  });

  test('a leader that is not admitted any more steps down', () => {
    const story = new Story();
    story.elect(1);
    story.run(1, { type: 'SetAdmitted', isAdmitted: false });
    expect(story.raft(1)).toMatchObject({ role: 'Follower', leaderId: null });
  });
});

describe('Check-quorum (thesis §6.2)', () => {
  test('"a leader steps down if an election timeout elapses without a successful round of heartbeats to a majority"', () => {
    const story = new Story();
    story.elect(1);
    story.tick(1, 20);
    expect(story.raft(1)).toMatchObject({ role: 'Follower', leaderId: null });
  });

  test('a leader that a majority answers stays', () => {
    const story = new Story();
    story.elect(1);
    for (let i = 0; i < 100; i += 1) {
      story.tick(1);
      story.settle(3);
    }
    expect(story.raft(1).role).toBe('Leader');
  });
});

describe('Replication (§5.3)', () => {
  test('"The leader appends the command to its log, then issues AppendEntries in parallel", before its own disk is done', () => {
    const story = new Story({ persistAtOnce: false });
    story.cluster.persist(idOf(1), 9);
    story.run(1, { type: 'Campaign' });
    for (let i = 0; i < 9; i += 1) {
      story.settle();
      for (const number of [1, 2, 3]) story.cluster.persist(idOf(number), 9);
    }
    const output = story.cluster.propose(idOf(1));
    expect(output?.messages.map(({ message }) => message.type)).toEqual([
      'AppendEntries',
      'AppendEntries',
    ]);
    expect(story.raft(1).commitIndex).toBe(2);
  });

  test('a follower acknowledges entries only when they are durable', () => {
    const story = new Story({ persistAtOnce: false });
    story.run(1, { type: 'Campaign' });
    story.settle();
    expect(story.between(2, 1)).toEqual([]);
    expect(story.raft(1)).toMatchObject({ role: 'Leader', commitIndex: 0 });
    story.cluster.persist(idOf(2), 9);
    expect(story.between(2, 1)).toMatchObject([{ outcome: { type: 'Match', matchIndex: 2 } }]);
  });

  test('the leader commits without its own disk when a majority of the others has the entry, and applies when its own has it', () => {
    const story = new Story({ persistAtOnce: false });
    story.run(1, { type: 'Campaign' });
    story.settle();
    for (const number of [2, 3]) story.cluster.persist(idOf(number), 9);
    story.settle();
    expect(story.raft(1)).toMatchObject({ commitIndex: 2, persistedIndex: 1, lastApplied: 1 });
    story.cluster.persist(idOf(1), 9);
    expect(story.raft(1).lastApplied).toBe(2);
  });

  test('followers apply within one round trip: an advanced commit index is sent at once', () => {
    const story = new Story();
    story.elect(1);
    story.cluster.propose(idOf(1));
    story.settle();
    for (const number of [1, 2, 3]) expect(story.raft(number).lastApplied).toBe(3);
    expect(story.cluster.packets).toEqual([]);
  });

  test('"If AppendEntries fails because of log inconsistency: decrement nextIndex and retry": conflicting entries are replaced', () => {
    const story = new Story();
    story.elect(1);
    for (let i = 0; i < 10; i += 1) story.cluster.propose(idOf(1));
    story.drop();
    story.cluster.crash(idOf(1));
    story.forgetLeader(2, 3);
    story.elect(2, 1);
    story.cluster.propose(idOf(2), 2);
    story.settle(1);
    story.cluster.restart(idOf(1));
    story.tick(2, 2);
    story.settle();
    expect(story.raft(1)).toMatchObject({ commitIndex: 5, lastApplied: 5 });
    expect(story.raft(1).trail.lastTerm).toBe(3);
  });

  test('messages in flight are bounded, and lost ones are found out by the next heartbeat', () => {
    const story = new Story({ raftOptions: { inFlightMessagesMax: 4 } });
    story.elect(1);
    for (let i = 0; i < 20; i += 1) story.cluster.propose(idOf(1));
    expect(story.between(1, 2)).toHaveLength(4);
    story.drop();
    story.tick(1, 2);
    story.settle();
    for (const number of [1, 2, 3]) expect(story.raft(number).lastApplied).toBe(22);
  });

  test('an idle group sends heartbeats only', () => {
    const story = new Story();
    story.elect(1);
    let count = 0;
    for (let i = 0; i < 100; i += 1) {
      for (const number of [1, 2, 3]) story.tick(number);
      count += story.cluster.packets.length;
      story.settle();
    }
    expect(count).toBe(100);
    expect(story.raft(1).trail.lastIndex).toBe(2);
  });
});

/** Figure 8, with three servers: an entry of an old term is on a majority, and still not safe. */
function figure8(bugs: Partial<Bugs>): Story {
  const story = new Story({ bugs, raftOptions: { appendBytesMax: 1 } });
  story.elect(1);
  story.cluster.propose(idOf(1)); // 3@2 on server 1 only
  story.drop();
  story.cluster.crash(idOf(1));
  story.forgetLeader(2, 3);
  story.run(2, { type: 'Campaign' }); // 3@3 on server 2 only
  for (let i = 0; i < 4; i += 1) {
    const packet = story.cluster.packets.find(({ from, to }) => from !== idOf(1) && to !== idOf(1));
    if (packet === undefined) break;
    story.cluster.packets = story.cluster.packets.filter((one) => one !== packet);
    if (story.raft(2).role !== 'Leader') story.cluster.deliver(packet);
  }
  expect(story.raft(2)).toMatchObject({ role: 'Leader', currentTerm: 3 });
  story.drop();
  story.cluster.crash(idOf(2));
  story.cluster.restart(idOf(1));
  story.forgetLeader(3);
  story.run(1, { type: 'Campaign' });
  for (let i = 0; i < 30 && story.raft(3).trail.lastIndex < 3; i += 1) {
    const packet = story.cluster.packets.shift();
    if (packet === undefined) story.tick(1);
    else if (packet.to !== idOf(2)) story.cluster.deliver(packet);
  }
  expect(story.raft(3).trail.lastTerm).toBe(2); // 3@2 is on servers 1 and 3 now
  for (const packet of story.cluster.packets.splice(0))
    if (packet.to === idOf(1)) story.cluster.deliver(packet);
  return story;
}

describe('Committing entries of earlier terms (§5.4.2, Figure 8)', () => {
  test('"Raft never commits log entries from previous terms by counting replicas"', () => {
    const story = figure8({});
    expect(story.raft(1)).toMatchObject({ role: 'Leader', currentTerm: 4, commitIndex: 0 });
    expect(story.raft(1).progress.get(idOf(3))?.matchIndex).toBe(3);
  });

  test('the planted bug commits, another leader overwrites, and the checker sees it', () => {
    const story = figure8({ commitOlderTerm: true });
    expect(story.raft(1).commitIndex).toBe(3);
    story.drop();
    story.cluster.crash(idOf(1));
    story.cluster.restart(idOf(2));
    story.forgetLeader(3);
    story.run(2, { type: 'Campaign' }); // learns of term 4
    story.settle(1);
    expect(() => story.elect(2, 1)).toThrow(/LeaderCompleteness: leader 2\/d of term 5 lacks 3@2/);
  });
});

describe('Membership (thesis §4)', () => {
  const addFour: MembershipChange = { type: 'AddLearner', member: memberOf(4) };

  test('"each server adopts C_new as soon as it is added to its log"', () => {
    const story = new Story({ others: [4] });
    story.elect(1);
    story.run(1, { type: 'ProposeMembership', change: addFour });
    expect(story.between(1, 4)).toHaveLength(1);
    story.settle();
    expect(story.raft(4)).toMatchObject({ role: 'Learner', lastApplied: 3 });
  });

  test('a learner neither votes in the count nor stands, and a promoted one does', () => {
    const story = new Story({ voters: [1], others: [4] });
    story.run(1, { type: 'Campaign' });
    story.run(1, { type: 'ProposeMembership', change: addFour });
    expect(story.raft(1).commitIndex).toBe(3); // without the learner
    story.settle();
    story.tick(4, 100);
    expect(story.raft(4).role).toBe('Learner');
    story.run(1, { type: 'ProposeMembership', change: { type: 'PromoteLearner', id: idOf(4) } });
    expect(story.raft(1).commitIndex).toBe(3); // not without the new voter
    story.settle();
    expect(story.raft(1).commitIndex).toBe(4);
    expect(story.raft(4).role).toBe('Follower');
  });

  test('a learner that has not caught up is not promoted', () => {
    const story = new Story({ others: [4], raftOptions: { promoteLagMax: 3 } });
    story.elect(1);
    story.run(1, { type: 'ProposeMembership', change: addFour });
    story.settle(4);
    const output = story.run(1, {
      type: 'ProposeMembership',
      change: { type: 'PromoteLearner', id: idOf(4) },
    });
    expect(output.rejected).toMatchObject({ reason: 'INVALID_MEMBERSHIP' });
  });

  test('one change at a time, and none before an entry of the own term is committed', () => {
    const story = new Story({ others: [4] });
    story.elect(1, 2); // 3 gets it
    story.run(1, { type: 'ProposeMembership', change: addFour });
    const second = story.run(1, {
      type: 'ProposeMembership',
      change: { type: 'RemoveServer', id: idOf(3) },
    });
    expect(second.rejected?.message).toMatch(/another change is not committed/);
    story.drop();
    story.forgetLeader(2, 3);
    story.cluster.crash(idOf(1));
    story.run(3, { type: 'Campaign' });
    while (story.raft(3).role !== 'Leader') {
      const packet = story.cluster.packets.shift();
      if (packet !== undefined && packet.to !== idOf(1)) story.cluster.deliver(packet);
    }
    const early = story.run(3, { type: 'ProposeMembership', change: addFour });
    expect(early.rejected?.message).toMatch(/has not committed an entry of its term/);
  });

  test('a leader that is removed steps down once that is committed, and the next one is elected at once', () => {
    const story = new Story();
    story.elect(1);
    story.run(1, { type: 'ProposeMembership', change: { type: 'RemoveServer', id: idOf(1) } });
    expect(story.raft(1).role).toBe('Leader');
    story.settle();
    expect(story.raft(1).role).toBe('Learner');
    expect([story.raft(2).role, story.raft(3).role]).toContain('Leader');
  });

  test('a removed server learns of it, and does not disturb the others if it did not', () => {
    const story = new Story();
    story.elect(1);
    story.run(1, { type: 'ProposeMembership', change: { type: 'RemoveServer', id: idOf(3) } });
    story.settle();
    expect(story.raft(3)).toMatchObject({ role: 'Learner', commitIndex: 3 });
    expect([...story.raft(1).progress.keys()]).toEqual([idOf(2)]);
  });

  test('"a server that is not part of its own latest configuration should still start new elections"', () => {
    const story = new Story({ voters: [1, 2] });
    story.elect(1);
    story.run(1, { type: 'ProposeMembership', change: { type: 'RemoveServer', id: idOf(1) } });
    story.drop();
    story.cluster.crash(idOf(1));
    story.cluster.restart(idOf(1));
    // Server 2 lacks the entry, so only server 1 can win.
    story.forgetLeader(2);
    story.tick(1, 20);
    story.settle();
    story.tick(1, 2);
    story.settle();
    expect(story.raft(2)).toMatchObject({ role: 'Leader' });
    expect(story.raft(1).role).toBe('Learner');
  });

  test('the last voter cannot be removed or demoted', () => {
    const story = new Story({ voters: [1] });
    story.run(1, { type: 'Campaign' });
    for (const type of ['RemoveServer', 'DemoteVoter'] as const) {
      const output = story.run(1, { type: 'ProposeMembership', change: { type, id: idOf(1) } });
      expect(output.rejected?.message).toMatch(/the only voter/);
    }
  });
});

describe('Leadership transfer (thesis §3.10)', () => {
  test('"The prior leader stops accepting new client requests, brings the target up to date, sends TimeoutNow"', () => {
    const story = new Story();
    story.elect(1);
    story.cluster.propose(idOf(1));
    story.drop();
    story.run(1, { type: 'TransferLeadership', to: idOf(3) });
    expect(story.cluster.propose(idOf(1))?.rejected?.reason).toBe('TRANSFERRING');
    expect(story.between(1, 3).map(({ type }) => type)).not.toContain('TimeoutNow');
    story.tick(1, 2);
    story.settle();
    expect(story.raft(3).role).toBe('Leader');
    expect(story.raft(1).role).toBe('Follower');
  });

  test('"If leadership transfer does not complete after about an election timeout, the prior leader aborts and resumes"', () => {
    const story = new Story();
    story.elect(1);
    story.run(1, { type: 'TransferLeadership', to: idOf(3) });
    let aborted = false;
    for (let i = 0; i < 10; i += 1) {
      aborted ||= story.run(1, { type: 'Tick' }).transferAborted;
      story.settle(3);
    }
    expect(aborted).toBe(true);
    expect(story.cluster.propose(idOf(1))?.proposed).not.toBeNull();
  });

  test('learners and strangers are no targets', () => {
    const story = new Story({ others: [4] });
    story.elect(1);
    const output = story.run(1, { type: 'TransferLeadership', to: idOf(4) });
    expect(output.rejected?.reason).toBe('INVALID_TARGET');
  });
});

describe('Snapshots (§7)', () => {
  function compacted(): Story {
    const story = new Story({ raftOptions: { trailingEntries: 2, snapshotChunkBytes: 5 } });
    story.elect(1, 3);
    story.cluster.propose(idOf(1), 10);
    story.settle(3);
    story.cluster.snapshot(idOf(1));
    return story;
  }

  test('the log is compacted below a snapshot, but for some entries for those a little behind', () => {
    const { trail, snapshot } = compacted().raft(1);
    expect([trail.baseIndex, snapshot?.index, trail.lastIndex]).toEqual([10, 12, 12]);
  });

  test('"the leader sends snapshots to followers that lag behind", in chunks', () => {
    const story = compacted();
    story.tick(1, 2);
    story.settle();
    const last = story.cluster.server(idOf(3));
    expect(story.raft(3)).toMatchObject({ lastApplied: 12, commitIndex: 12 });
    expect(last.stateHash).toBe(story.cluster.server(idOf(1)).stateHash);
    expect(story.raft(1).progress.get(idOf(3))?.state).toBe('Replicate');
  });

  test('a transfer goes on after a lost chunk, and begins anew after a restart of the follower', () => {
    const story = compacted();
    story.tick(1, 2);
    for (let i = 0; i < 200 && story.raft(3).incoming === null; i += 1) {
      const packet = story.cluster.packets.shift();
      if (packet !== undefined) story.cluster.deliver(packet);
    }
    expect(story.raft(3).incoming).not.toBeNull();
    story.cluster.crash(idOf(3));
    story.cluster.restart(idOf(3));
    story.settle();
    story.drop();
    for (let i = 0; i < 30; i += 1) {
      story.tick(1);
      story.settle();
    }
    expect(story.raft(3).lastApplied).toBe(12);
  });

  test("a follower that has the snapshot's last entry keeps its log", () => {
    const story = compacted();
    const snapshot = story.raft(1).snapshot;
    if (snapshot === null) throw new Error('there is a snapshot');
    const before = story.raft(2).trail.lastIndex;
    const data = new Uint8Array(snapshot.sizeBytes);
    story.receive(2, 1, { type: 'InstallSnapshot', term: term(2), snapshot, offset: 0, data });
    expect(story.raft(2).trail.lastIndex).toBe(before);
    expect(story.raft(2).incoming).toBeNull();
  });
});

describe('Reads (§8, thesis §6.4)', () => {
  function answers(output: RaftOutput): (LogIndex | null)[] {
    return output.readStates.map(({ index }) => index);
  }

  test('a read waits for a round of heartbeats to a majority', () => {
    const story = new Story();
    story.elect(1);
    const output = story.run(1, { type: 'ReadIndex', context: 1 });
    expect(answers(output)).toEqual([]);
    const [packet] = story.cluster.packets;
    if (packet === undefined) throw new Error('a round is started');
    story.cluster.deliver(packet);
    const [reply] = story.cluster.packets.filter(({ to }) => to === idOf(1));
    if (reply === undefined) throw new Error('the round is answered');
    const { message } = decodeMessage(reply.bytes);
    expect(answers(story.receive(1, 2, message))).toEqual([2]);
  });

  test('"A leader must have the latest information on which entries are committed": none before an own-term commit', () => {
    const story = new Story();
    story.run(1, { type: 'Campaign' });
    while (story.raft(1).role !== 'Leader') {
      const packet = story.cluster.packets.shift();
      if (packet !== undefined) story.cluster.deliver(packet);
    }
    story.run(1, { type: 'ReadIndex', context: 1 });
    expect(story.raft(1).reads).toMatchObject([{ index: null }]);
    story.settle();
    expect(story.raft(1).reads).toEqual([]);
  });

  test('a follower asks the leader; a server without a leader says so', () => {
    const story = new Story();
    story.elect(1);
    story.run(2, { type: 'ReadIndex', context: 7 });
    expect(story.between(2, 1)).toMatchObject([{ type: 'ReadIndexRequest', context: 7 }]);
    const lonely = new Story();
    expect(answers(lonely.run(1, { type: 'ReadIndex', context: 1 }))).toEqual([null]);
  });

  test('a leader that steps down tells its readers to ask again', () => {
    const story = new Story();
    story.elect(1);
    story.run(1, { type: 'ReadIndex', context: 1 });
    expect(answers(story.receive(1, 2, heartbeatOf(9)))).toEqual([null]);
  });

  test('many reads share a round', () => {
    const story = new Story();
    story.elect(1);
    for (let context = 1; context <= 100; context += 1)
      story.run(1, { type: 'ReadIndex', context });
    expect(story.cluster.packets).toHaveLength(2);
    story.settle();
    expect(story.raft(1).reads).toEqual([]);
    expect(story.raft(1).round).toBe(2);
  });
});
