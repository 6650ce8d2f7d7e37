import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import path from 'node:path';
import { ROOT } from '../kube/root.ts';
import { TestedCluster, WHOLE } from './testedCluster.ts';
import type { Pod } from './testedCluster.ts';

const OPERATOR = path.join(ROOT, 'helm', 'walrus-operator.yaml');
const EXAMPLE = path.join(ROOT, 'crds', 'examples', 'walrus-cluster.yaml');
/** What both files name without a word about an image; as containerd writes it. */
const PUBLISHED = 'docker.io/walrus/walrus:0.1.0';
const SYSTEM = 'walrus-system';

/** As docs/kubernetes.md says, with the files as they are; the operator looks after all namespaces. */
describe('installed with kubectl', () => {
  let walrus: TestedCluster;
  let reef: TestedCluster;

  beforeAll(async () => {
    walrus = await TestedCluster.open('install-e2e', 'walrus');
    reef = await TestedCluster.open('growth-e2e', 'reef');
    await walrus.kube.tagImage(walrus.image, PUBLISHED);
    await walrus.kube.kubectl(['create', 'namespace', SYSTEM]);
    await walrus.kube.kubectl(['apply', '--server-side', '-f', OPERATOR]);
  });

  afterAll(async () => {
    await Promise.all([walrus.removeNamespace(), reef.removeNamespace()]);
    await walrus.kube.kubectl(['delete', '-f', OPERATOR, '--ignore-not-found', '--wait']);
    await walrus.kube.kubectl(['delete', 'namespace', SYSTEM, '--wait']);
    await walrus.kube.recycleVolumes();
  });

  test('the example becomes ready, takes records and gives them back', async () => {
    const startMs = performance.now();
    await walrus.kubectl(['apply', '-f', EXAMPLE]);
    await walrus.kubectl(['wait', '--for=condition=Ready', 'wc/walrus', '--timeout=2m']);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    process.stderr.write(`installed with kubectl: Ready after ${seconds} s\n`);
    const report = await walrus.underLoad('example', () => Promise.resolve());
    expect(report).toMatchObject(WHOLE);
    expect(await walrus.kubectl(['get', 'wc'])).toMatch(/^walrus +True +AllNodesServe +3 +3 /m);
    await walrus.removeNamespace();
  });

  test('grows from three nodes to five, one after the other, and then to five voters', async () => {
    await reef.apply({ drainTimeout: '10s', placement: { allowSharedHosts: true } });
    await reef.ready();
    const first = await reef.pod(1);
    const report = await reef.underLoad(
      'growing',
      async () => {
        await reef.patch({ replicas: 5, metadataVoters: 5 });
        await reef.whole(5);
      },
      { hosts: 5 },
    );
    expect(report).toMatchObject(WHOLE);
    const { nodes = [] } = await reef.status();
    expect(nodes.map(({ nodeId }) => nodeId)).toEqual([1, 2, 3, 4, 5]);
    expect(nodes.filter(({ role }) => role === 'Voter')).toHaveLength(5);
    expect((await reef.pod(1)).metadata.uid).toBe(first.metadata.uid);
    const [fourth, fifth] = [await reef.pod(4), await reef.pod(5)];
    expect(createdMs(fifth)).toBeGreaterThanOrEqual(readyMs(fourth));
  });
});

function createdMs({ metadata }: Pod): number {
  return Date.parse(metadata.creationTimestamp);
}

function readyMs({ status }: Pod): number {
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  return Date.parse(ready?.lastTransitionTime ?? '');
}
