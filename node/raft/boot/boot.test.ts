/** ADR 0121, a test for each of its sentences. */
import { describe, expect, test } from '@jest/globals';
import { logIndex, term } from '../../../base/units.ts';
import { idOf, memberOf } from '../testing/simCluster.ts';
import type { IndexedConfiguration } from '../types.ts';
import { Admission, ANSWER_LIFETIME_MS } from './admission.ts';
import type { AdmissionState } from './admission.ts';
import { judgeBoot, nextBoot } from './boot.ts';
import type { OwnBoot } from './boot.ts';

const [NONCE, OTHER_NONCE] = ['a'.repeat(32), 'b'.repeat(32)];
const drawNonce = (): string => NONCE;

/** As of term 1, or another place in the log. */
function configuration(
  voters: readonly number[],
  learners: readonly number[] = [],
  at: readonly [number, number] = [1, 1],
): IndexedConfiguration {
  return {
    term: term(at[0]),
    index: logIndex(at[1]),
    configuration: { voters: voters.map(memberOf), learners: learners.map(memberOf) },
  };
}
const NONE = configuration([], [], [0, 0]);

function confirm(
  admission: Admission,
  by: number,
  known: IndexedConfiguration = NONE,
  atMs = 0,
): void {
  admission.answered(idOf(by), { process: 'p', refusal: null, configuration: known }, atMs);
}

function refuse(admission: Admission, by: number, process = 'p'): void {
  admission.answered(idOf(by), { process, refusal: 'too old', configuration: NONE }, 0);
}

describe('A boot', () => {
  test('of a server that never started is the first', () => {
    expect(nextBoot(null, drawNonce)).toEqual({ epoch: 1, nonce: NONCE, isAdmitted: false });
  });

  test('"counts up only from an admitted boot"', () => {
    const last: OwnBoot = { epoch: 7, nonce: OTHER_NONCE, isAdmitted: true };
    expect(nextBoot(last, drawNonce)).toEqual({ epoch: 8, nonce: NONCE, isAdmitted: false });
  });

  test('"an attempt that was not admitted is repeated", with its nonce', () => {
    const last: OwnBoot = { epoch: 7, nonce: OTHER_NONCE, isAdmitted: false };
    expect(nextBoot(last, drawNonce)).toEqual(last);
  });
});

describe('A member', () => {
  const heard = { epoch: 5, nonce: NONCE };

  test('"confirms a higher epoch", of a server that it never heard of, too', () => {
    expect(judgeBoot(heard, { epoch: 6, nonce: OTHER_NONCE })).toBe('New');
    expect(judgeBoot(heard, { epoch: 9, nonce: OTHER_NONCE })).toBe('New');
    expect(judgeBoot(undefined, { epoch: 1, nonce: NONCE })).toBe('New');
  });

  test('confirms "the same epoch with the same nonce"', () => {
    expect(judgeBoot(heard, heard)).toBe('Known');
  });

  test('refuses the same epoch with another nonce, and any lower one', () => {
    expect(judgeBoot(heard, { epoch: 5, nonce: OTHER_NONCE })).toBe('Refused');
    expect(judgeBoot(heard, { epoch: 4, nonce: NONCE })).toBe('Refused');
  });
});

/** What server 1, process `p`, makes of answers. */
function admissionOf(
  members: IndexedConfiguration,
  confirmedBy: readonly number[],
  { hasWaited = true, process = 'p' } = {},
): AdmissionState['type'] {
  const admission = new Admission(idOf(1), 'p');
  for (const number of confirmedBy) {
    admission.answered(idOf(number), { process, refusal: null, configuration: NONE }, 0);
  }
  return admission.decide(members, hasWaited).type;
}

describe('A process is admitted', () => {
  test('"when the confirmations to this very process and itself are a majority of the voters"', () => {
    expect(admissionOf(configuration([1, 2, 3]), [])).toBe('Waiting');
    expect(admissionOf(configuration([1, 2, 3]), [2])).toBe('Admitted');
    expect(admissionOf(configuration([1, 2, 3, 4, 5]), [2])).toBe('Waiting');
    expect(admissionOf(configuration([1, 2, 3, 4, 5]), [2, 4])).toBe('Admitted');
  });

  test('not by confirmations to another process', () => {
    expect(admissionOf(configuration([1, 2, 3]), [2, 3], { process: 'q' })).toBe('Waiting');
  });

  test('not by the same member twice, nor by one that does not vote', () => {
    expect(admissionOf(configuration([1, 2, 3, 4, 5]), [2, 2])).toBe('Waiting');
    expect(admissionOf(configuration([1, 2, 3], [4]), [4])).toBe('Waiting');
    expect(admissionOf(configuration([1, 2, 3]), [7])).toBe('Waiting');
  });

  test('by a majority of the voters without itself when it does not vote', () => {
    expect(admissionOf(configuration([2, 3, 4], [1]), [2])).toBe('Waiting');
    expect(admissionOf(configuration([2, 3, 4], [1]), [2, 3])).toBe('Admitted');
  });

  test('once "everybody" has answered, or it has waited and has a majority', () => {
    const members = configuration([1, 2, 3], [4]);
    expect(admissionOf(members, [2], { hasWaited: false })).toBe('Waiting');
    expect(admissionOf(members, [2, 3], { hasWaited: false })).toBe('Waiting');
    expect(admissionOf(members, [2, 3, 4], { hasWaited: false })).toBe('Admitted');
    expect(admissionOf(members, [2], { hasWaited: true })).toBe('Admitted');
  });

  test('as the only voter, once those who listen have answered, or it has waited', () => {
    expect(admissionOf(configuration([1]), [], { hasWaited: false })).toBe('Admitted');
    expect(admissionOf(configuration([1], [2]), [], { hasWaited: false })).toBe('Waiting');
    expect(admissionOf(configuration([1], [2]), [2], { hasWaited: false })).toBe('Admitted');
    expect(admissionOf(configuration([1], [2]), [])).toBe('Admitted');
    expect(admissionOf(configuration([2], [1]), [])).toBe('Waiting');
  });

  test('not while it knows no voters', () => {
    expect(admissionOf(NONE, [2, 3])).toBe('Waiting');
  });

  test('never after a refusal, whoever confirms, and whoever refuses', () => {
    for (const by of [2, 4]) {
      const admission = new Admission(idOf(1), 'p');
      confirm(admission, 3);
      refuse(admission, by);
      expect(admission.decide(configuration([1, 2, 3], [4]), true)).toEqual({
        type: 'Refused',
        by: idOf(by),
        refusal: 'too old',
      });
    }
  });

  test('in spite of a refusal of another process', () => {
    const admission = new Admission(idOf(1), 'p');
    refuse(admission, 2, 'q');
    confirm(admission, 3);
    expect(admission.decide(configuration([1, 2, 3]), true).type).toBe('Admitted');
  });
});

describe('"The newest configuration that it knows" counts', () => {
  const own = configuration([1, 2, 3], [], [3, 10]);
  const decide = (admission: Admission, log = own): AdmissionState['type'] =>
    admission.decide(log, true).type;

  test('so a server that has missed its promotion is admitted by those who took part', () => {
    const admission = new Admission(idOf(1), 'p');
    // Server 3 is gone for good; 2 and 3 have made 1 a voter, which its log does not hold.
    confirm(admission, 2, configuration([1, 2, 3], [], [3, 12]));
    expect(decide(admission, configuration([2, 3], [1], [3, 10]))).toBe('Admitted');
  });

  test('so a server whose voters have all been replaced is admitted by those of today', () => {
    const admission = new Admission(idOf(1), 'p');
    const now = configuration([4, 5, 6], [1], [7, 90]);
    confirm(admission, 4, now);
    expect(admission.newest(own)).toBe(now.configuration);
    expect(decide(admission)).toBe('Waiting');
    confirm(admission, 5, now);
    expect(decide(admission)).toBe('Admitted');
  });

  test('so a server that knows nobody hears of all voters from any member, and needs a majority', () => {
    const admission = new Admission(idOf(1), 'p');
    confirm(admission, 5, configuration([2, 3, 4], [5], [2, 8]));
    expect(decide(admission, NONE)).toBe('Waiting');
    confirm(admission, 3);
    expect(decide(admission, NONE)).toBe('Waiting');
    confirm(admission, 4);
    expect(decide(admission, NONE)).toBe('Admitted');
  });

  test('an older one, or one of an older term with a higher index, lowers nothing', () => {
    for (const at of [
      [3, 9],
      [2, 99],
      [3, 10],
    ] as const) {
      const admission = new Admission(idOf(1), 'p');
      confirm(admission, 4, configuration([1, 4], [], at));
      expect(decide(admission)).toBe('Waiting');
    }
  });

  test('so its own vote does not count once another one has shown that it has none', () => {
    const admission = new Admission(idOf(1), 'p');
    confirm(admission, 2, configuration([2, 3, 4], [], [3, 11]));
    expect(decide(admission)).toBe('Waiting');
  });

  test('so a majority of an old one is not enough', () => {
    const admission = new Admission(idOf(1), 'p');
    confirm(admission, 2);
    expect(decide(admission)).toBe('Admitted');
    confirm(admission, 2, configuration([1, 2, 3, 4], [], [3, 11]));
    expect(decide(admission)).toBe('Waiting');
  });

  test('only the own log makes a server the only voter', () => {
    const admission = new Admission(idOf(1), 'p');
    confirm(admission, 4, configuration([1], [4], [9, 99]));
    expect(decide(admission)).toBe('Waiting');
    expect(admission.newest(own)).toBe(own.configuration);
  });

  test('an only voter that has been joined by others meanwhile needs them', () => {
    const admission = new Admission(idOf(1), 'p');
    confirm(admission, 2, configuration([1, 2, 3], [], [3, 11]));
    const alone = configuration([1], [2, 3], [3, 10]);
    expect(decide(admission, alone)).toBe('Admitted');
    confirm(admission, 2, configuration([1, 2, 3, 4], [], [3, 12]));
    expect(decide(admission, alone)).toBe('Waiting');
  });

  test('until its own log has a newer one', () => {
    const admission = new Admission(idOf(1), 'p');
    confirm(admission, 2, configuration([1, 2, 3, 4], [], [3, 11]));
    expect(decide(admission)).toBe('Waiting');
    expect(decide(admission, configuration([1, 2, 3], [], [4, 11]))).toBe('Admitted');
  });

  test('until the member that carried it answers with another: a later leader has overwritten it', () => {
    const admission = new Admission(idOf(1), 'p');
    confirm(admission, 2, configuration([1, 2, 3, 4], [], [3, 11]));
    confirm(admission, 2, own);
    expect(decide(admission)).toBe('Admitted');
  });

  test('until the member that carried it falls silent: its confirmation goes with it', () => {
    const admission = new Admission(idOf(1), 'p');
    confirm(admission, 2, configuration([1, 2, 3, 4], [], [3, 11]), 0);
    admission.forgetSilent(ANSWER_LIFETIME_MS);
    expect(admission.newest(own).voters).toHaveLength(4);
    admission.forgetSilent(ANSWER_LIFETIME_MS + 1);
    expect(admission.newest(own)).toBe(own.configuration);
    expect(decide(admission)).toBe('Waiting');
    confirm(admission, 3, own, ANSWER_LIFETIME_MS + 1);
    expect(decide(admission)).toBe('Admitted');
  });

  test('not when it was meant for another process, or comes from a copy of its own disk', () => {
    const admission = new Admission(idOf(1), 'p');
    const later = configuration([1, 4], [], [9, 9]);
    admission.answered(idOf(4), { process: 'q', refusal: null, configuration: later }, 0);
    confirm(admission, 1, later);
    expect(admission.newest(own)).toBe(own.configuration);
  });
});
