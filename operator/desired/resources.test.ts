import { expect, test } from '@jest/globals';
import { ModelCluster } from '../plan/testing/model.ts';
import { resourcesOf } from './resources.ts';

const { cluster } = new ModelCluster(3).observe();
const ALL = { requests: { cpu: '250m', memory: '256Mi' }, limits: { memory: '1Gi' } };

test.each([
  [{}, ALL],
  [{ requests: { memory: '512Mi' } }, { ...ALL, requests: { cpu: '250m', memory: '512Mi' } }],
  [{ requests: { cpu: 2 } }, { ...ALL, requests: { cpu: 2, memory: '256Mi' } }],
  [{ limits: { cpu: '2' } }, { ...ALL, limits: { cpu: '2', memory: '1Gi' } }],
  [
    { limits: { cpu: '0.1' } },
    { requests: { cpu: '0.1', memory: '256Mi' }, limits: { cpu: '0.1', memory: '1Gi' } },
  ],
  [
    { limits: { memory: '192Mi' } },
    { requests: { cpu: '250m', memory: '192Mi' }, limits: { memory: '192Mi' } },
  ],
  [
    { requests: { memory: '2Gi' } },
    { requests: { cpu: '250m', memory: '2Gi' }, limits: { memory: '2Gi' } },
  ],
  [
    {
      requests: { memory: '2Gi', 'example.com/fpga': 1 },
      limits: { memory: '4Gi', 'example.com/fpga': 1 },
    },
    {
      requests: { cpu: '250m', memory: '2Gi', 'example.com/fpga': 1 },
      limits: { memory: '4Gi', 'example.com/fpga': 1 },
    },
  ],
])('of %j are %j: what is left out has its default, and gives way', (resources, wanted) => {
  expect(resourcesOf({ ...cluster, spec: { ...cluster.spec, resources } })).toEqual(wanted);
});

test('are the defaults where the spec says nothing', () => {
  expect(resourcesOf(cluster)).toEqual(ALL);
});
