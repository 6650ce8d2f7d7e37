import { expect, test } from '@jest/globals';
import { ModelCluster } from '../plan/testing/model.ts';
import { desired } from './desired.ts';

const DEFAULTS = { imageRepository: 'mirror/walrus', version: '0.1.0' };
/** The tag is not the version. */
const MIRRORED = { ...DEFAULTS, image: 'mirror/walrus:v0.1.0-mirror' };

test.each([
  ['its own image', { image: 'mine:1', version: '0.2.0' }, MIRRORED, 'mine:1'],
  ['its version of the repository', { version: '0.2.0' }, MIRRORED, 'mirror/walrus:0.2.0'],
  ["the operator's image", {}, MIRRORED, 'mirror/walrus:v0.1.0-mirror'],
  ["the operator's version, where its image is not known", {}, DEFAULTS, 'mirror/walrus:0.1.0'],
])('a cluster runs %s', (_, spec, defaults, image) => {
  const { cluster } = new ModelCluster(3).observe();
  const { replicas, storage, placement, drainTimeout, networkPolicy, paused } = cluster.spec;
  const without = { replicas, storage, placement, drainTimeout, networkPolicy, paused };
  const wanted = desired({ ...cluster, spec: { ...without, ...spec } }, { defaults });
  expect(wanted.image).toBe(image);
  expect(wanted.statefulSet).toMatchObject({
    spec: { template: { spec: { containers: [{ image }] } } },
  });
});

test('the http port is open to the operator in its own namespace only, whoever has its label elsewhere', () => {
  const { cluster } = new ModelCluster(3).observe();
  const wanted = desired(
    { ...cluster, spec: { ...cluster.spec, networkPolicy: true } },
    { defaults: { ...DEFAULTS, operatorNamespace: 'walrus-system' } },
  );
  const policy = wanted.others.find(({ kind }) => kind === 'NetworkPolicy');
  const operator = {
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'walrus-system' } },
    podSelector: { matchLabels: { 'app.kubernetes.io/name': 'walrus-operator' } },
  };
  expect(JSON.stringify(policy)).toContain(JSON.stringify(operator));
});
