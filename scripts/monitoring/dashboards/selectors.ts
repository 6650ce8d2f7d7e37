/** What the dashboards' variables select. */
import type { Variable } from './panel.ts';

const CLUSTER = 'namespace="$namespace", walrus_cluster="$cluster"';

/** A metric of the chosen cluster. */
export function ofCluster(metric: string, matchers = ''): string {
  return `${metric}{${CLUSTER}${matchers === '' ? '' : `, ${matchers}`}}`;
}

/** A metric of the chosen nodes of the chosen cluster. */
export function ofPods(metric: string, matchers = ''): string {
  return ofCluster(metric, `pod=~"$pod"${matchers === '' ? '' : `, ${matchers}`}`);
}

/** `rate` over what fits the resolution. */
export function rate(selector: string): string {
  return `rate(${selector}[$__rate_interval])`;
}

/** One series for each pod, also when a pod that was made anew has another address. */
export function byPod(expr: string): string {
  return `max by (pod) (${expr})`;
}

/** Namespace and cluster, by the series of `metric`. */
export function clusterVariables(metric: string): readonly Variable[] {
  return [
    { name: 'namespace', label: 'Namespace', query: `label_values(${metric}, namespace)` },
    {
      name: 'cluster',
      label: 'Cluster',
      query: `label_values(${metric}{namespace="$namespace"}, walrus_cluster)`,
    },
  ];
}

export const POD_VARIABLE: Variable = {
  name: 'pod',
  label: 'Node',
  query: `label_values(${ofCluster('walrus_raft_term')}, pod)`,
  isMulti: true,
};
