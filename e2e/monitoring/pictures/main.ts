/**
 * Draws the dashboards into docs/images, with the data of a Prometheus that watches a cluster:
 * `node e2e/monitoring/pictures/main.ts --prometheus http://HOST:PORT --namespace N --cluster C [--minutes 10]`.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { DASHBOARDS } from '../../../scripts/monitoring/dashboards/index.ts';
import { dashboardJson } from '../../../scripts/monitoring/dashboards/json.ts';
import type { Dashboard, Panel } from '../../../scripts/monitoring/dashboards/panel.ts';
import { ROOT } from '../../kube/root.ts';
import { PrometheusApi } from '../prometheusApi.ts';
import { drawing } from './svg.ts';
import type { Placed, Shown } from './svg.ts';

const POINTS = 200;
const RATE_INTERVAL = '30s';

interface View {
  readonly prometheus: PrometheusApi;
  readonly variables: Readonly<Record<string, string>>;
  readonly range: readonly [startSeconds: number, endSeconds: number];
}

function filled(words: string, { variables }: View): string {
  return Object.entries(variables).reduce(
    (left, [name, value]) => left.replaceAll(`$${name}`, value),
    words,
  );
}

function legendOf(legend: string, metric: Shown['metric']): string {
  return legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? '');
}

async function shownIn(panel: Panel, view: View): Promise<readonly Shown[]> {
  const { prometheus, range } = view;
  const [start, end] = range;
  const ofQueries = await Promise.all(
    panel.queries.map(async ({ expr, legend }) => {
      const query = filled(expr, view);
      const lines =
        panel.type === 'timeseries'
          ? await prometheus.queryRange(query, [start, end, (end - start) / POINTS])
          : (await prometheus.query(query)).map(({ metric, value }) => ({
              metric,
              points: [[end, value] as const],
            }));
      return lines.map((line) => ({ ...line, legend: legendOf(legend, line.metric) }));
    }),
  );
  return ofQueries.flat();
}

async function draw(dashboard: Dashboard, view: View): Promise<string> {
  const panels = dashboard.rows.flatMap((row) => [row.title, ...row.panels]);
  const { panels: places } = dashboardJson(dashboard) as {
    panels: readonly { readonly gridPos: Placed['gridPos'] }[];
  };
  const placed = await Promise.all(
    places.map(async ({ gridPos }, index): Promise<Placed> => {
      const panel = panels[index] ?? '';
      if (typeof panel === 'string') return { type: 'row', title: filled(panel, view), gridPos };
      return { type: 'panel', panel, gridPos, shown: await shownIn(panel, view) };
    }),
  );
  return drawing({ title: dashboard.title, placed, range: view.range });
}

const { values } = parseArgs({
  options: {
    prometheus: { type: 'string', default: 'http://127.0.0.1:9090' },
    namespace: { type: 'string', default: 'default' },
    cluster: { type: 'string', default: 'walrus' },
    minutes: { type: 'string', default: '10' },
  },
});
const now = Math.floor(Date.now() / 1000);
const view: View = {
  prometheus: new PrometheusApi(values.prometheus),
  variables: {
    namespace: values.namespace,
    cluster: values.cluster,
    pod: '.*',
    __rate_interval: RATE_INTERVAL,
  },
  range: [now - Number(values.minutes) * 60, now],
};
const folder = path.join(ROOT, 'docs', 'images');
await fs.mkdir(folder, { recursive: true });
for (const dashboard of DASHBOARDS) {
  const file = path.join(folder, `${dashboard.uid}.svg`);
  await fs.writeFile(file, await draw(dashboard, view));
  process.stdout.write(`${path.relative(ROOT, file)}\n`);
}
