/** A run of random commands of random proposers on two instances, against an oracle of its own. */
import { assert } from '../../../base/assert.ts';
import { bytesEqual, concatBytes } from '../../../base/bytes.ts';
import { SeededRandom, chance } from '../../../base/random.ts';
import { logIndex } from '../../../base/units.ts';
import { encodeCommand } from '../codec/commandCodec.ts';
import { decodeSnapshot } from '../codec/snapshotCodec.ts';
import { checkInvariants } from '../invariants.ts';
import { MetadataStateMachine } from '../metadataStateMachine.ts';
import { CommandSource } from './commandGenerator.ts';
import { CONFIG } from './fixture.ts';
import { Oracle } from './oracle.ts';

/** From byte 6 to 14 there is the last applied index, at the end the checksum. */
function contentOf(snapshot: Uint8Array): Uint8Array {
  return snapshot.subarray(14, -4);
}

/** What a run came to. */
function snapshotOf(machine: MetadataStateMachine): Uint8Array {
  return concatBytes([...machine.snapshot()]);
}

export interface ModelRun {
  readonly accepted: ReadonlyMap<string, number>;
  readonly refused: number;
}

/**
 * Runs `steps` commands.
 * @throws {AssertionError} When a promise is broken.
 */
export function runModel(seed: number, steps: number): ModelRun {
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
    const content = isWatched ? contentOf(snapshotOf(first)) : null;
    const result = first.apply(index, bytes);
    const other = JSON.stringify(second.apply(index, bytes));
    assert(other === JSON.stringify(result), 'Two instances must come to the same');
    oracle.check(before, command, result, first.metadata);
    if (result.ok) accepted.set(command.type, (accepted.get(command.type) ?? 0) + 1);
    else refused += 1;
    if (content !== null && !result.ok) {
      assert(bytesEqual(contentOf(snapshotOf(first)), content), 'A refusal must change nothing');
    }
    if (isWatched) {
      const snapshot = snapshotOf(first);
      checkInvariants(decodeSnapshot(snapshot));
      assert(bytesEqual(snapshotOf(second), snapshot), 'The same state must give the same bytes');
      // From here on the second one has come out of a snapshot: its future must be the same.
      second.restore(index, snapshot);
      assert(bytesEqual(snapshotOf(second), snapshot), 'A restored state must give the same bytes');
    }
  }
  return { accepted, refused };
}
