import { describe, expect, test } from '@jest/globals';
import { concatBytes } from '../../../base/bytes.ts';
import { crc32c } from '../../../base/crc32c.ts';
import { isWalrusError } from '../../../base/errors.ts';
import { SeededRandom, between } from '../../../base/random.ts';
import { logIndex, offset, segmentId } from '../../../base/units.ts';
import { fuzz } from '../../../protocol/testing/fuzz.ts';
import { applyCommand } from '../apply.ts';
import { MutableMetadata } from '../mutableMetadata.ts';
import { CommandSource } from '../testing/commandGenerator.ts';
import { CONFIG, DIGEST, TestCluster, close, createTopic, plan } from '../testing/fixture.ts';
import { decodeSnapshot, encodeSnapshot, snapshotSlices } from './snapshotCodec.ts';
import { SLICE_BYTES } from './snapshotSections.ts';

/** A state in which every kind of field is set somewhere. */
function richState(): MutableMetadata {
  return richWorld().state;
}

/** The same, and what it was made with. */
function richWorld(): { readonly state: MutableMetadata; readonly source: CommandSource } {
  const state = new MutableMetadata();
  const source = new CommandSource(new SeededRandom(5), state);
  applyCommand(state, logIndex(1), {
    type: 'Bootstrap',
    clusterId: 'c'.repeat(32),
    config: CONFIG,
  });
  for (let step = 2; step < 600; step += 1) applyCommand(state, logIndex(step), source.next());
  return { state, source };
}

/** The plain data of a state. */
function dataOf(state: MutableMetadata): unknown {
  const { clusterId, config, lastApplied, nodes, disks, topics, segments, groups } = state;
  const { nextSegmentId, nextTopicId, nextProducerId } = state;
  const next = { nextSegmentId, nextTopicId, nextProducerId };
  return { clusterId, config, lastApplied, nodes, disks, topics, segments, groups, ...next };
}

/** What decoding comes to: a code, or 'none' when it succeeds. */
function codeOf(bytes: Uint8Array): string {
  try {
    decodeSnapshot(bytes);
  } catch (error) {
    if (isWalrusError(error)) return error.code;
    throw error;
  }
  return 'none';
}

/** The same bytes with a checksum that is right again. */
function withChecksum(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(bytes.length - 4, crc32c(bytes.subarray(0, -4)), true);
  return bytes;
}

describe('encodeSnapshot() and decodeSnapshot()', () => {
  test('round-trip an empty and a full state, with its indexes', () => {
    for (const state of [new MutableMetadata(), richState()]) {
      const back = decodeSnapshot(encodeSnapshot(state));
      expect(dataOf(back)).toEqual(dataOf(state));
      expect(back.segmentsByDisk).toEqual(state.segmentsByDisk);
      expect(back.formerByDisk).toEqual(state.formerByDisk);
      expect(back.unsealedByLeader).toEqual(state.unsealedByLeader);
      expect(back.segmentByToken).toEqual(state.segmentByToken);
      expect(back.recovering).toEqual(state.recovering);
      expect(back.underReplicated).toEqual(state.underReplicated);
    }
  });

  test('slices are of the state at the call, whatever is applied before the last one is taken', () => {
    const { state, source } = richWorld();
    const before = encodeSnapshot(state);
    const slices = snapshotSlices(state);
    const taken: Uint8Array[] = [];
    let step = 1000;
    for (let next = slices.next(); next.done !== true; next = slices.next()) {
      taken.push(next.value);
      for (let i = 0; i < 50; i += 1) applyCommand(state, logIndex((step += 1)), source.next());
    }
    expect(taken.length).toBeGreaterThan(4);
    expect(concatBytes(taken)).toEqual(before);
    expect(encodeSnapshot(state)).not.toEqual(before);
  });

  test('no slice is much larger than its bound', () => {
    const cluster = new TestCluster(3).ok(createTopic('t', plan(1, 1, 2, 3)));
    const { state } = cluster;
    const first = cluster.segment(1);
    state.putSegment({
      ...first,
      state: 'SEALED',
      endOffset: offset(0),
      digest: DIGEST,
      sealedAtMs: 1,
    });
    for (let id = 2; id <= 1000; id += 1) {
      const token = id.toString(16).padStart(32, '0');
      state.putSegment({ ...cluster.segment(1), segmentId: segmentId(id), token });
    }
    const sizes = [...snapshotSlices(state)].map((slice) => slice.length);
    expect(sizes.length).toBeGreaterThan(4);
    expect(Math.max(...sizes)).toBeLessThan(SLICE_BYTES + 1024);
  });

  test('give the same bytes whatever the order in which the state came to be', () => {
    const one = new TestCluster(3).ok(createTopic('a', plan(1, 1, 2, 3)));
    const first = one.ok(close(1, { endOffset: offset(7) })).state;
    const back = decodeSnapshot(encodeSnapshot(first));
    back.nodes = new Map([...back.nodes].reverse());
    back.disks = new Map([...back.disks].reverse());
    back.segments = new Map([...back.segments].reverse());
    expect(encodeSnapshot(back)).toEqual(encodeSnapshot(first));
  });

  test('keep the first bytes that snapshots on disk have', () => {
    const bytes = encodeSnapshot(new MutableMetadata());
    expect([...bytes.subarray(0, 6)]).toEqual([0x57, 0x52, 0x4d, 0x53, 2, 0]);
    expect(bytes.length).toBe(6 + 8 + 1 + 4 * 8 + 4 * 8 + 5 * 4 + 4);
  });

  test('refuse a version that is not known', () => {
    const bytes = encodeSnapshot(richState());
    for (const version of [0, 1, 3]) {
      expect(codeOf(withChecksum(bytes.with(4, version)))).toBe('UNSUPPORTED_VERSION');
    }
  });

  test('refuse every changed byte and every cut', () => {
    const bytes = encodeSnapshot(new TestCluster(3).ok(createTopic('a', plan(1, 1, 2, 3))).state);
    for (let at = 0; at < bytes.length; at += 1) {
      const expected = at === 4 || at === 5 ? 'UNSUPPORTED_VERSION' : 'MALFORMED';
      expect([at, codeOf(bytes.with(at, (bytes[at] ?? 0) ^ 0x10))]).toEqual([at, expected]);
      expect(codeOf(bytes.subarray(0, at))).toBe('MALFORMED');
    }
  });

  test('refuse or read, but never break, with bytes changed and the checksum made right', () => {
    const random = new SeededRandom(77);
    const cluster = new TestCluster(4).ok(createTopic('a', plan(1, 1, 2, 3)), close(1));
    const bytes = encodeSnapshot(cluster.state);
    let refused = 0;
    for (let round = 0; round < 8000; round += 1) {
      const changed = bytes.slice();
      const at = between(random, 6, bytes.length - 5);
      changed[at] = between(random, 0, 255);
      const code = codeOf(withChecksum(changed));
      expect(['none', 'MALFORMED']).toContain(code);
      if (code === 'MALFORMED') refused += 1;
    }
    expect(refused).toBeGreaterThan(500);
  });

  test('survive damage, with and without a right checksum', () => {
    const cluster = new TestCluster(4).ok(createTopic('a', plan(1, 1, 2, 3)), close(1));
    const bytes = encodeSnapshot(cluster.state);
    fuzz(1, [bytes], decodeSnapshot);
    fuzz(2, [bytes], (damaged) => {
      decodeSnapshot(damaged.length < 4 ? damaged : withChecksum(damaged));
    });
  });

  test('refuse a state that breaks an invariant', () => {
    expect(() => decodeSnapshot(encodeSnapshot(brokenChain()))).toThrow('must touch');
  });
});

/** Two segments of a partition with a gap between them. */
function brokenChain(): MutableMetadata {
  const cluster = new TestCluster(3).ok(createTopic('a', plan(1, 1, 2, 3)), close(1));
  const id = segmentId(2);
  cluster.state.segments.set(id, { ...cluster.segment(2), baseOffset: offset(101) });
  return cluster.state;
}
