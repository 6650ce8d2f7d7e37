import { describe, expect, test } from '@jest/globals';
import { BOOTSTRAP_DISK_ANNOTATION, CLUSTER_ID_ANNOTATION } from '../api/walrusCluster.ts';
import { desired } from '../desired/desired.ts';
import { plan } from './plan.ts';
import { ModelCluster } from './testing/model.ts';
import { transitions } from './transitions.ts';
import type { Plan } from './types.ts';
import { checkPlans, conditionOf, settle } from './testing/randomRuns.ts';
import {
  checkCutOff,
  checkFewer,
  checkForgotten,
  checkHanging,
  checkHostWanted,
  checkMadeAgain,
  checkRefused,
  checkStartingAgain,
} from './testing/scripted.ts';

/** @returns the last plan. */
function pass(cluster: ModelCluster, times: number): Plan {
  let last = cluster.pass();
  for (let i = 1; i < times; i++) {
    cluster.tick();
    last = cluster.pass();
  }
  return last;
}

function uids(cluster: ModelCluster): readonly string[] {
  return cluster.observe().pods.map(({ uid }) => uid);
}

describe('a plan', () => {
  test.each([1, 3, 5])('brings %i nodes up, and then does nothing more', (replicas) => {
    const cluster = new ModelCluster(replicas);
    const last = settle(cluster);
    expect(cluster.violations).toEqual([]);
    expect(conditionOf(last, 'Ready')).toBe('True AllNodesServe');
    expect(conditionOf(last, 'Progressing')).toBe('False Stable');
    expect(last.requeueAfterMs).toBeNull();
    const { annotations } = cluster.observe().cluster.metadata;
    expect(annotations?.[CLUSTER_ID_ANNOTATION]).toMatch(/^[0-9]{32}$/);
    expect(annotations?.[BOOTSTRAP_DISK_ANNOTATION]).toMatch(/^disk-/);
  });

  test('whatever happens: safe at every step, and done once it is quiet', () => {
    checkPlans({ numRuns: 1000 });
  });

  test('a new revision that does not run stops at one pod, and reverting it heals', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.badImages.add('bad');
    cluster.change({ image: 'bad' });
    let last = cluster.pass();
    for (let i = 0; i < 50; i++) {
      cluster.tick();
      last = cluster.pass();
    }
    const { pods } = cluster.observe();
    expect(pods.filter(({ trouble }) => trouble !== null)).toHaveLength(1);
    expect(conditionOf(last, 'UpgradeBlocked')).toBe('True NewRevisionFails');
    expect(conditionOf(last, 'Available')).toBe('True QuorumServes');
    cluster.change({ image: 'good' });
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
    expect(cluster.violations).toEqual([]);
  });

  test.each(['Rolling', 'Paused'] as const)(
    'where a change is stopped, a container that starts again stays what it is (%s)',
    (strategy) => checkStartingAgain(strategy),
  );

  test('a revision that hangs is given to nobody who only starts again', checkHanging);

  test('a revision that fails on one node still reaches what has been broken for long', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.badImages.add('bad').add('worse');
    cluster.change({ image: 'bad' });
    pass(cluster, 20);
    const before = uids(cluster);
    cluster.change({ image: 'worse' });
    cluster.losePod(1);
    pass(cluster, 20);
    cluster.wait();
    pass(cluster, 20);
    expect(uids(cluster).filter((uid) => before.includes(uid))).toHaveLength(1);
    cluster.change({ image: 'good' });
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
  });

  test('more nodes and more voters in one change: nodes first, then voters; and back to fewer voters', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.change({ replicas: 5, metadataVoters: 5 });
    const done: string[] = [];
    for (let i = 0; i < 60; i++) {
      const { risky, conditions } = cluster.pass();
      if (risky !== null) done.push(risky.type);
      // Nobody is told that it is done before as many vote.
      const isReady = conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
      expect(isReady).toBe(isReady && cluster.nodes.voterCount === 5);
      cluster.tick();
    }
    expect(done).toEqual(['Scale', 'Scale', 'SetVoters']);
    cluster.change({ metadataVoters: 1 });
    expect(conditionOf(cluster.pass(), 'Progressing')).toBe('True ChangingVoters');
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
    expect(cluster.nodes.voterCount).toBe(1);
    cluster.change({ metadataVoters: 5 });
    cluster.losePod(2);
    expect(cluster.pass().risky).toBeNull();
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
    expect(cluster.nodes.voterCount).toBe(5);
    expect(cluster.violations).toEqual([]);
  });

  test('a change of the voters is no change of the pods', () => {
    const cluster = new ModelCluster(5);
    settle(cluster);
    const before = uids(cluster);
    cluster.change({ metadataVoters: 5 });
    settle(cluster);
    expect(uids(cluster)).toEqual(before);
  });

  test('the only voter of three is restarted without handing over: there is nobody to take it', () => {
    const cluster = new ModelCluster(3);
    cluster.change({ metadataVoters: 1 });
    settle(cluster);
    cluster.change({ image: 'better' });
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
    expect(cluster.violations).toEqual([]);
  });

  test('nobody is restarted whose host a node that never had one would take', checkHostWanted);

  test('a new revision that crashes is told once, whatever its container does between two crashes', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.badImages.add('bad');
    cluster.isFlickering = true;
    cluster.change({ image: 'bad' });
    pass(cluster, 10);
    const said = Array.from({ length: 6 }, () => {
      const { conditions } = pass(cluster, 2);
      return conditions.find(({ type }) => type === 'UpgradeBlocked');
    });
    expect(said[0]).toMatchObject({ status: 'True', reason: 'NewRevisionFails' });
    expect(new Set(said.map((condition) => JSON.stringify(condition))).size).toBe(1);
    cluster.change({ image: 'good' });
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
  });

  test('a failure is told on while something else is under way, and while it is paused', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.badImages.add('bad');
    cluster.isFlickering = true;
    cluster.change({ image: 'bad' });
    pass(cluster, 10);
    for (const change of [{ replicas: 5 }, { paused: true }, { paused: false }]) {
      cluster.change(change);
      const said = Array.from({ length: 8 }, () => {
        cluster.tick();
        return conditionOf(cluster.pass(), 'UpgradeBlocked');
      });
      expect(new Set(said)).toEqual(new Set(['True NewRevisionFails']));
    }
    expect(pass(cluster, 2).operation).toMatchObject({ kind: 'Roll', step: 'stopped' });
    cluster.change({ image: 'good' });
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
    expect(cluster.violations).toEqual([]);
  });

  test('the only node, and so the last of a roll, fails like any other', () => {
    const cluster = new ModelCluster(1);
    settle(cluster);
    cluster.badImages.add('bad');
    cluster.change({ image: 'bad' });
    expect(conditionOf(pass(cluster, 20), 'UpgradeBlocked')).toBe('True NewRevisionFails');
    cluster.change({ image: 'good' });
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
  });

  test('the last of a roll is late like any other', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.change({ image: 'better' });
    for (let i = 0; i < 60; i++) {
      cluster.pass();
      cluster.tick();
      const { pods, statefulSet } = cluster.observe();
      const old = pods.filter(({ revision }) => revision !== statefulSet?.updateRevision);
      if (statefulSet?.updateRevision === '2' && old.length === 0) break;
    }
    cluster.nodes.isSlow = true;
    pass(cluster, 5);
    cluster.wait();
    expect(conditionOf(pass(cluster, 2), 'UpgradeBlocked')).toBe('True CatchUpTimedOut');
    cluster.nodes.isSlow = false;
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
  });

  test('a member without a host is waited for in a change, which it is not the fault of', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.hostless.add(2);
    cluster.losePod(2);
    pass(cluster, 5);
    cluster.change({ image: 'better' });
    const last = pass(cluster, 20);
    expect(conditionOf(last, 'UpgradeBlocked')).toBe('False NotBlocked');
    expect(last.operation).toMatchObject({ kind: 'Roll', ordinal: 2, blockedBy: 'Unschedulable' });
    cluster.wait();
    expect(conditionOf(pass(cluster, 2), 'UpgradeBlocked')).toBe('True CatchUpTimedOut');
    cluster.hostless.clear();
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
    expect(cluster.violations).toEqual([]);
  });

  test('a pod that never joined, and does not go, is not what a roll waits for', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.nodes.isClosed = true;
    cluster.change({ replicas: 4 });
    pass(cluster, 6);
    cluster.terminating.add(4);
    cluster.change({ image: 'better' });
    pass(cluster, 60);
    const revisions = new Map(cluster.observe().pods.map((pod) => [pod.ordinal, pod.revision]));
    expect([1, 2, 3, 4].map((ordinal) => revisions.get(ordinal))).toEqual(['2', '2', '2', '1']);
    expect(cluster.violations).toEqual([]);
  });

  test('a node is late when the time is over in which it was waited for, not when it lags once after long', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.change({ image: 'better' });
    pass(cluster, 12);
    cluster.nodes.isRefusing = true;
    pass(cluster, 10);
    cluster.wait();
    const current = cluster.observe().pods.find(({ revision }) => revision === '2')?.ordinal ?? 0;
    cluster.nodes.isSlow = true;
    cluster.nodes.lag(current);
    expect(conditionOf(pass(cluster, 5), 'UpgradeBlocked')).toBe('False NotBlocked');
    cluster.wait();
    expect(conditionOf(pass(cluster, 5), 'UpgradeBlocked')).toBe('True CatchUpTimedOut');
    Object.assign(cluster.nodes, { isSlow: false, isRefusing: false });
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
  });

  test('a cluster of which no node answers is not one that grows', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.isCutOff = true;
    expect(pass(cluster, 2).operation).toMatchObject({ kind: 'Recover', ordinal: null });
    cluster.change({ replicas: 4 });
    const last = pass(cluster, 3);
    expect(last.operation).toMatchObject({ step: 'waiting for the nodes to answer' });
    expect(conditionOf(last, 'Progressing')).toBe('True Recovering');
  });

  test('while it begins, that is all that is told: neither growth nor nodes that are down', () => {
    const cluster = new ModelCluster(1);
    pass(cluster, 1);
    cluster.change({ replicas: 3 });
    const told: string[] = [];
    for (let i = 0; i < 40; i += 1) {
      const before = cluster.observe().cluster.status;
      const { operation, events, eventsOfRisky } = cluster.pass();
      const { status } = cluster.observe().cluster;
      const changes = status === undefined ? [] : transitions(before, status);
      const all = [...events, ...eventsOfRisky, ...changes];
      told.push(operation?.kind ?? '-', ...all.map(({ reason }) => reason));
      cluster.tick();
    }
    expect([...new Set(told)].sort()).toEqual(['-', 'Bootstrap', 'Bootstrapping']);
  });

  test('a member that is lost while a new one waits for a host is told', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.hostless.add(4);
    cluster.change({ replicas: 4 });
    expect(pass(cluster, 8).operation).toMatchObject({ kind: 'ScaleOut', ordinal: 4 });
    cluster.hostless.add(2);
    cluster.losePod(2);
    const before = cluster.observe().cluster.status;
    const { operation } = pass(cluster, 1);
    expect(operation).toMatchObject({ kind: 'Recover', ordinal: 2 });
    const { status } = cluster.observe().cluster;
    if (status === undefined) throw new Error('no status');
    expect(transitions(before, status).map(({ reason }) => reason)).toEqual(['NodesDown']);
  });

  test('who is down and finds no host stays down, though nodes that answer from memory take it for alive', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.hostless.add(2);
    cluster.losePod(2);
    expect(conditionOf(pass(cluster, 2), 'Degraded')).toBe('True NodesDown');
    cluster.nodes.isCredulous = true;
    expect(conditionOf(pass(cluster, 2), 'Degraded')).toBe('True NodesDown');
    cluster.hostless.clear();
    expect(conditionOf(settle(cluster), 'Degraded')).toBe('False AsWanted');
  });

  test('paused: a change that is not made is not Ready, of whatever object', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.change({ paused: true, monitoring: { podMonitor: true, prometheusRule: false } });
    expect(conditionOf(pass(cluster, 2), 'Ready')).toBe('False Paused');
    cluster.change({ monitoring: { podMonitor: false, prometheusRule: false } });
    expect(conditionOf(pass(cluster, 2), 'Ready')).toBe('True AllNodesServe');
    const fresh = new ModelCluster(3);
    fresh.change({ paused: true });
    expect(conditionOf(pass(fresh, 2), 'Ready')).toBe('False Paused');
  });

  test('a drained node is the first that a change restarts, which ends the drain', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.nodes.drain(2);
    cluster.change({ image: 'better' });
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
    expect(cluster.violations).toEqual([]);
  });

  test('Ready is not said of a change that has only been written, and a second one does not end the roll', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.change({ image: 'better' });
    expect(conditionOf(cluster.pass(), 'Ready')).toBe('False InProgress');
    expect(conditionOf(cluster.pass(), 'Ready')).toBe('False InProgress');
    cluster.tick();
    expect(cluster.pass().operation?.kind).toBe('Roll');
    cluster.change({ image: 'best' });
    expect(cluster.pass().operation?.kind).toBe('Roll');
    expect(cluster.pass().operation?.kind).toBe('Roll');
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
    cluster.change({ paused: true, image: 'better' });
    expect(conditionOf(cluster.pass(), 'Ready')).toBe('False Paused');
    expect(cluster.violations).toEqual([]);
  });

  test('no node is restarted while the nodes refuse it, and the roll goes on once they do not', () => {
    expect(conditionOf(checkRefused(), 'UpgradeBlocked')).toBe('True RestartRefused');
  });

  test('fewer nodes: only who never had a host, and so no volume, is taken back', checkFewer);

  test('fewer nodes are refused, with a condition, and nothing is done', () => {
    const cluster = new ModelCluster(5);
    settle(cluster);
    cluster.change({ replicas: 3 });
    const last = cluster.pass();
    expect(last.risky).toBeNull();
    expect(conditionOf(last, 'ConfigurationValid')).toBe('False ScaleInNotSupported');
    expect(conditionOf(last, 'Ready')).toBe('False ConfigurationInvalid');
    cluster.change({ replicas: 5 });
    expect(conditionOf(settle(cluster), 'ConfigurationValid')).toBe('True Valid');
  });

  test(
    'nodes that serve are not restarted for want of readiness, however many are cut off',
    checkCutOff,
  );

  test('what serves without getting ready is restarted first, when the nodes allow it', () => {
    const cluster = new ModelCluster(3);
    cluster.sickImages.add('sick');
    settle(cluster);
    cluster.change({ image: 'sick' });
    for (let i = 0; i < 20; i++) {
      cluster.tick();
      cluster.pass();
    }
    const sick = cluster.observe().pods.filter(({ isReady }) => !isReady);
    expect(sick).toHaveLength(1);
    cluster.change({ image: 'good' });
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
    expect(cluster.violations).toEqual([]);
  });

  test('nobody is added before all that are there have caught up', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.losePod(2);
    cluster.nodes.isSlow = true;
    cluster.change({ replicas: 5 });
    for (let i = 0; i < 10; i++) {
      cluster.tick();
      expect(cluster.pass().risky).toBeNull();
    }
    cluster.nodes.isSlow = false;
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
    expect(cluster.violations).toEqual([]);
  });

  test('a cluster that is made again on its volumes is found, and not begun', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    const id = cluster.observe().cluster.metadata.annotations?.[CLUSTER_ID_ANNOTATION];
    cluster.recreate();
    const last = settle(cluster);
    expect(conditionOf(last, 'Ready')).toBe('True AllNodesServe');
    expect(cluster.observe().cluster.metadata.annotations?.[CLUSTER_ID_ANNOTATION]).toBe(id);
    expect(cluster.violations).toEqual([]);
  });

  test('volumes that are being deleted are waited for, and a new cluster begins without them', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    const id = cluster.observe().cluster.metadata.annotations?.[CLUSTER_ID_ANNOTATION];
    cluster.isDroppingVolumes = true;
    cluster.recreate();
    for (let i = 0; i < 5; i++) {
      cluster.tick();
      const last = cluster.pass();
      expect([last.writes, last.risky]).toEqual([[], null]);
      expect(conditionOf(last, 'Progressing')).toBe('True Waiting');
    }
    cluster.dropVolumes();
    expect(conditionOf(settle(cluster), 'Ready')).toBe('True AllNodesServe');
    expect(cluster.observe().cluster.metadata.annotations?.[CLUSTER_ID_ANNOTATION]).not.toBe(id);
    expect(cluster.violations).toEqual([]);
  });

  test(
    'made again on its claims: who never began begins, who did never does again',
    checkMadeAgain,
  );

  test('where a cluster began is written down again when it has been lost', checkForgotten);

  test('a cluster whose volumes are all new is not begun again, and says so', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.wipe();
    cluster.recreate();
    const last = pass(cluster, 10);
    expect(conditionOf(last, 'ConfigurationValid')).toBe('False BootstrapDiskLost');
    expect(cluster.violations).toEqual([]);
  });

  test('the disk on which a cluster began is lost before anybody joined: it never begins again', () => {
    const cluster = new ModelCluster(1);
    settle(cluster);
    cluster.loseDisk(1);
    let last = cluster.pass();
    for (let i = 0; i < 10; i++) {
      cluster.tick();
      last = cluster.pass();
    }
    expect(conditionOf(last, 'ConfigurationValid')).toBe('False BootstrapDiskLost');
    expect(cluster.violations).toEqual([]);
  });

  test('a deletion is told, and nothing is done', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.delete();
    cluster.losePod(2);
    const last = pass(cluster, 1);
    expect([last.writes, last.risky, last.requeueAfterMs]).toEqual([[], null, null]);
    expect(last.operation).toMatchObject({ kind: 'Delete' });
    expect(conditionOf(last, 'Progressing')).toBe('True Deleting');
    expect(conditionOf(last, 'Ready')).toBe('False Deleting');
  });

  test('while something is refused it is said that the next restart waits for it, as long as the status takes', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.change({ image: 'better' });
    let observed = cluster.observe();
    for (let i = 0; i < 5 && cluster.pass().risky === null; i++) {
      cluster.tick();
      observed = cluster.observe();
    }
    const defaults = { imageRepository: 'walrus', version: '1.0.0' };
    const refused = plan({
      desired: desired(observed.cluster, { defaults }),
      observed,
      newClusterId: '',
      refusals: [
        { type: 'ConfigurationValid', reason: 'Refused', message: 'no'.repeat(1000) },
        { type: 'UpgradeBlocked', reason: 'RestartRefused', message: 'no'.repeat(1000) },
      ],
    });
    expect(refused.risky).toBeNull();
    expect(refused.operation).toMatchObject({ kind: 'Roll', blockedBy: 'Refused' });
    const lengths = refused.conditions.map(({ message }) => message.length);
    expect(Math.max(...lengths)).toBe(1024);
  });

  test('paused: looks, and does nothing', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.change({ paused: true, image: 'better', replicas: 5 });
    const last = cluster.pass();
    expect([last.writes, last.risky]).toEqual([[], null]);
    expect(conditionOf(last, 'Paused')).toBe('True SpecPaused');
  });

  test('a paused upgrade changes the template and restarts nobody', () => {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.change({ image: 'better', upgrade: { strategy: 'Paused', catchUpTimeout: '10m' } });
    const last = pass(cluster, 3);
    expect(last.risky).toBeNull();
    expect(conditionOf(last, 'UpgradeBlocked')).toBe('True StrategyPaused');
  });
});
