/** The files for whoever watches Walrus, made from code: alerts as the chart and as any Prometheus takes them, dashboards as Grafana does. Pure. */
import { stringify } from 'yaml';
import { DASHBOARDS } from './dashboards/index.ts';
import { dashboardJson } from './dashboards/json.ts';
import { clusterAlerts, operatorAlerts } from '../../operator/desired/alerts.ts';

export interface MadeFile {
  /** From the root of the checkout. */
  readonly path: string;
  readonly content: string;
}

const HEADER = '# Made by `npm run monitoring` from operator/desired/alerts.ts.\n';

function yaml(value: unknown): string {
  return HEADER + stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}

export function monitoringFiles(): readonly MadeFile[] {
  return [
    {
      path: 'helm/walrus/files/operator-alerts.yaml',
      content: yaml({ groups: operatorAlerts(null) }),
    },
    {
      path: 'helm/walrus-alerts.yaml',
      content: yaml({ groups: [...clusterAlerts(null, null), ...operatorAlerts(null)] }),
    },
    ...DASHBOARDS.map((dashboard) => ({
      path: `helm/walrus/dashboards/${dashboard.uid}.json`,
      content: `${JSON.stringify(dashboardJson(dashboard), null, 2)}\n`,
    })),
  ];
}
