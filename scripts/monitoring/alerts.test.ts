import { beforeAll, describe, expect, test } from '@jest/globals';
import fs from 'node:fs';
import path from 'node:path';
import { ERROR_CODES } from '../../base/errors.ts';
import { Registry } from 'prom-client';
import { PrometheusMetrics } from '../../node/io/metrics.ts';
import { CONDITION_REASONS } from '../../operator/api/conditions.ts';
import type { ConditionType } from '../../operator/api/conditions.ts';
import { clusterAlerts, operatorAlerts } from '../../operator/desired/alerts.ts';
import { knownMetrics, problemsOf, selectorsOf } from './testing/knownMetrics.ts';
import type { KnownMetrics } from './testing/knownMetrics.ts';

const ROOT = path.resolve(__dirname, '..', '..');
const RUNBOOK = 'https://git.example.com/walrus/docs/operations.md';
const RULES = [...clusterAlerts(null, RUNBOOK), ...operatorAlerts(RUNBOOK)].flatMap(
  ({ rules }) => rules,
);
const SELECTORS = RULES.flatMap(({ expr }) => selectorsOf(expr));

function read(file: string): string {
  return fs.readFileSync(path.join(ROOT, 'docs', file), 'utf8');
}

/** The values that the alerts ask a label of a metric for. */
function valuesOf(metric: string, label: string): readonly string[] {
  return SELECTORS.filter((selector) => selector.metric === metric)
    .flatMap(({ matchers }) => matchers.filter((matcher) => matcher.label === label))
    .flatMap(({ value }) => value.split('|'));
}

describe('the alerts', () => {
  let known: KnownMetrics;

  beforeAll(async () => {
    known = await knownMetrics();
  });

  test.each(RULES)('$alert asks for what there is', ({ expr }) => {
    expect(problemsOf(expr, known)).toEqual([]);
  });

  test('would be found out if they asked for anything else', () => {
    expect(problemsOf('walrus_raft_leader == 0', known)).toEqual(['no metric walrus_raft_leader']);
    expect(problemsOf('sum by (topic) (walrus_replicas{status="open"})', known)).toEqual([
      'walrus_replicas has no label status',
      'nothing has the label topic',
    ]);
  });

  test('ask for error codes that there are, and that are counted from zero on', async () => {
    const registry = new Registry();
    new PrometheusMetrics(registry);
    const text = await registry.metrics();
    const codes = valuesOf('walrus_errors_total', 'code');
    expect(codes.length).toBeGreaterThan(0);
    for (const code of codes) {
      expect(Object.keys(ERROR_CODES)).toContain(code);
      expect(text).toContain(`code="${code}"} 0`);
    }
  });

  test('ask for conditions and reasons that there are', () => {
    const types = valuesOf('walrus_operator_cluster_condition', 'type');
    expect(types.length).toBeGreaterThan(0);
    for (const type of types) expect(Object.keys(CONDITION_REASONS)).toContain(type);
    const reasons = types.flatMap((type) => Object.keys(CONDITION_REASONS[type as ConditionType]));
    for (const reason of valuesOf('walrus_operator_cluster_condition', 'reason'))
      expect(reasons).toContain(reason);
  });
});

describe('docs/operations.md', () => {
  const entries = read('operations.md').split(/^## /m).slice(1);

  test('has an entry for each alert, where its link leads, and no other', () => {
    const headings = entries.map((entry) => entry.split('\n')[0]?.trim() ?? '');
    expect(headings).toEqual(RULES.map(({ alert }) => alert));
    const anchors = headings.map((heading) => `${RUNBOOK}#${heading.toLowerCase()}`);
    expect(RULES.map(({ annotations }) => annotations['runbook_url'])).toEqual(anchors);
  });

  test.each(entries)('says what it means, where to look, what to do: %s', (entry) => {
    expect(entry).toMatch(/\nMeans: .+\n(?:.+\n)*\nLook: .+\n(?:.+\n)*\nDo: .+/);
  });

  test('uses commands that there are', () => {
    const commands = new Set([...read('cli.md').matchAll(/^## (.+)$/gm)].map(([, name]) => name));
    const groups = new Set([...commands].map((name) => name?.split(' ')[0]));
    const used = [
      ...read('operations.md').matchAll(/(?:^|[`] *|-- )walrus ([a-z-]+)(?: ([a-z-]+))?/gm),
    ];
    expect(used.length).toBeGreaterThan(10);
    for (const [, first = '', second = ''] of used) {
      expect(groups).toContain(first);
      if (!commands.has(first)) expect(commands).toContain(`${first} ${second}`);
    }
  });
});
