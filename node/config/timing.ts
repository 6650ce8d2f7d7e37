/** The times that a node lives by, as they follow from its settings: real nodes and simulated ones have them from here. */
import { assert } from '../../base/assert.ts';
import type { NodeSettings } from './settings.ts';

export interface NodeTiming {
  readonly raftTickMs: number;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly sessionTimeoutMs: number;
  /** How long a new metadata leader waits for a node that answers neither its Raft nor with heartbeats. */
  readonly silentTimeoutMs: number;
  /** How long a node goes on by an answered heartbeat, from its sending. */
  readonly leaseMs: number;
  readonly heartbeatIntervalMs: number;
  /** For so long a node without a lease counts on the next metadata leader, which an election may bring. */
  readonly leaderlessMs: number;
}

/** Of the session time-out: a node without an answered heartbeat for so long acknowledges nothing. */
const LEASE_SHARE = 0.8;
/** Of the session time-out: a node that is silent for so long after an election is taken for dead. */
const SILENT_SHARE = 0.8;
/** Heartbeats within one session time-out. */
const HEARTBEATS_PER_SESSION = 5;

/** The times of a node with these settings. */
export function timingOf(settings: NodeSettings): NodeTiming {
  const { sessionTimeout } = settings;
  const timing = {
    raftTickMs: settings.raftTickInterval,
    electionTicks: settings.raftElectionTicks,
    heartbeatTicks: settings.raftHeartbeatTicks,
    sessionTimeoutMs: sessionTimeout,
    silentTimeoutMs: SILENT_SHARE * sessionTimeout,
    leaseMs: LEASE_SHARE * sessionTimeout,
    heartbeatIntervalMs: sessionTimeout / HEARTBEATS_PER_SESSION,
    // The longest that voters wait before they stand for election; then the winner has to hear of this node.
    leaderlessMs: 2 * settings.raftElectionTicks * settings.raftTickInterval + sessionTimeout,
  };
  checkLease(timing);
  return timing;
}

/**
 * A lease ends before its node can be replaced. A leader answers a heartbeat only once a majority has confirmed, after it
 * came in, that nobody else leads: no election that takes the lease's node for dead is older than the heartbeat's sending. From
 * there the lease is counted, and the time until the verdict from no earlier than the election, or the heartbeat's arrival.
 */
function checkLease({ leaseMs, silentTimeoutMs, sessionTimeoutMs }: NodeTiming): void {
  assert(leaseMs <= silentTimeoutMs, 'Nobody is taken for dead who may hold a lease');
  assert(
    silentTimeoutMs <= sessionTimeoutMs,
    'Who answers Raft has no less time than who is silent',
  );
}
