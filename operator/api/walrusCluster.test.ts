import { expect, test } from '@jest/globals';
import { OPERATOR_ANNOTATION, operatorOf } from './walrusCluster.ts';
import type { WalrusCluster } from './walrusCluster.ts';

test.each([
  [undefined, null],
  [{}, null],
  [{ [OPERATOR_ANNOTATION]: '' }, null],
  [{ [OPERATOR_ANNOTATION]: 'a/b' }, 'a/b'],
])('with the annotations %j the operator %j looks after it', (annotations, operator) => {
  expect(operatorOf({ metadata: { annotations } } as unknown as WalrusCluster)).toBe(operator);
});
