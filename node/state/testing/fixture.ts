/** Small clusters for tests: nodes 1..n, each with one disk at boot epoch 1. */
import { assertDefined } from '../../../base/assert.ts';
import { logIndex, nodeId, offset, segmentId } from '../../../base/units.ts';
import { applyCommand } from '../apply.ts';
import type { ApplyResult, Command, CommandOf, OpenPlan } from '../commands.ts';
import { MutableMetadata } from '../mutableMetadata.ts';
import type { ClusterConfig, NodeRecord, ReplicaPlace, SegmentRecord } from '../types.ts';

export const CONFIG: ClusterConfig = {
  metadataVoters: 3,
  maxSegmentEntries: 1_000_000,
  maxSegmentBytes: 2 ** 30,
  maxSegmentAgeMs: 3_600_000,
};

export const DIGEST = 'd'.repeat(16);

/** 32 hex digits from a kind and a number: disk(3), token(7). */
function identifier(kind: string, number: number): string {
  return kind + number.toString(16).padStart(31, '0');
}

export function token(number: number): string {
  return identifier('a', number);
}

/** The place of a node's first disk, or of a later one. */
export function place(node: number, generation = 0): ReplicaPlace {
  return { nodeId: nodeId(node), diskId: identifier('d', generation * 1000 + node) };
}

export function places(...nodes: number[]): ReplicaPlace[] {
  return nodes.map((node) => place(node));
}

export function nodeRecord(at: ReplicaPlace): NodeRecord {
  return {
    ...at,
    peerAddress: `node-${at.nodeId}:6000`,
    clientAddress: `node-${at.nodeId}:9000`,
    httpAddress: `node-${at.nodeId}:9100`,
    zone: '',
    version: '0.1.0',
  };
}

/** The nonce of a disk's boot, as `registration` gives it. */
export function bootNonce(bootEpoch: number): string {
  return identifier('b', bootEpoch);
}

export function registration(
  at: ReplicaPlace,
  bootEpoch: number,
  nonce = bootNonce(bootEpoch),
): CommandOf<'RegisterNode'> {
  return { type: 'RegisterNode', node: nodeRecord(at), bootEpoch, bootNonce: nonce };
}

/** A plan on the first disks of nodes; the first one leads. */
export function plan(number: number, ...nodes: number[]): OpenPlan {
  const ensemble = places(...nodes);
  const leader = assertDefined(ensemble[0], 'A plan needs a node');
  return { token: token(number), leader, leaderBootEpoch: 1, ensemble };
}

export function createTopic(name: string, ...plans: OpenPlan[]): CommandOf<'CreateTopic'> {
  return {
    type: 'CreateTopic',
    name,
    replication: { replicas: 3, ackQuorum: 2 },
    plans,
    nowMs: 1000,
  };
}

/** A leader's close of the segment that `plan(1, 1, 2, 3)` opened, in a cluster of `TestCluster`. */
export function close(
  id: number,
  change: Partial<CommandOf<'SealAndOpen'>> = {},
): CommandOf<'SealAndOpen'> {
  return {
    type: 'SealAndOpen',
    segmentId: segmentId(id),
    expected: { state: 'OPEN', token: token(id) },
    endOffset: offset(100),
    digest: DIGEST,
    replicas: places(1, 2, 3),
    lossy: null,
    next: plan(id + 1, 2, 3, 1),
    nowMs: 2000,
    ...change,
  };
}

export class TestCluster {
  readonly state = new MutableMetadata();
  #index = 0;

  /** A bootstrapped cluster of `nodes` nodes. */
  constructor(nodes: number) {
    this.ok({ type: 'Bootstrap', clusterId: 'c'.repeat(32), config: CONFIG });
    for (let node = 1; node <= nodes; node += 1) this.ok(registration(place(node), 1));
  }

  apply(command: Command): ApplyResult {
    this.#index += 1;
    return applyCommand(this.state, logIndex(this.#index), command);
  }

  /** Applies commands that must be accepted. */
  ok(...commands: Command[]): this {
    for (const command of commands) {
      const result = this.apply(command);
      if (!result.ok) throw new Error(`${command.type}: ${result.code} ${result.message}`);
    }
    return this;
  }

  segment(id: number): SegmentRecord {
    return assertDefined(this.state.segments.get(segmentId(id)), `Segment ${id} must be there`);
  }
}
