import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isWalrusError } from '../../base/errors.ts';
import { nodeId } from '../../base/units.ts';
import { choosePlacement, isBetterEnsemblePossible, withSegment } from './placement.ts';
import type { Candidate, PreviousLeader } from './placement.ts';

function candidate(id: number, rest: Partial<Candidate> = {}): Candidate {
  return {
    place: { nodeId: nodeId(id), diskId: `disk-${id}` },
    bootEpoch: id,
    zone: '',
    isHealthy: true,
    isDraining: false,
    copyCount: 0,
    ledCount: 0,
    ...rest,
  };
}

const THREE = { replicas: 3, ackQuorum: 2 };
const avoid = (id: number): PreviousLeader => ({ leader: nodeId(id), isAvoided: true });
const ids = (places: readonly { nodeId: number }[]): number[] =>
  places.map((place) => place.nodeId).sort();

describe('choosePlacement()', () => {
  test('takes the least loaded disks and the leader that leads least', () => {
    const placement = choosePlacement(
      [
        candidate(1, { copyCount: 9 }),
        candidate(2),
        candidate(3, { ledCount: 2 }),
        candidate(4, { ledCount: 1 }),
      ],
      THREE,
      null,
    );
    expect(ids(placement.ensemble)).toEqual([2, 3, 4]);
    expect(placement.leader.nodeId).toBe(2);
    expect(placement.leaderBootEpoch).toBe(2);
  });

  test('spreads over zones before it looks at the load', () => {
    const placement = choosePlacement(
      [
        candidate(1, { zone: 'a' }),
        candidate(2, { zone: 'a' }),
        candidate(3, { zone: 'b', copyCount: 50 }),
        candidate(4, { zone: 'c', copyCount: 50 }),
      ],
      THREE,
      null,
    );
    expect(ids(placement.ensemble)).toEqual([1, 3, 4]);
  });

  test('rotates the leadership away from the one before', () => {
    const all = [candidate(1), candidate(2), candidate(3)];
    const leaders = [1, 2, 3].map((id) => choosePlacement(all, THREE, avoid(id)).leader.nodeId);
    expect(leaders).toEqual([2, 3, 1]);
    expect(
      choosePlacement([candidate(1)], { replicas: 1, ackQuorum: 1 }, avoid(1)).leader.nodeId,
    ).toBe(1);
  });

  test('a leader that was not avoided leads again when it leads least, and the next one in order among equals', () => {
    const of = (...led: number[]): number => {
      const all = led.map((ledCount, index) => candidate(index + 1, { ledCount }));
      return choosePlacement(all, THREE, { leader: nodeId(2), isAvoided: false }).leader.nodeId;
    };
    expect([of(1, 0, 1), of(1, 1, 1), of(1, 1, 0), of(0, 2, 1)]).toEqual([2, 3, 3, 1]);
  });

  test('W7: fills up with disks that are only down, opens with fewer when there are fewer', () => {
    const down = candidate(3, { isHealthy: false });
    expect(ids(choosePlacement([candidate(1), candidate(2), down], THREE, null).ensemble)).toEqual([
      1, 2, 3,
    ]);
    expect(ids(choosePlacement([candidate(1), candidate(2)], THREE, null).ensemble)).toEqual([
      1, 2,
    ]);
  });

  test('refuses when fewer than W disks are healthy', () => {
    const down = [candidate(2, { isHealthy: false }), candidate(3, { isHealthy: false })];
    expect(() => choosePlacement([candidate(1), ...down], THREE, null)).toThrow('it needs 2');
  });

  test('keeps its promises whatever the cluster looks like', () => {
    const some = fc.record({
      zone: fc.constantFrom('', 'a', 'b'),
      isHealthy: fc.boolean(),
      isDraining: fc.boolean(),
      copyCount: fc.nat(5),
      ledCount: fc.nat(5),
    });
    fc.assert(
      fc.property(
        fc.array(some, { maxLength: 7 }),
        fc.constantFrom(THREE, { replicas: 5, ackQuorum: 3 }),
        (all, replication) => {
          const candidates = all.map((rest, index) => candidate(index + 1, rest));
          const healthyCount = candidates.filter((one) => one.isHealthy).length;
          try {
            const { leader, ensemble } = choosePlacement(candidates, replication, avoid(1));
            expect(new Set(ids(ensemble)).size).toBe(ensemble.length);
            expect(ensemble.length).toBe(Math.min(replication.replicas, candidates.length));
            const healthyIn = ensemble.filter(
              (place) => candidates[place.nodeId - 1]!.isHealthy,
            ).length;
            expect(healthyIn).toBe(Math.min(healthyCount, ensemble.length));
            expect(candidates[leader.nodeId - 1]!.isHealthy).toBe(true);
            expect(ensemble).toContain(leader);
            expect(isBetterEnsemblePossible(candidates, ensemble, replication)).toBe(false);
          } catch (error) {
            if (!isWalrusError(error, 'NOT_ENOUGH_REPLICAS')) throw error;
            expect(healthyCount).toBeLessThan(replication.ackQuorum);
          }
        },
      ),
    );
  });
});

test('withSegment() counts what is planned as load, and not where it comes from', () => {
  const all = [candidate(1, { ledCount: 1 }), candidate(2), candidate(3)];
  const ensemble = [all[1]!.place, all[2]!.place];
  const after = withSegment(all, { leader: all[1]!.place, ensemble }, all[0]!.place);
  expect(after.map(({ copyCount, ledCount }) => [copyCount, ledCount])).toEqual([
    [0, 0],
    [1, 1],
    [1, 0],
  ]);
});
