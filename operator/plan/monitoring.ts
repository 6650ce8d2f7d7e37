/** Whether the objects for a Prometheus operator are there. Nothing else of a cluster depends on them. */
import type { Judgement } from '../api/conditions.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { namesOf } from '../desired/names.ts';
import { requestedKinds } from '../desired/monitoring.ts';
import { keyOf } from './children.ts';
import type { Situation } from './situation.ts';
import type { Event } from './types.ts';

function nameOf(cluster: WalrusCluster, kind: 'PodMonitor' | 'PrometheusRule'): string {
  const { podMonitor, prometheusRule } = namesOf(cluster);
  return kind === 'PodMonitor' ? podMonitor : prometheusRule;
}

export function monitored({ observed }: Situation): Judgement<'Monitored'> {
  const { cluster, unserved, children } = observed;
  const kinds = requestedKinds(cluster);
  if (kinds.length === 0) return ['False', 'NotRequested', ''];
  const absences = kinds.flatMap((kind) => unserved.get(kind) ?? []);
  if (absences.length > 0) return ['False', 'ApiMissing', absences.join('; ')];
  const keys = kinds.map((kind) => keyOf({ kind, name: nameOf(cluster, kind) }));
  const foreign = keys.filter((key) => children.get(key)?.isOwned === false);
  if (foreign.length > 0) {
    return ['False', 'ForeignObject', `Belongs to somebody else: ${foreign.join(', ')}`];
  }
  const missing = keys.filter((key) => !children.has(key));
  if (missing.length > 0) return ['False', 'Pending', `Not there yet: ${missing.join(', ')}`];
  return ['True', 'Created', ''];
}

/** Once, when it is found out; the condition goes on saying it. */
export function tellOfMonitoring(situation: Situation): readonly Event[] {
  const [, reason, message] = monitored(situation);
  const { conditions = [] } = situation.observed.cluster.status ?? {};
  const isKnown = conditions.some((last) => last.type === 'Monitored' && last.reason === reason);
  if (reason !== 'ApiMissing' || isKnown) return [];
  return [{ type: 'Warning', reason: 'MonitoringApiMissing', message }];
}
