import { describe, expect, test } from '@jest/globals';
import { ModelCluster } from '../plan/testing/model.ts';
import { desired } from './desired.ts';
import { HTTP_PORT } from './names.ts';

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
  // What an image of one's own has in it nobody knows.
  expect(wanted.version).toBe('image' in spec ? null : (Reflect.get(spec, 'version') ?? '0.1.0'));
  expect(wanted.statefulSet).toMatchObject({
    spec: { template: { spec: { containers: [{ image }] } } },
  });
});

/** From where the http port may be reached. */
function peersOf(spec: object, operatorNamespace?: string): readonly unknown[] {
  const { cluster } = new ModelCluster(3).observe();
  const where = operatorNamespace === undefined ? {} : { operatorNamespace };
  const wanted = desired(
    { ...cluster, spec: { ...cluster.spec, networkPolicy: true, ...spec } },
    { defaults: { ...DEFAULTS, ...where } },
  );
  const policy = wanted.others.find(({ kind }) => kind === 'NetworkPolicy');
  const { ingress } = policy?.['spec'] as {
    ingress: { ports: [{ port: number }]; from: unknown[] }[];
  };
  return ingress.find(({ ports: [{ port }] }) => port === HTTP_PORT)?.from ?? [];
}

function peer(name: string, values: readonly string[]): object {
  const key = 'kubernetes.io/metadata.name';
  return {
    namespaceSelector: { matchExpressions: [{ key, operator: 'In', values }] },
    podSelector: { matchLabels: { 'app.kubernetes.io/name': name } },
  };
}

describe('the http port under a NetworkPolicy', () => {
  const nodes = { podSelector: expect.anything() };

  test('is open to the operator in its own namespace only, and to Prometheus in that of the cluster', () => {
    const prometheus = peer('prometheus', ['ocean']);
    const operator = peer('walrus-operator', ['walrus-system']);
    expect(peersOf({}, 'walrus-system')).toEqual([nodes, operator, prometheus]);
    expect(peersOf({})).toEqual([nodes, prometheus]);
  });

  test('is open to Prometheus in the namespaces that are named', () => {
    const monitoring = { namespaces: ['monitoring', 'ocean'] };
    expect(peersOf({ monitoring })).toEqual([nodes, peer('prometheus', ['ocean', 'monitoring'])]);
  });
});
