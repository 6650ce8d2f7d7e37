/** Every alert, by promtool: it fires when it should, says what it should, and not when it should not. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import { clusterAlerts, operatorAlerts } from '../../operator/desired/alerts.ts';
import { run } from '../kube/commands.ts';
import { ROOT } from '../kube/root.ts';
import type { AlertCase } from './alertCase.ts';
import { CLUSTER_ALERT_CASES } from './clusterAlertCases.ts';
import { OPERATOR_ALERT_CASES } from './operatorAlertCases.ts';
import { prometheusDir } from './prometheus.ts';

const BUILD_MS_MAX = 20 * 60_000;
const RULES = path.join(ROOT, 'helm', 'walrus-alerts.yaml');
const ALERT_CASES = [...CLUSTER_ALERT_CASES, ...OPERATOR_ALERT_CASES];
const GROUPS = [...clusterAlerts(null, null), ...operatorAlerts(null)];

interface Expected {
  readonly exp_labels: Readonly<Record<string, string>>;
  readonly exp_annotations: Readonly<Record<string, string>>;
}

describe('the alerts', () => {
  let promtool: string;
  let folder: string;

  beforeAll(async () => {
    promtool = path.join(await prometheusDir(), 'promtool');
    folder = await fs.mkdtemp(path.join(os.tmpdir(), 'walrus-alerts-'));
  }, BUILD_MS_MAX);

  afterAll(() => fs.rm(folder, { recursive: true, force: true }));

  /** @throws {CommandError} with promtool's words about what it got instead. */
  async function promtoolTest(
    { series, at }: AlertCase['silent'],
    alertname: string,
    expected: readonly Expected[],
  ): Promise<void> {
    const input_series = Object.entries(series).map(([name, values]) => ({ series: name, values }));
    const alert_rule_test = [{ eval_time: at, alertname, exp_alerts: expected }];
    const content = {
      rule_files: [RULES],
      evaluation_interval: '1m',
      tests: [{ interval: '1m', input_series, alert_rule_test }],
    };
    const file = path.join(folder, 'test.yaml');
    await fs.writeFile(file, stringify(content));
    await run(promtool, ['test', 'rules', file]);
  }

  test('are rules that promtool takes', async () => {
    const said = await run(promtool, ['check', 'rules', '--lint=all', '--lint-fatal', RULES]);
    expect(said).toContain('SUCCESS');
  });

  test('and the scrape configuration of docs/kubernetes.md is one that Prometheus takes', async () => {
    const page = await fs.readFile(path.join(ROOT, 'docs', 'kubernetes.md'), 'utf8');
    const given = /```\n(?<yaml>scrape_configs:[^`]+)```/.exec(page)?.groups?.['yaml'] ?? '';
    const file = path.join(folder, 'documented.yaml');
    await fs.copyFile(RULES, path.join(folder, path.basename(RULES)));
    await fs.writeFile(file, given);
    expect(await run(promtool, ['check', 'config', file])).toContain('SUCCESS');
  });

  test('are all tested', () => {
    const declared = GROUPS.flatMap(({ rules }) => rules.map(({ alert }) => alert));
    expect([...new Set(ALERT_CASES.map(({ alert }) => alert))]).toEqual(declared);
  });

  test.each(ALERT_CASES)('$alert fires, and says why', async ({ alert, fires }) => {
    const rule = GROUPS.flatMap(({ rules }) => rules).find((each) => each.alert === alert);
    const { summary = '', description = '' } = rule?.annotations ?? {};
    const said = descriptionOf(description, fires);
    await promtoolTest(fires, alert, [
      {
        exp_labels: { ...fires.labels, ...rule?.labels },
        exp_annotations: { summary, description: said },
      },
    ]);
  });

  test.each(ALERT_CASES)('$alert is silent when it should be', async ({ alert, silent }) => {
    await promtoolTest(silent, alert, []);
  });
});

/** The description with its labels and its value filled in. */
function descriptionOf(template: string, { labels, value = '' }: AlertCase['fires']): string {
  return template
    .replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => labels[label] ?? '')
    .replaceAll(/\{\{ \$value[^}]*\}\}/g, value);
}
