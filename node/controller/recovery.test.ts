/** One recovery, with members that answer as a test says. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { WalrusError } from '../../base/errors.ts';
import { SILENT } from '../../base/log.ts';
import { offset } from '../../base/units.ts';
import type { Api } from '../../protocol/client/codec.ts';
import { COPY_SEGMENT, FENCE_SEGMENT, READ_SEGMENT } from '../../protocol/peer/replicas.ts';
import type {
  FenceSegmentRequest,
  CopySegmentRequest,
  ReadSegmentRequest,
} from '../../protocol/peer/replicas.ts';
import type { Command } from '../state/commands.ts';
import { TestCluster, createTopic, place, plan } from '../state/testing/fixture.ts';
import { ManualClock } from '../storage/testing/manualClock.ts';
import {
  LEADER_GONE_MS_MAX,
  LEADER_KNOWS_MS_MAX,
  Recovery,
  UNCLEAN_FENCE_TIMEOUT_MS,
} from './recovery.ts';
import type { UncleanEnd } from './recovery.ts';
import type { MetadataService, PeerRpc } from './types.ts';

const RIGHT = 'a'.repeat(16);
const WRONG = 'b'.repeat(16);
const NOTHING = new Uint8Array(0);

/** What a member has, when it answers, and whether it can be read. */
interface Member {
  readonly tail: number;
  readonly digest?: string;
  readonly afterMs?: number;
  readonly isUnreadable?: boolean;
  /** What it has is what is sound of a damaged copy. */
  readonly isDamaged?: boolean;
  /** What its copy has once it is filled. */
  readonly filledDigest?: string;
}

const clock = new ManualClock();
let members: Record<number, Member>;
let cluster: TestCluster;
let recovery: Recovery;
/** When nobody acts as the segment's leader any more. */
let leaderKnowsMs: number;
/** How long it acts on when it gets no lease any more. */
let leaseMs: number;
/** Nodes that were read, in order. */
let sources: number[];

/** A segment of five members, W = 3, and two spare disks. */
beforeEach(() => {
  const topic = createTopic('t', plan(1, 1, 2, 3, 4, 5));
  cluster = new TestCluster(7).ok({ ...topic, replication: { replicas: 5, ackQuorum: 3 } });
  members = {};
  sources = [];
  const metadata = {
    metadata: cluster.state,
    asLeader: () => (command: Command) => {
      const result = cluster.apply(command);
      if (result.ok) return Promise.resolve(result.value);
      return Promise.reject(new WalrusError(result.code, result.message));
    },
  } as unknown as MetadataService; // a double: a recovery asks nothing else of it
  // `call` answers as the api of each request says, which its type cannot say.
  const rpc = { handle: () => undefined, call } as unknown as PeerRpc;
  const planNext = () => plan(2, 2, 3, 4, 5, 6);
  const freshPlaces = () => [place(6), place(7)];
  leaderKnowsMs = clock.monotonicMs();
  leaseMs = 800;
  recovery = new Recovery({
    clock,
    logger: SILENT,
    rpc,
    metadata,
    planNext,
    freshPlaces,
    mayStillLead: () => clock.monotonicMs() < leaderKnowsMs,
    withhold: () => (leaderKnowsMs = Math.min(leaderKnowsMs, clock.monotonicMs() + leaseMs)),
  });
});

function call(
  address: string,
  api: Api<unknown, unknown>,
  request: unknown,
  timeoutMs: number,
): Promise<unknown> {
  const node = Number(/\d/.exec(address)?.[0]);
  const member = members[node];
  return new Promise((resolve, reject) => {
    const afterMs = Math.min(member?.afterMs ?? (member ? 1 : timeoutMs), timeoutMs);
    clock.setTimer(afterMs, () => {
      if (member === undefined || afterMs === timeoutMs) {
        reject(new WalrusError('TIMED_OUT', 'no answer'));
      } else answer(node, { api, request }, { resolve, reject });
    });
  });
}

function answer(
  node: number,
  { api, request }: { api: Api<unknown, unknown>; request: unknown },
  { resolve, reject }: { resolve: (value: unknown) => void; reject: (error: Error) => void },
): void {
  const { tail, digest = RIGHT, isUnreadable = false, filledDigest = RIGHT } = members[node]!;
  const { isDamaged = false } = members[node]!;
  switch (api.apiKey) {
    case FENCE_SEGMENT.apiKey:
      if (isDamaged && !(request as FenceSegmentRequest).takesDamaged) {
        reject(new WalrusError('REPLICA_UNKNOWN', 'damaged'));
      } else resolve({ diskId: place(node).diskId, tail: offset(tail), digest, isDamaged });
      return;
    case READ_SEGMENT.apiKey: {
      sources.push(node);
      const { limit } = request as ReadSegmentRequest;
      if (isUnreadable) reject(new WalrusError('CORRUPT_SEGMENT', 'rot'));
      else resolve({ batches: NOTHING, producerSnapshot: NOTHING, nextOffset: limit });
      return;
    }
    case COPY_SEGMENT.apiKey: {
      const { endOffset } = request as CopySegmentRequest;
      resolve({ durableTail: endOffset, digest: filledDigest });
      return;
    }
    default:
      throw new Error(api.name);
  }
}

/** Runs the virtual time until a promise is settled. */
async function settled<T>(promise: Promise<T>): Promise<T> {
  const settled: true[] = [];
  promise.then(
    () => settled.push(true),
    () => settled.push(true),
  );
  for (let turns = 0; turns < 1000 && settled.length === 0; turns += 1) {
    clock.step();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return await promise;
}

const segment = () => cluster.segment(1);

describe('run()', () => {
  test('R3: members with different bytes up to the same offset are no evidence', async () => {
    members = { 1: { tail: 10 }, 2: { tail: 10, digest: WRONG }, 3: { tail: 4 } };
    await expect(settled(recovery.run(segment()))).rejects.toThrow(
      '2 of the 3 members that answer hold different bytes',
    );
    expect(segment().state).toBe('RECOVERING');
  });

  test('R3: one that most others contradict is UNKNOWN, and no replica of the seal', async () => {
    members = { 1: { tail: 10, digest: WRONG } };
    for (const node of [2, 3, 4]) members[node] = { tail: 10, afterMs: 2 };
    await settled(recovery.run(segment()));
    expect(segment()).toMatchObject({ state: 'SEALED', endOffset: 10, digest: RIGHT });
    expect(segment().ensemble.map(({ nodeId }) => nodeId)).toEqual([2, 3, 4]);
  });

  test('R5: when one member cannot be read, another one is', async () => {
    members = { 1: { tail: 10, isUnreadable: true }, 2: { tail: 10 }, 3: { tail: 4 } };
    members[6] = { tail: 0 };
    await settled(recovery.run(segment()));
    expect(sources.slice(0, 2)).toEqual([1, 2]);
    expect(segment().ensemble.map(({ nodeId }) => nodeId)).toEqual([2, 3, 6]);
  });

  test('R5: a copy counts with the digest of the end only', async () => {
    members = { 1: { tail: 10 }, 2: { tail: 10 }, 3: { tail: 4, filledDigest: WRONG } };
    members[6] = { tail: 0 };
    await settled(recovery.run(segment()));
    expect(segment().ensemble.map(({ nodeId }) => nodeId)).toEqual([1, 2, 6]);
  });

  test('nobody is put in the place of a leader that does not know of it', async () => {
    for (const node of [1, 2, 3]) members[node] = { tail: 10 };
    leaderKnowsMs = clock.monotonicMs() + LEADER_KNOWS_MS_MAX - 100;
    await settled(recovery.run(segment()));
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(leaderKnowsMs);
    expect(segment().state).toBe('SEALED');
  });

  test('a leader that lives and never hears of it gets no lease any more', async () => {
    for (const node of [1, 2, 3]) members[node] = { tail: 10 };
    const beganMs = clock.monotonicMs();
    leaderKnowsMs = Number.POSITIVE_INFINITY;
    await settled(recovery.run(segment()));
    expect(segment().state).toBe('SEALED');
    expect(clock.monotonicMs() - beganMs).toBeGreaterThanOrEqual(LEADER_KNOWS_MS_MAX + leaseMs);
  });

  test('begins anew when its leader has a lease for longer than it waits', async () => {
    for (const node of [1, 2, 3]) members[node] = { tail: 10 };
    leaderKnowsMs = Number.POSITIVE_INFINITY;
    leaseMs = LEADER_GONE_MS_MAX;
    await expect(settled(recovery.run(segment()))).rejects.toThrow('has not heard of it yet');
    expect(segment().state).toBe('RECOVERING');
  });
});

describe('runUnclean()', () => {
  /** The same with each call: what an operator is told, and does. */
  async function unclean(confirmedEnd: number | null): Promise<UncleanEnd> {
    const end = confirmedEnd === null ? null : offset(confirmedEnd);
    return await settled(recovery.runUnclean(segment(), end));
  }

  beforeEach(() => {
    cluster.ok({ type: 'BeginRecovery', segmentId: segment().segmentId, epoch: 1 });
    members = { 6: { tail: 0 }, 7: { tail: 0 } };
  });

  test('waits for every member: what a slow one has is not given up', async () => {
    members = {
      ...members,
      1: { tail: 5 },
      2: { tail: 10, afterMs: UNCLEAN_FENCE_TIMEOUT_MS - 1 },
    };
    const foreseen = await unclean(null);
    expect(foreseen).toMatchObject({ endOffset: 10, lossy: { from: 10 } });
    expect(segment().state).toBe('RECOVERING');
    expect(await unclean(10)).toEqual(foreseen);
    expect(segment()).toMatchObject({ state: 'SEALED', endOffset: 10, lossy: foreseen.lossy });
  });

  test('seals only where it was confirmed, whoever answers by then', async () => {
    members = { ...members, 1: { tail: 5 }, 2: { tail: 10 } };
    expect((await unclean(null)).endOffset).toBe(10);
    delete members[2];
    await expect(unclean(10)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(unclean(10)).rejects.toThrow('it would end at 5, not at 10');
    expect(segment().state).toBe('RECOVERING');
  });

  test('is the way out when members contradict each other, and says that it may lose', async () => {
    members = { 1: { tail: 10 }, 2: { tail: 10, digest: WRONG }, 3: { tail: 4 }, 6: { tail: 0 } };
    expect(await unclean(null)).toMatchObject({ endOffset: 10, lossy: { from: 10 } });
    await unclean(10);
    expect(segment()).toMatchObject({ endOffset: 10, digest: RIGHT });
    expect(segment().ensemble.map(({ nodeId }) => nodeId)).toEqual([1, 3, 6]);
  });

  test('takes what is sound of a damaged copy, when nothing better answers', async () => {
    members = { ...members, 1: { tail: 9, isDamaged: true }, 2: { tail: 4 } };
    await expect(settled(recovery.run(segment()))).rejects.toMatchObject({
      code: 'REPLICA_UNKNOWN',
    });
    expect(await unclean(null)).toMatchObject({ endOffset: 9, lossy: { from: 9 } });
    await unclean(9);
    expect(segment()).toMatchObject({ state: 'SEALED', endOffset: 9 });
    expect(segment().ensemble.map(({ nodeId }) => nodeId)).toEqual([1, 2, 6]);
  });

  test('reads an intact copy rather than a damaged one, whose answer is no evidence', async () => {
    members = { 6: { tail: 0 }, 1: { tail: 9, isDamaged: true }, 2: { tail: 9 }, 3: { tail: 4 } };
    expect(await unclean(null)).toMatchObject({ endOffset: 9, lossy: { from: 9 } });
    members[4] = { tail: 4 };
    expect(await unclean(null)).toEqual({ endOffset: 9, lossy: null });
    await unclean(9);
    expect(sources[0]).toBe(2);
    expect(segment().ensemble.map(({ nodeId }) => nodeId)).toEqual([2, 3, 4]);
  });

  test('needs one member at least', async () => {
    await expect(unclean(null)).rejects.toMatchObject({ code: 'REPLICA_UNKNOWN' });
  });
});
