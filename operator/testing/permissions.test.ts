/** The chart's roles grant what the operator asks for, and nothing else. */
import fs from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { GROUP, KIND } from '../api/walrusCluster.ts';
import { labelsOf } from '../desired/names.ts';
import { NAMESPACE, World } from './world.ts';

const NAME = 'sea';
/** Of real time, on a busy machine. */
const STORY_MS_MAX = 60_000;
const SETTLE_MS = 300_000;
/** Asked for by the API server, of whoever makes an object that blocks the deletion of its owner. */
const BY_ADMISSION = `update ${GROUP}/walrusclusters/finalizers`;

interface Role {
  readonly kind: string;
  readonly rules: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

function granted(): ReadonlySet<string> {
  const text = fs.readFileSync('helm/walrus-operator.yaml', 'utf8');
  const roles = parseAllDocuments(text)
    .map((document) => document.toJS() as Role | null)
    .filter((object) => object?.kind === 'ClusterRole' || object?.kind === 'Role');
  return new Set(
    roles
      .flatMap((role) => role?.rules ?? [])
      .flatMap(({ apiGroups, resources, verbs }) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
        ),
      ),
  );
}

/** Everything that the operator does for a cluster. */
async function asked(): Promise<ReadonlySet<string>> {
  const world = new World();
  world.startOperator('a');
  const monitoring = { podMonitor: true, prometheusRule: true, labels: {} };
  world.apply(NAME, { replicas: 3, networkPolicy: true, monitoring });
  await world.settle(NAME, SETTLE_MS);
  // A pod that never runs is deleted when the change is reverted, whatever the budget says.
  world.kubernetes.badImages.add('bad');
  world.apply(NAME, { image: 'bad' });
  await world.run(SETTLE_MS);
  for (const kind of ['Service', 'ServiceAccount', 'PodDisruptionBudget']) leave(world, kind);
  const without = { podMonitor: false, prometheusRule: false, labels: {} };
  world.apply(NAME, { replicas: 4, image: 'better', networkPolicy: false, monitoring: without });
  await world.settle(NAME, SETTLE_MS);
  world.kubernetes.hostless.add(`${NAME}-5`);
  for (const replicas of [5, 4]) {
    world.apply(NAME, { replicas });
    await world.run(SETTLE_MS);
  }
  expect(world.breaches).toEqual([]);
  return new Set(
    world.server.asked.map(({ verb, group, resource }) => `${verb} ${group}/${resource}`),
  );
}

/** What an earlier version made, and nobody wants any more. */
function leave(world: World, kind: string): void {
  const cluster = world.clusterOf(NAME);
  const { uid } = cluster.metadata;
  const ownerReferences = [{ kind: KIND, name: NAME, uid, controller: true }];
  const labels = labelsOf(cluster);
  const metadata = { namespace: NAMESPACE, name: `${NAME}-old`, labels, ownerReferences };
  world.server.put({ kind, metadata });
}

describe('the roles of the chart', () => {
  test(
    'grant each thing that the operator asks for, and nothing else',
    async () => {
      const needed = [...(await asked()), BY_ADMISSION];
      expect([...granted()].sort()).toEqual(needed.sort());
    },
    STORY_MS_MAX,
  );
});
