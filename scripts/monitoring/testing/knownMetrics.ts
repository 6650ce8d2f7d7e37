/** All metrics that nodes and operators have, with their labels, from the code that registers them. */
import { Registry } from 'prom-client';
import { OperatorMetrics } from '../../../operator/controller/metrics.ts';
import { PrometheusMetrics, addProcessMetrics, registerGauges } from '../../../node/io/metrics.ts';

/** What a Prometheus gives every series of ours (docs/kubernetes.md). */
const TARGET_LABELS = ['namespace', 'pod', 'walrus_cluster'];
const HISTOGRAM_SUFFIXES = ['_bucket', '_count', '_sum'];

/** Labels by the name that a query uses. */
export type KnownMetrics = ReadonlyMap<string, ReadonlySet<string>>;

export async function knownMetrics(): Promise<KnownMetrics> {
  const registry = new Registry();
  new PrometheusMetrics(registry);
  registerGauges(registry, () => null);
  const idle = { clusters: [], queueDepth: 0, lease: '', isLeading: false, isSynced: true };
  new OperatorMetrics(registry).observe(idle, 0);
  addProcessMetrics(registry);
  const known = new Map<string, ReadonlySet<string>>([['up', new Set(TARGET_LABELS)]]);
  for (const { name, type } of await registry.getMetricsAsJSON()) {
    // prom-client keeps the names of labels out of its types.
    const { labelNames } = registry.getSingleMetric(name) as unknown as { labelNames: string[] };
    const labels = [...labelNames, ...TARGET_LABELS];
    if (String(type) !== 'histogram') known.set(name, new Set(labels));
    else for (const end of HISTOGRAM_SUFFIXES) known.set(name + end, new Set([...labels, 'le']));
  }
  registry.clear();
  return known;
}

const SELECTOR = /\b(?<name>up|(?:walrus|process|nodejs)_\w+)\b(?:\{(?<matchers>[^}]*)\})?/g;
const MATCHER = /(?<label>\w+)\s*(?:=~|!~|!=|=)\s*"(?<value>[^"]*)"/g;
const GROUPING = /\b(?:by|on|group_left|group_right|without)\s*\((?<labels>[^)]*)\)/g;

export interface Selector {
  readonly metric: string;
  readonly matchers: readonly { readonly label: string; readonly value: string }[];
}

/** The series that a query reads. */
export function selectorsOf(expr: string): readonly Selector[] {
  const withoutGroupings = expr.replaceAll(GROUPING, '');
  return [...withoutGroupings.matchAll(SELECTOR)].map(({ groups = {} }) => ({
    metric: groups['name'] ?? '',
    matchers: [...(groups['matchers'] ?? '').matchAll(MATCHER)].map(({ groups: matcher = {} }) => ({
      label: matcher['label'] ?? '',
      value: matcher['value'] ?? '',
    })),
  }));
}

/** Labels by which it groups. */
export function groupingsOf(expr: string): readonly string[] {
  return [...expr.matchAll(GROUPING)].flatMap(({ groups = {} }) =>
    (groups['labels'] ?? '').split(',').map((label) => label.trim()),
  );
}

/** What is wrong with a query: metrics and labels that nobody has. */
export function problemsOf(expr: string, known: KnownMetrics): readonly string[] {
  const selectors = selectorsOf(expr);
  const ofSelectors = selectors.flatMap(({ metric, matchers }) => {
    const labels = known.get(metric);
    if (labels === undefined) return [`no metric ${metric}`];
    return matchers
      .filter(({ label }) => !labels.has(label))
      .map(({ label }) => `${metric} has no label ${label}`);
  });
  const grouped = groupingsOf(expr)
    .filter((label) => label !== '')
    .filter((label) => !selectors.some(({ metric }) => known.get(metric)?.has(label)))
    .map((label) => `nothing has the label ${label}`);
  return [...(selectors.length === 0 ? ['no metric at all'] : []), ...ofSelectors, ...grouped];
}
