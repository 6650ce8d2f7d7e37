import { describe, expect, test } from '@jest/globals';
import { concatBytes } from '../../base/bytes.ts';
import { logIndex, nodeId, offset } from '../../base/units.ts';
import type { MetadataChange } from './change.ts';
import { encodeCommand } from './codec/commandCodec.ts';
import type { Command } from './commands.ts';
import { MetadataStateMachine, UnreadableCommandError } from './metadataStateMachine.ts';
import { CONFIG, close, createTopic, place, plan, registration } from './testing/fixture.ts';

const SETUP: readonly Command[] = [
  { type: 'Bootstrap', clusterId: 'c'.repeat(32), config: CONFIG },
  registration(place(1), 1),
  registration(place(2), 1),
  registration(place(3), 1),
  createTopic('t', plan(1, 1, 2, 3)),
];

function snapshotOf(machine: MetadataStateMachine): Uint8Array {
  return concatBytes([...machine.snapshot()]);
}

function machineWith(commands: readonly Command[]): MetadataStateMachine {
  const machine = new MetadataStateMachine();
  for (const [i, command] of commands.entries()) {
    machine.apply(logIndex(i + 1), encodeCommand(command));
  }
  return machine;
}

function thrownBy(attempt: () => unknown): unknown {
  try {
    return attempt();
  } catch (error) {
    return error;
  }
}

describe('MetadataStateMachine', () => {
  test('tells listeners what each command touched, and that it was refused by touching nothing', () => {
    const machine = machineWith(SETUP);
    const changes: MetadataChange[] = [];
    machine.onApplied((change) => changes.push(change));
    const positions = [{ topic: 't', partition: 0, offset: offset(1) }];
    const commands: Command[] = [
      close(1),
      close(1, { endOffset: offset(99) }),
      registration(place(2), 2),
      { type: 'CommitPositions', commits: [{ group: 'g', positions }] },
      { type: 'SetConfig', config: CONFIG },
    ];
    for (const [i, command] of commands.entries()) {
      machine.apply(logIndex(10 + i), encodeCommand(command));
    }
    const nothing = {
      isRestored: false,
      isConfigChanged: false,
      topics: new Set(),
      segments: new Set(),
      nodes: new Set(),
      disks: new Set(),
      groups: new Set(),
    };
    expect(changes).toEqual([
      { ...nothing, index: 10, topics: new Set(['t']), segments: new Set([1, 2]) },
      { ...nothing, index: 11 },
      { ...nothing, index: 12, nodes: new Set([2]), disks: new Set([place(2).diskId]) },
      { ...nothing, index: 13, groups: new Set(['g']) },
      { ...nothing, index: 14, isConfigChanged: true },
    ]);
  });

  test.each([
    ['version', [9, 6, 0, 0, 0, 0], 'UNSUPPORTED_VERSION'],
    ['type', [1, 200], 'UNSUPPORTED_VERSION'],
    ['layout', [1, 4, 9], 'MALFORMED'],
  ])('stops for good at a command with an unknown %s', (_what, bytes, code) => {
    const machine = machineWith(SETUP);
    const before = snapshotOf(machine);
    const error = thrownBy(() => machine.apply(logIndex(9), new Uint8Array(bytes)));
    expect(error).toBeInstanceOf(UnreadableCommandError);
    expect(error).toMatchObject({ code, index: 9, details: { index: 9 } });
    expect(thrownBy(() => machine.apply(logIndex(10), encodeCommand(close(1))))).toBe(error);
    expect(snapshotOf(machine)).toEqual(before);
  });

  test('restores in place: whoever holds the metadata sees the new state', () => {
    const source = machineWith([...SETUP, close(1)]);
    const machine = new MetadataStateMachine();
    const { metadata } = machine;
    const changes: MetadataChange[] = [];
    machine.onApplied((change) => changes.push(change));
    machine.restore(logIndex(8), snapshotOf(source));
    expect(metadata.segments.size).toBe(2);
    expect(metadata.lastApplied).toBe(6);
    expect(changes).toMatchObject([{ index: 8, isRestored: true }]);
    expect(snapshotOf(machine)).toEqual(snapshotOf(source));
    machine.apply(logIndex(9), encodeCommand({ type: 'RemoveNode', nodeId: nodeId(9) }));
    expect(metadata.lastApplied).toBe(9);
  });

  test('keeps its state when a snapshot cannot be read', () => {
    const machine = machineWith(SETUP);
    const before = snapshotOf(machine);
    expect(thrownBy(() => machine.restore(logIndex(9), before.with(20, 255)))).toMatchObject({
      code: 'MALFORMED',
    });
    expect(snapshotOf(machine)).toEqual(before);
  });
});
