/** The times that a node lives by, as they follow from its settings: real nodes and simulated ones have them from here. */
import type { NodeSettings } from './settings.ts';

export interface NodeTiming {
  readonly raftTickMs: number;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly sessionTimeoutMs: number;
  /** Below the session time-out. */
  readonly leaseMs: number;
  readonly heartbeatIntervalMs: number;
}

/** A node stops acknowledging at this part of the session time-out: before it can be replaced. */
const LEASE_SHARE = 0.8;
/** Heartbeats within one session time-out. */
const HEARTBEATS_PER_SESSION = 5;

/** The times of a node with these settings. */
export function timingOf(settings: NodeSettings): NodeTiming {
  const { sessionTimeout } = settings;
  return {
    raftTickMs: settings.raftTickInterval,
    electionTicks: settings.raftElectionTicks,
    heartbeatTicks: settings.raftHeartbeatTicks,
    sessionTimeoutMs: sessionTimeout,
    leaseMs: LEASE_SHARE * sessionTimeout,
    heartbeatIntervalMs: sessionTimeout / HEARTBEATS_PER_SESSION,
  };
}
