/** ADR 0121, a test for each of its sentences. */
import { describe, expect, test } from '@jest/globals';
import { idOf, memberOf } from '../testing/simCluster.ts';
import type { Configuration } from '../types.ts';
import { Admission } from './admission.ts';
import type { AdmissionState } from './admission.ts';
import { judgeBoot, nextBoot } from './boot.ts';
import type { OwnBoot } from './boot.ts';

const [NONCE, OTHER_NONCE] = ['a'.repeat(32), 'b'.repeat(32)];
const drawNonce = (): string => NONCE;

function configuration(voters: readonly number[], learners: readonly number[] = []): Configuration {
  return { voters: voters.map(memberOf), learners: learners.map(memberOf) };
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
  members: Configuration,
  confirmedBy: readonly number[],
  { hasWaited = true, process = 'p' } = {},
): AdmissionState['type'] {
  const admission = new Admission(idOf(1), 'p');
  for (const number of confirmedBy) admission.answered(idOf(number), { process, refusal: null });
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

  test('at once as the only voter', () => {
    expect(admissionOf(configuration([1], [2]), [], { hasWaited: false })).toBe('Admitted');
    expect(admissionOf(configuration([2], [1]), [])).toBe('Waiting');
  });

  test('by the metadata only while it knows no voters', () => {
    expect(admissionOf(configuration([]), [2, 3])).toBe('Waiting');
  });

  test('never after a refusal, whoever confirms, and whoever refuses', () => {
    for (const by of [2, 4]) {
      const admission = new Admission(idOf(1), 'p');
      admission.answered(idOf(3), { process: 'p', refusal: null });
      admission.answered(idOf(by), { process: 'p', refusal: 'too old' });
      expect(admission.decide(configuration([1, 2, 3], [4]), true)).toEqual({
        type: 'Refused',
        by: idOf(by),
        refusal: 'too old',
      });
    }
  });

  test('in spite of a refusal of another process', () => {
    const admission = new Admission(idOf(1), 'p');
    admission.answered(idOf(2), { process: 'q', refusal: 'too old' });
    admission.answered(idOf(3), { process: 'p', refusal: null });
    expect(admission.decide(configuration([1, 2, 3]), true).type).toBe('Admitted');
  });
});
