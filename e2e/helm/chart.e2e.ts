import { beforeAll, describe, expect, test } from '@jest/globals';
import fs from 'node:fs/promises';
import path from 'node:path';
import { LocalCluster, suiteCluster } from '../kube/cluster.ts';
import { run } from '../kube/commands.ts';
import { ROOT } from '../kube/root.ts';
import { pathsOf } from '../kube/spec.ts';

const CHART = path.join(ROOT, 'helm', 'walrus');
/** What the chart makes of these values, kept to be read; the first is also what people apply without Helm. */
const GOLDEN: readonly (readonly [file: string, values: readonly string[]])[] = [
  ['walrus-operator.yaml', ['--include-crds']],
  [
    'golden/one-namespace.yaml',
    ['--set=operator.watchNamespace=sea', '--set=cluster.enabled=true'],
  ],
  [
    'golden/monitoring.yaml',
    [
      '--show-only=templates/monitoring.yaml',
      '--set=monitoring.podMonitor=true,monitoring.prometheusRule=true,monitoring.labels.release=prom',
      '--set=monitoring.runbookUrl=https://git.example.com/walrus/docs/operations.md',
    ],
  ],
];
/** `UPDATE_GOLDEN=1 npm run e2e -- e2e/helm` writes them anew. */
const isUpdate = (process.env['UPDATE_GOLDEN'] ?? '') !== '';

describe('the chart', () => {
  let binary: string;

  beforeAll(async () => {
    const cluster = await suiteCluster();
    binary =
      cluster instanceof LocalCluster ? path.join(pathsOf(cluster.spec.dir).bin, 'helm') : 'helm';
  });

  test('has nothing that helm lint minds', async () => {
    expect(await run(binary, ['lint', '--strict', CHART])).toContain('0 chart(s) failed');
  });

  test.each(GOLDEN)('makes helm/%s', async (file, values) => {
    const name = ['template', 'walrus', CHART, '--namespace=walrus-system'];
    const made = await run(binary, [...name, '--skip-tests', ...values]);
    const golden = path.join(ROOT, 'helm', file);
    if (isUpdate) await fs.writeFile(golden, made);
    expect(made).toBe(await fs.readFile(golden, 'utf8'));
  });

  test('tells in its notes what a release looks after, and that it leaves alone what another one does', async () => {
    const notes = async (...values: readonly string[]): Promise<string> => {
      const args = ['install', 'walrus', CHART, '--dry-run=client', ...values];
      return (await run(binary, args)).split('\nNOTES:\n')[1] ?? '';
    };
    const alone =
      /^A cluster that another installation looks after is left alone: .*OtherOperator/m;
    expect(await notes()).toMatch(alone);
    const ofOne = await notes('--set=operator.watchNamespace=sea');
    expect(ofOne).toContain('it looks after the clusters of namespace sea.');
    expect(ofOne).toMatch(alone);
  });

  test.each([
    ['operator.replicas=9', 'maximum'],
    ['operator.logLevel=loud', 'logLevel'],
    ['oprator.replicas=1', 'oprator'],
    ['monitoring.runbookUrl=docs/operations.md', 'runbookUrl'],
  ])('refuses %s', async (value, why) => {
    const args = ['template', 'walrus', CHART, `--set=${value}`];
    await expect(run(binary, args)).rejects.toThrow(why);
  });
});
