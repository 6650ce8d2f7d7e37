import { describe, expect, test } from '@jest/globals';
import { ModelCluster } from './testing/model.ts';
import type { Plan } from './types.ts';

const ABSENCE = 'The API server has no PodMonitor (monitoring.coreos.com/v1)';

function running(): ModelCluster {
  const cluster = new ModelCluster(3);
  for (let i = 0; i < 20; i++) {
    cluster.pass();
    cluster.tick();
  }
  expect(cluster.isDone).toBe(true);
  return cluster;
}

function conditionOf({ conditions }: Plan, type: string): string {
  const found = conditions.find((condition) => condition.type === type);
  return `${found?.status} ${found?.reason}`;
}

function kindsOf({ writes }: Plan): readonly string[] {
  return writes.map((write) => {
    if (write.type === 'Annotate' || write.type === 'NoteClaim') return write.type;
    return `${write.type} ${write.type === 'Apply' ? write.object.kind : write.kind}`;
  });
}

const BOTH = { podMonitor: true, prometheusRule: true };

describe('monitoring', () => {
  test('is made when asked for, and taken away when not any more', () => {
    const cluster = running();
    expect(conditionOf(cluster.pass(), 'Monitored')).toBe('False NotRequested');
    cluster.change({ monitoring: BOTH });
    const made = cluster.pass();
    expect(kindsOf(made)).toEqual(['Apply PodMonitor', 'Apply PrometheusRule']);
    expect(conditionOf(made, 'Monitored')).toBe('False Pending');
    const after = cluster.pass();
    expect(kindsOf(after)).toEqual([]);
    expect(conditionOf(after, 'Monitored')).toBe('True Created');
    cluster.change({ monitoring: { ...BOTH, podMonitor: false } });
    expect(kindsOf(cluster.pass())).toEqual(['Delete PodMonitor']);
    expect(conditionOf(cluster.pass(), 'Monitored')).toBe('True Created');
  });

  test('that the API server does not have is told and waits, and nothing else does', () => {
    const cluster = running();
    cluster.unserved.set('PodMonitor', ABSENCE);
    cluster.change({ monitoring: { podMonitor: true, prometheusRule: false } });
    const told = cluster.pass();
    expect(kindsOf(told)).toEqual([]);
    expect(conditionOf(told, 'Monitored')).toBe('False ApiMissing');
    expect(conditionOf(told, 'Ready')).toBe('True AllNodesServe');
    expect(told.events).toEqual([
      { type: 'Warning', reason: 'MonitoringApiMissing', message: ABSENCE },
    ]);
    cluster.unserved.clear();
    expect(kindsOf(cluster.pass())).toEqual(['Apply PodMonitor']);
  });

  test('that is missing is told with the first status that says so', () => {
    const cluster = new ModelCluster(3);
    cluster.unserved.set('PodMonitor', ABSENCE);
    cluster.change({ monitoring: { podMonitor: true, prometheusRule: false } });
    const first = cluster.pass(); // who the cluster is, and nothing else
    expect(conditionOf(first, 'Monitored')).toBe('False ApiMissing');
    expect(first.events.map(({ reason }) => reason)).toEqual(['MonitoringApiMissing']);
  });

  test('of somebody else under that name is left alone, and stops nothing', () => {
    const cluster = running();
    cluster.change({ monitoring: BOTH });
    cluster.pass();
    cluster.disown('PodMonitor', 'sea');
    cluster.change({ image: 'better' });
    const next = cluster.pass();
    expect(kindsOf(next)).toEqual(['Apply StatefulSet']);
    expect(conditionOf(next, 'Monitored')).toBe('False ForeignObject');
    expect(conditionOf(next, 'ConfigurationValid')).toBe('True Valid');
  });

  test('comes after what a cluster needs', () => {
    const cluster = new ModelCluster(3);
    cluster.change({ monitoring: BOTH });
    cluster.pass(); // who the cluster is
    const kinds = kindsOf(cluster.pass());
    expect(kinds.slice(-3)).toEqual([
      'Apply StatefulSet',
      'Apply PodMonitor',
      'Apply PrometheusRule',
    ]);
  });
});
