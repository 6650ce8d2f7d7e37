/** Thousands of random commands of random proposers, against an oracle of its own. */
import { expect, test } from '@jest/globals';
import { bytesEqual } from '../../base/bytes.ts';
import { SeededRandom, chance } from '../../base/random.ts';
import { logIndex } from '../../base/units.ts';
import { decodeSnapshot } from './codec/snapshotCodec.ts';
import { encodeCommand } from './codec/commandCodec.ts';
import { checkInvariants } from './invariants.ts';
import { MetadataStateMachine } from './metadataStateMachine.ts';
import { CommandSource } from './testing/commandGenerator.ts';
import { CONFIG } from './testing/fixture.ts';
import { Oracle } from './testing/oracle.ts';

/** From byte 6 to 14 there is the last applied index, at the end the checksum. */
function contentOf(snapshot: Uint8Array): Uint8Array {
  return snapshot.subarray(14, -4);
}

interface Run {
  readonly accepted: ReadonlyMap<string, number>;
  readonly refused: number;
}

function run(seed: number, steps: number): Run {
  const random = new SeededRandom(seed);
  const first = new MetadataStateMachine();
  const second = new MetadataStateMachine();
  const source = new CommandSource(random.fork(), first.metadata);
  const oracle = new Oracle();
  const accepted = new Map<string, number>();
  let refused = 0;
  for (let step = 1; step <= steps; step += 1) {
    const index = logIndex(step);
    const command =
      step === 1
        ? ({ type: 'Bootstrap', clusterId: 'c'.repeat(32), config: CONFIG } as const)
        : source.next();
    const bytes = encodeCommand(command);
    const before = {
      segments: new Map(first.metadata.segments),
      disks: new Map(first.metadata.disks),
    };
    const isWatched = chance(random, 0.03);
    const content = isWatched ? contentOf(first.snapshot()) : null;
    const result = first.apply(index, bytes);
    expect(JSON.stringify(second.apply(index, bytes))).toBe(JSON.stringify(result));
    oracle.check(before, command, result, first.metadata);
    if (result.ok) accepted.set(command.type, (accepted.get(command.type) ?? 0) + 1);
    else refused += 1;
    if (content !== null && !result.ok)
      expect(bytesEqual(contentOf(first.snapshot()), content)).toBe(true);
    if (isWatched) {
      const snapshot = first.snapshot();
      checkInvariants(decodeSnapshot(snapshot));
      expect(bytesEqual(second.snapshot(), snapshot)).toBe(true);
      // From here on the second one has come out of a snapshot: its future must be the same.
      second.restore(index, snapshot);
      expect(bytesEqual(second.snapshot(), snapshot)).toBe(true);
    }
  }
  return { accepted, refused };
}

test('random commands keep every promise, on every instance, from every snapshot', () => {
  const accepted = new Map<string, number>();
  let refused = 0;
  for (let seed = 1; seed <= 10; seed += 1) {
    const result = run(seed, 1000);
    refused += result.refused;
    for (const [type, count] of result.accepted) {
      accepted.set(type, (accepted.get(type) ?? 0) + count);
    }
  }
  // The runs mean something: every kind of command took place, and many were refused.
  expect(accepted.size).toBe(17);
  for (const [type, count] of accepted) expect([type, count >= 10]).toEqual([type, true]);
  expect(refused).toBeGreaterThan(1000);
});
