/** The definition on a real API server: each rule of it, for what it takes and for what it refuses. Needs no nodes. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import path from 'node:path';
import { customResourceDefinition } from '../../crds/crd.ts';
import { suiteCluster } from '../kube/cluster.ts';
import type { KubeCluster } from '../kube/cluster.ts';
import { CommandError } from '../kube/commands.ts';
import { isDefinitionOurs, removeDefinition } from '../kube/definition.ts';
import { ROOT } from '../kube/root.ts';
import { CHANGES, CREATIONS } from './cases.ts';
import type { Fields } from './cases.ts';

const NAMESPACE = 'crd-e2e';
const CRD = path.join(ROOT, 'crds', 'walrusclusters.walrus.io.yaml');

/** All messages of rules in CEL. */
function* messages(schema: unknown): Generator<string> {
  if (typeof schema !== 'object' || schema === null) return;
  for (const [key, value] of Object.entries(schema)) {
    if (key !== 'x-kubernetes-validations') yield* messages(value);
    else for (const { message } of value as readonly { message: string }[]) yield message;
  }
}

describe('the API server', () => {
  let cluster: KubeCluster;
  let isOurs = false;
  let changed = 0;

  beforeAll(async () => {
    cluster = await suiteCluster();
    isOurs = await isDefinitionOurs(cluster);
    if (!isOurs)
      throw new Error('E2E_KUBECONFIG has Walrus: run without e2e/crd, which changes it');
    await cluster.kubectl(['apply', '--server-side', '-f', CRD]);
    await cluster.kubectl(['wait', '--for=condition=Established', '-f', CRD, '--timeout=60s']);
    await cluster.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } }]);
  });

  afterAll(async () => {
    if (!isOurs) return;
    await cluster.kubectl(['delete', 'namespace', NAMESPACE, '--wait', '--timeout=120s']);
    // Others install it by the chart, which takes none that is there already.
    await removeDefinition(cluster);
  });

  /** @returns The refusal; '' when it is taken. */
  async function answerTo(args: readonly string[], spec?: Fields, name = 'sea'): Promise<string> {
    const object = {
      apiVersion: 'walrus.io/v1alpha1',
      kind: 'WalrusCluster',
      metadata: { name, namespace: NAMESPACE },
      spec,
    };
    const input = spec === undefined ? undefined : JSON.stringify(object);
    try {
      await cluster.kubectl([...args, '-n', NAMESPACE], input);
      return '';
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return error.message;
    }
  }

  test.each(CREATIONS)('decides on a new %j', async ({ name, spec, refusal }) => {
    const create = ['create', '--dry-run=server', '--validate=strict', '-f', '-'];
    const answer = await answerTo(create, spec, name);
    if (refusal === undefined) expect(answer).toBe('');
    else expect(answer).toContain(refusal);
  });

  test.each(['walrus-cluster', 'production', 'development'])(
    'takes the example %s',
    async (name) => {
      const file = path.join(ROOT, 'crds', 'examples', `${name}.yaml`);
      const args = ['create', '--dry-run=server', '--validate=strict', '-f', file];
      expect(await answerTo(args)).toBe('');
    },
  );

  test.each(CHANGES)('decides on a change %j', async ({ before, patch, refusal }) => {
    changed += 1;
    const name = `sea-${changed}`;
    expect(await answerTo(['create', '-f', '-'], before, name)).toBe('');
    const body = JSON.stringify({ spec: patch });
    const args = ['patch', 'wc', name, '--dry-run=server', '--type=merge', '-p', body];
    const answer = await answerTo(args);
    if (refusal === undefined) expect(answer).toBe('');
    else expect(answer).toContain(refusal);
  });

  test('checks the scale subresource by the same rules', async () => {
    expect(await answerTo(['create', '-f', '-'], { replicas: 3 }, 'scaled')).toBe('');
    expect(await answerTo(['scale', 'wc/scaled', '--replicas=2'])).toContain('replicas must be 1');
    expect(await answerTo(['scale', 'wc/scaled', '--replicas=5'])).toBe('');
  });

  test('is asked about every rule in CEL, for both answers', () => {
    const refusals = [...CREATIONS, ...CHANGES].flatMap(({ refusal }) => refusal ?? []);
    for (const message of messages(customResourceDefinition())) {
      expect([message, refusals.some((refusal) => message.startsWith(refusal))]).toEqual([
        message,
        true,
      ]);
    }
  });
});
