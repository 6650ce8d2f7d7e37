import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SILENT } from '../../base/log.ts';
import { API_VERSION, APPLIED_ANNOTATION, KIND } from '../api/walrusCluster.ts';
import type { WalrusCluster, WalrusClusterSpec } from '../api/walrusCluster.ts';
import { Applier } from '../apply/applier.ts';
import { desired } from '../desired/desired.ts';
import type { Desired } from '../desired/types.ts';
import { FakeApiServer } from '../kube/testing/fakeApiServer.ts';
import type { Stored } from '../kube/listWatch.ts';
import type { AdminClient } from '../observe/adminClient.ts';
import type { Observed } from '../observe/types.ts';
import { childView, statefulSetView } from '../observe/views.ts';
import { childWrites, keyOf } from './children.ts';

const KINDS = [
  ...['ServiceAccount', 'Service', 'PodDisruptionBudget', 'NetworkPolicy'],
  ...['PodMonitor', 'PrometheusRule', 'StatefulSet'],
];
const PASSES_MAX = 3;

/** Whatever may be left out of a spec, and is, at times. */
const labels = fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('x', 'y'));
const amounts = fc.record(
  { cpu: fc.constantFrom('0.7', '2'), memory: fc.constant('1Gi') },
  { requiredKeys: [] },
);
const optional = fc.record(
  {
    imagePullPolicy: fc.constantFrom('Always' as const, 'Never' as const),
    imagePullSecrets: fc.array(fc.record({ name: fc.constantFrom('one', 'two') }), {
      maxLength: 2,
    }),
    priorityClassName: fc.constantFrom('high', 'low'),
    resources: fc.record({ requests: amounts, limits: amounts }, { requiredKeys: [] }),
    podTemplate: fc.record({ labels, annotations: labels }, { requiredKeys: [] }),
    listeners: fc.record({
      client: fc.record({
        serviceType: fc.constantFrom('ClusterIP' as const, 'NodePort' as const),
        annotations: labels,
      }),
    }),
    monitoring: fc.record({ podMonitor: fc.boolean(), prometheusRule: fc.boolean(), labels }),
  },
  { requiredKeys: [] },
);
const placement = fc.record(
  {
    topologyKey: fc.constantFrom('zone', 'rack'),
    allowSharedHosts: fc.boolean(),
    nodeSelector: labels,
    tolerations: fc.array(fc.record({ key: fc.constantFrom('k', 'l') }), { maxLength: 2 }),
    affinity: fc.constantFrom({}, { nodeAffinity: { preferred: ['here'] } }),
  },
  { requiredKeys: ['topologyKey', 'allowSharedHosts'] },
);
const specs: fc.Arbitrary<WalrusClusterSpec> = fc
  .tuple(optional, placement, fc.boolean())
  .map(([rest, where, networkPolicy]) => ({
    ...{ replicas: 3, storage: { size: '1Gi' }, drainTimeout: '30s', paused: false, image: 'good' },
    ...rest,
    ...{ placement: where, networkPolicy },
  }));

function clusterOf(spec: WalrusClusterSpec): WalrusCluster {
  const metadata = { name: 'sea', namespace: 'ocean', uid: 'u', resourceVersion: '1' };
  return { apiVersion: API_VERSION, kind: KIND, metadata, spec } as WalrusCluster;
}

function desiredOf(cluster: WalrusCluster): Desired {
  return desired(cluster, { defaults: { imageRepository: 'walrus', version: '1.0.0' } });
}

class Children {
  readonly #server = new FakeApiServer(() => 0);
  readonly #applier = new Applier({
    api: {
      request: (request) => Promise.resolve(this.#server.request('a', request)),
      watch: () => {
        throw new Error('nothing is watched');
      },
    },
    admin: {} as AdminClient,
    logger: SILENT,
    term: { isHeld: true, signal: new AbortController().signal },
  });

  /** Until nothing is to be written. */
  async settle(spec: WalrusClusterSpec): Promise<void> {
    const cluster = clusterOf(spec);
    for (let pass = 1; ; pass += 1) {
      const wanted = desiredOf(cluster);
      const writes = childWrites(wanted, this.#observe(cluster));
      if (writes.length === 0) return;
      if (pass > PASSES_MAX) throw new Error(`still to be written: ${JSON.stringify(writes)}`);
      for (const write of writes) await this.#applier.write(cluster, write);
    }
  }

  /** But for what says when they were made, and how often they were changed. */
  get content(): ReadonlyMap<string, unknown> {
    return new Map(
      this.#all().map(([kind, { metadata, ...rest }]) => {
        const { name, labels: given, annotations } = metadata;
        return [keyOf({ kind, name }), { ...rest, labels: given, annotations }];
      }),
    );
  }

  #all(): readonly (readonly [string, Stored])[] {
    return KINDS.flatMap((kind) => this.#server.all(kind).map((object) => [kind, object] as const));
  }

  #observe(cluster: WalrusCluster): Observed {
    const [set] = this.#server.all('StatefulSet');
    const views = this.#all().map(([kind, object]) => childView(kind, object, cluster));
    return {
      ...{ cluster, claims: [], admin: { cluster: null } },
      statefulSet: set === undefined ? null : statefulSetView(set, cluster),
      children: new Map(
        views.filter(({ kind }) => kind !== 'StatefulSet').map((view) => [keyOf(view), view]),
      ),
      unserved: new Map(),
    } as unknown as Observed;
  }
}

test('a change of the spec leaves the same behind as that spec from the beginning', async () => {
  await fc.assert(
    fc.asyncProperty(specs, specs, async (one, other) => {
      const changed = new Children();
      await changed.settle(one);
      await changed.settle(other);
      const made = new Children();
      await made.settle(other);
      expect(changed.content).toEqual(made.content);
      // A mark on the template would restart the pods with each new operator.
      expect(JSON.stringify(desiredOf(clusterOf(other)).statefulSet['spec'])).not.toContain(
        APPLIED_ANNOTATION,
      );
    }),
    { numRuns: 300 },
  );
});
