/**
 * What a run does, drawn from its seed: each run takes some kinds of faults and leaves others out ("swarm"), since
 * a run with everything at once finds less than many with a few things each.
 */
import { between, chance, pick } from '../../base/random.ts';
import type { Random, SeededRandom } from '../../base/random.ts';
import type { RaftDriverSettings } from '../raft/driver/options.ts';
import type { ClusterConfig } from '../state/types.ts';
import { MACHINES_MIN, SCENARIOS } from './scenarios.ts';
import type { ScenarioKind } from './scenarios.ts';
import { CALM_NETWORK } from './simNetwork.ts';
import type { NetworkFaults } from './simNetwork.ts';
import { CALM_STREAMS } from './simStreams.ts';
import type { StreamFaults } from './simStreams.ts';

/** Kinds of faults, with how likely a run has them. */
const FAULT_PROBABILITIES = {
  /** kill -9, and a start on the same disk. */
  kill: 0.6,
  /** Power failure: unsynced writes are lost or torn. */
  powerFailure: 0.6,
  /** SIGSTOP for up to some seconds. */
  pause: 0.4,
  /** A node cut off from the others, both ways. */
  isolate: 0.4,
  /** Messages in one direction between two nodes vanish. */
  oneWayCut: 0.3,
  clockJump: 0.3,
  slowDisk: 0.3,
  fullDisk: 0.2,
  /** The data directory is emptied while the node is down; then declared lost and replaced. Once a run. */
  loseDisk: 0.25,
  /** A disk is put back to an earlier state of itself; refused, then replaced. Once a run. */
  rollBackDisk: 0.1,
  /** A bit rots anywhere on one disk. Once a run. */
  rot: 0.15,
  /** Every sync fails from some time on: read-only, then replaced. Once a run. */
  failSyncs: 0.1,
} as const;

export type FaultKind = keyof typeof FAULT_PROBABILITIES;

/** Faults that cost a disk: R=3/W=2 survives one of them, so a run has at most one. */
export const DISK_LOSSES: readonly FaultKind[] = ['loseDisk', 'rollBackDisk', 'rot', 'failSyncs'];

export interface RunPlan {
  readonly nodeCount: number;
  readonly topicCount: number;
  readonly partitionsPerTopic: number;
  /** R=5/W=3 instead of the default. */
  readonly isFiveFold: boolean;
  readonly windowMax: number;
  /** Of the text client; 0 for none. */
  readonly putCount: number;
  /** Of each producer of the client library; 0 for none. */
  readonly libraryCount: number;
  readonly streams: StreamFaults;
  readonly producersPerTopic: number;
  readonly recordsPerProducer: number;
  /** The longest pause between two batches of a producer: the longer, the more faults meet each other in a run. */
  readonly paceMs: number;
  readonly config: ClusterConfig;
  readonly raft: Partial<RaftDriverSettings>;
  readonly network: NetworkFaults;
  readonly faults: readonly FaultKind[];
  readonly scenarios: readonly ScenarioKind[];
  /** Power fails for all machines once everything is done, before the logs are read. */
  readonly endsWithPowerFailure: boolean;
  /** Between two faults. */
  readonly faultIntervalMs: { readonly min: number; readonly max: number };
  /** How long one lasts. */
  readonly faultDurationMs: { readonly min: number; readonly max: number };
}

/** What runs with a focus are made of, and what those are that aim at other clients. */
const FOCUSED: Partial<RunPlan> = {
  faults: [],
  putCount: 0,
  libraryCount: 0,
  topicCount: 1,
  producersPerTopic: 2,
  recordsPerProducer: 200,
  paceMs: 20,
  faultIntervalMs: { min: 50, max: 400 },
};
const LONG_SEGMENTS: ClusterConfig = {
  metadataVoters: 3,
  maxSegmentEntries: 1000,
  maxSegmentBytes: 1024 * 1024,
  maxSegmentAgeMs: 3_600_000,
};
const FOCUSED_BY_KIND: Readonly<Partial<Record<ScenarioKind, Partial<RunPlan>>>> = {
  emptyWitness: { isFiveFold: false },
  // A segment of several pages: those that are written once more are written as a whole.
  failedSync: { isFiveFold: false, recordsPerProducer: 400, config: LONG_SEGMENTS },
  lonelyTail: { isFiveFold: false, recordsPerProducer: 400 },
  lostDeliveries: { putCount: 300, partitionsPerTopic: 1, recordsPerProducer: 20 },
  staleLeader: {
    isFiveFold: false,
    nodeCount: 3,
    putCount: 300,
    partitionsPerTopic: 1,
    recordsPerProducer: 20,
  },
  unfitLeader: {
    isFiveFold: false,
    putCount: 300,
    partitionsPerTopic: 1,
    recordsPerProducer: 20,
  },
  lateSuccessor: {
    isFiveFold: false,
    nodeCount: 4,
    putCount: 300,
    partitionsPerTopic: 2,
    recordsPerProducer: 20,
  },
  lostReplies: {
    putCount: 300,
    partitionsPerTopic: 1,
    recordsPerProducer: 20,
    streams: { ...CALM_STREAMS, resetProbability: 0.02 },
  },
  noFaults: {
    putCount: 300,
    partitionsPerTopic: 1,
    network: CALM_NETWORK,
    streams: CALM_STREAMS,
    endsWithPowerFailure: false,
  },
  changeVoters: { isFiveFold: true, recordsPerProducer: 400, paceMs: 100 },
  lateProposals: { libraryCount: 400, recordsPerProducer: 50 },
};

/**
 * Draws a run.
 * @param focus - Only this scenario, often: for runs that aim at a rule.
 */
export function drawPlan(random: SeededRandom, focus?: ScenarioKind): RunPlan {
  const plan = drawAny(random);
  if (focus === undefined) return plan;
  return {
    ...plan,
    nodeCount: Math.max(plan.nodeCount, MACHINES_MIN[focus] ?? 0),
    scenarios: [focus],
    ...FOCUSED,
    ...FOCUSED_BY_KIND[focus],
  };
}

function drawAny(random: SeededRandom): RunPlan {
  const faults = (Object.keys(FAULT_PROBABILITIES) as FaultKind[]).filter((kind) =>
    chance(random, FAULT_PROBABILITIES[kind]),
  );
  const nodeCount = pick(random, [3, 3, 4, 5, 5]);
  // Of its own, so that a new scenario leaves the rest of a seed's plan as it was.
  const ofScenarios = random.fork();
  return {
    nodeCount,
    topicCount: between(random, 1, 2),
    partitionsPerTopic: chance(random, 0.2) ? 2 : 1,
    isFiveFold: nodeCount === 5 && chance(random, 0.4),
    windowMax: between(random, 1, 5),
    putCount: sometimes(random, { min: 20, max: 100 }),
    streams: { ...CALM_STREAMS, resetProbability: chance(random, 0.4) ? 0.003 : 0 },
    producersPerTopic: between(random, 1, 2),
    recordsPerProducer: between(random, 30, 200),
    paceMs: pick(random, [20, 100, 200, 400]),
    endsWithPowerFailure: chance(random, 0.5),
    libraryCount: sometimes(random, { min: 30, max: 200 }),
    config: {
      metadataVoters: nodeCount === 5 && chance(random, 0.5) ? 5 : 3,
      maxSegmentEntries: between(random, 5, 120),
      maxSegmentBytes: 1024 * 1024,
      maxSegmentAgeMs: chance(random, 0.2) ? 1500 : 3_600_000,
    },
    raft: chance(random, 0.5)
      ? { segmentBytes: 64 * 1024, snapshotThresholdEntries: between(random, 10, 60) }
      : {},
    network: {
      ...CALM_NETWORK,
      lossProbability: chance(random, 0.4) ? 0.02 : 0,
      duplicateProbability: chance(random, 0.4) ? 0.02 : 0,
      slowProbability: chance(random, 0.5) ? 0.05 : 0,
      slowMs: between(random, 5, 200),
    },
    faults: onlyOneLoss(faults),
    scenarios: (Object.keys(SCENARIOS) as ScenarioKind[]).filter(() => chance(ofScenarios, 0.3)),
    faultIntervalMs: { min: 100, max: between(random, 500, 4000) },
    faultDurationMs: { min: 50, max: between(random, 500, 4000) },
  };
}

function sometimes(random: Random, { min, max }: { min: number; max: number }): number {
  return chance(random, 0.4) ? between(random, min, max) : 0;
}

function onlyOneLoss(faults: readonly FaultKind[]): FaultKind[] {
  const firstLoss = faults.find((kind) => DISK_LOSSES.includes(kind));
  return faults.filter((kind) => kind === firstLoss || !DISK_LOSSES.includes(kind));
}
