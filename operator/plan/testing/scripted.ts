/** What a plan is put through by construction: where chance would seldom come. */
import type { Plan } from '../types.ts';
import { ModelCluster } from './model.ts';
import { ROLLING, check, conditionOf, settle } from './randomRuns.ts';

/** A change to a cluster that is whole; then what `trouble` does to it; then nobody may be restarted. @returns the last plan. */
function changed(trouble: (cluster: ModelCluster) => void): { cluster: ModelCluster; last: Plan } {
  const cluster = new ModelCluster(3);
  settle(cluster);
  cluster.change({ image: 'better' });
  trouble(cluster);
  const before = uids(cluster);
  let last = cluster.pass();
  for (let i = 0; i < 20; i++) {
    cluster.tick();
    last = cluster.pass();
    check(cluster);
  }
  if (uids(cluster) !== before) throw new Error('NoRefusedRestart: a pod is another one');
  return { cluster, last };
}

function uids(cluster: ModelCluster): string {
  return cluster
    .observe()
    .pods.map(({ uid }) => uid)
    .join(' ');
}

function checkEnd(cluster: ModelCluster): void {
  const last = settle(cluster);
  check(cluster);
  if (conditionOf(last, 'Ready') === 'True AllNodesServe') return;
  throw new Error(`Converges: ${JSON.stringify(last.operation)}`);
}

/**
 * The nodes refuse all restarts.
 * @returns what was said meanwhile.
 * @throws {Error} that begins with the property that does not hold.
 */
export function checkRefused(): Plan {
  const { cluster, last } = changed(({ nodes }) => {
    nodes.isRefusing = true;
  });
  cluster.nodes.isRefusing = false;
  checkEnd(cluster);
  return last;
}

/**
 * All hosts are cut off, and their nodes serve on.
 * @throws {Error} that begins with the property that does not hold.
 */
export function checkCutOff(): void {
  const { cluster } = changed((troubled) => {
    troubled.isCutOff = true;
  });
  cluster.isCutOff = false;
  checkEnd(cluster);
}

/**
 * Fewer nodes than there are: members stay, and one that waits for the host that it had; one that never found a host goes.
 * @throws {Error} that begins with the property that does not hold.
 */
export function checkFewer(): void {
  const cluster = new ModelCluster(4);
  settle(cluster);
  cluster.nodes.isClosed = true;
  cluster.change({ replicas: 5 });
  passes(cluster);
  // It ran, and did not join: its volume is there.
  cluster.hostless.add(5);
  cluster.losePod(5);
  cluster.change({ replicas: 3 });
  passes(cluster);
  cluster.hostless.clear();
  cluster.nodes.isClosed = false;
  cluster.change({ replicas: 5 });
  checkEnd(cluster);
  cluster.hostless.add(6);
  cluster.change({ replicas: 6 });
  passes(cluster);
  cluster.change({ replicas: 5 });
  checkEnd(cluster);

  // Before it has begun the same.
  const fresh = new ModelCluster(9);
  for (const ordinal of [1, 4, 5, 6, 7, 8, 9]) fresh.hostless.add(ordinal);
  passes(fresh);
  fresh.change({ replicas: 2 });
  passes(fresh);
  fresh.hostless.clear();
  fresh.change({ replicas: 3 });
  checkEnd(fresh);
}

/**
 * Made again on its claims: one that never began begins, one that did never does again, whether its volumes are gone or it
 * began with a version that noted nothing.
 * @throws {Error} that begins with the property that does not hold.
 */
export function checkMadeAgain(): void {
  const fresh = new ModelCluster(3);
  fresh.badImages.add('bad');
  fresh.change({ image: 'bad' });
  passes(fresh);
  fresh.recreate();
  fresh.change({ image: 'good' });
  checkEnd(fresh);
  fresh.recreate();
  checkEnd(fresh);

  // It says so between its end and the next one's beginning, whether it was part of a cluster or not.
  const stopping = new ModelCluster(3);
  stopping.badImages.add('bad');
  stopping.change({ image: 'bad' });
  passes(stopping);
  stopping.recreate();
  stopping.hostless.add(3);
  stopping.change({ image: 'good' });
  passes(stopping);
  stopping.nodes.stopping.add(2);
  passes(stopping);
  stopping.nodes.stopping.clear();
  stopping.hostless.clear();
  checkEnd(stopping);

  const wiped = new ModelCluster(3);
  settle(wiped);
  wiped.wipe();
  wiped.recreate();
  passes(wiped);

  const older = new ModelCluster(3);
  settle(older);
  older.forgetNotes();
  older.loseDisk(1);
  older.hostless.add(2).add(3);
  older.recreate();
  passes(older);
  older.hostless.clear();
  passes(older);
}

/**
 * A node too many finds no host, and a change comes: it waits, for a host or for the node to be taken back. A changed placement
 * reaches the node itself.
 * @throws {Error} that begins with the property that does not hold.
 */
export function checkHostWanted(): void {
  for (const mend of ['host', 'replicas', 'placement'] as const) {
    const cluster = new ModelCluster(3);
    settle(cluster);
    cluster.hostless.add(4);
    cluster.change({ replicas: 4 });
    passes(cluster);
    cluster.change({ image: 'better' });
    passes(cluster);
    const waits = conditionOf(cluster.pass(), 'UpgradeBlocked');
    if (waits !== 'True NodeWithoutHost') throw new Error(`SaysWhatIsWanted: ${waits}`);
    if (mend === 'replicas') cluster.change({ replicas: 3 });
    if (mend === 'placement') {
      const before = cluster.observe().pods[3]?.uid;
      cluster.change({ image: 'best' });
      passes(cluster);
      if (cluster.observe().pods[3]?.uid === before) throw new Error('Converges: node 4 is old');
    }
    if (mend !== 'replicas') cluster.hostless.clear();
    checkEnd(cluster);
  }
}

/**
 * The annotation that says on which disk it began is gone from a cluster that serves: it is written again.
 * @throws {Error} that begins with the property that does not hold.
 */
export function checkForgotten(): void {
  const cluster = new ModelCluster(3);
  settle(cluster);
  cluster.forgetBeginning();
  cluster.change({ replicas: 5 });
  passes(cluster);
  checkEnd(cluster);
  // Nobody can be asked, and the first node has a new disk: the claims of the others know that it began.
  cluster.forgetBeginning();
  cluster.loseDisk(1);
  for (const ordinal of [2, 3, 4, 5]) {
    cluster.hostless.add(ordinal);
    cluster.losePod(ordinal);
  }
  passes(cluster);
}

function passes(cluster: ModelCluster): void {
  for (let i = 0; i < 20; i++) {
    cluster.pass();
    cluster.tick();
    check(cluster);
  }
}

/**
 * A new revision hangs, in no trouble that anybody sees, and containers of the old one start again: one after the other, at once, and
 * with their registry away. Reverting heals.
 * @throws {Error} that begins with the property that does not hold.
 */
export function checkHanging(): void {
  const cluster = new ModelCluster(5);
  settle(cluster);
  cluster.hangingImages.add('hanging');
  cluster.change({ image: 'hanging' });
  passes(cluster);
  for (const ordinals of [[4], [3], [4, 3, 2]]) {
    for (const ordinal of ordinals) cluster.restartContainer(ordinal);
    passes(cluster);
  }
  cluster.unpulled.add(3).add(4);
  for (const ordinal of [3, 4]) cluster.restartContainer(ordinal);
  passes(cluster);
  cluster.wait();
  passes(cluster);
  cluster.unpulled.clear();
  cluster.change({ image: 'good' });
  checkEnd(cluster);
}

/**
 * Containers end and start again where a change is stopped, by a failure of its own or by hand.
 * @throws {Error} that begins with the property that does not hold.
 */
export function checkStartingAgain(strategy: 'Rolling' | 'Paused'): void {
  const cluster = new ModelCluster(5);
  settle(cluster);
  cluster.badImages.add('bad');
  cluster.isFlickering = true;
  cluster.change({
    image: strategy === 'Paused' ? 'better' : 'bad',
    upgrade: { ...ROLLING, strategy },
  });
  const restarts: readonly (() => void)[] = [
    () => undefined,
    () => cluster.restartContainer(4),
    () => cluster.restartContainer(3),
    // Its image is away for longer than anything is waited for.
    () => {
      cluster.unpulled.add(3);
      cluster.restartContainer(3);
      cluster.tick();
      cluster.wait();
    },
  ];
  for (const restart of restarts) {
    restart();
    passes(cluster);
    if (strategy === 'Rolling') checkTold(cluster);
  }
  cluster.unpulled.clear();
  cluster.change({ image: 'good', upgrade: ROLLING });
  const { operation } = settle(cluster);
  check(cluster);
  if (operation !== null) throw new Error(`Converges: ${JSON.stringify(operation)}`);
}

/** Whatever its container does between two crashes. */
function checkTold(cluster: ModelCluster): void {
  for (let i = 0; i < 4; i++) {
    cluster.tick();
    const said = conditionOf(cluster.pass(), 'UpgradeBlocked');
    if (said !== 'True NewRevisionFails') throw new Error(`FailureStaysTold: ${said}`);
  }
}
