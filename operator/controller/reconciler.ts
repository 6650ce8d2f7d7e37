/** One pass over one cluster: observe, desired, plan, apply, status. Everything is seen anew each time. */
import { isDeepStrictEqual } from 'node:util';
import { randomHex } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import type { Applier } from '../apply/applier.ts';
import type { EventRecorder } from '../apply/events.ts';
import { desired } from '../desired/desired.ts';
import { isMonitoring } from '../desired/monitoring.ts';
import type { OperatorDefaults } from '../desired/types.ts';
import { isKubeError } from '../kube/api.ts';
import { AdminRefusal } from '../observe/adminClient.ts';
import type { Observer } from '../observe/observer.ts';
import type { Observed } from '../observe/types.ts';
import { plan } from '../plan/plan.ts';
import { statusOf } from '../plan/status.ts';
import { transitions } from '../plan/transitions.ts';
import type { Plan, RiskyAction, Write } from '../plan/types.ts';

const CLUSTER_ID_BYTES = 16;

export interface ReconcilerOptions {
  readonly random: Random;
  readonly defaults: OperatorDefaults;
  readonly observer: Observer;
  readonly applier: Applier;
  readonly events: EventRecorder;
  /** Told of each risky action, for the metrics. */
  readonly onAction: (action: RiskyAction) => void;
  /** Between two passes over a cluster in which nothing happens. */
  readonly resyncMs: number;
}

export class Reconciler {
  readonly #options: ReconcilerOptions;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /**
   * @returns after how many ms to come again.
   * @throws {KubeError}, {Deposed}
   */
  async reconcile(cluster: WalrusCluster): Promise<number> {
    const { observer, defaults, random, applier, events, resyncMs } = this.#options;
    const wanted = desired(cluster, { defaults });
    const observed = await observer.observe(cluster, wanted);
    const newClusterId = randomHex(random, CLUSTER_ID_BYTES);
    const next = plan({ desired: wanted, observed, newClusterId });
    for (const write of next.writes) await this.#write(cluster, write);
    // Before an action that may take long; after the writes, which are by the resourceVersion that was read.
    const status = statusOf(wanted, observed, next);
    // Told before the status forgets the state before: an operator that dies in between tells the same once more.
    const told = [...next.events, ...transitions(cluster.status, status)];
    for (const event of told) await events.record(cluster, event);
    if (!isDeepStrictEqual(status, cluster.status)) await applier.writeStatus(cluster, status);
    await this.#act(observed, next);
    return Math.min(next.requeueAfterMs ?? resyncMs, resyncMs);
  }

  /** What only helps people to look holds up nothing: an admission hook may refuse it. */
  async #write(cluster: WalrusCluster, write: Write): Promise<void> {
    const { applier, events } = this.#options;
    try {
      await applier.write(cluster, write);
    } catch (error) {
      const kind = kindOfWrite(write);
      if (kind === null || !isMonitoring({ kind }) || !isKubeError(error)) throw error;
      const message = `${kind} was not written: ${error.message}`;
      await events.record(cluster, { type: 'Warning', reason: 'MonitoringRefused', message });
    }
  }

  async #act(observed: Observed, { risky }: Plan): Promise<void> {
    if (risky === null) return;
    this.#options.onAction(risky);
    try {
      await this.#options.applier.act(observed, risky);
    } catch (error) {
      // A node's No is an answer: the next pass asks anew.
      if (!(error instanceof AdminRefusal)) throw error;
      const message = `${risky.type} was refused (${error.reason}): ${error.message}`;
      await this.#options.events.record(observed.cluster, {
        type: 'Warning',
        reason: 'ActionRefused',
        message,
      });
    }
  }
}

function kindOfWrite(write: Write): string | null {
  if (write.type === 'Apply') return write.object.kind;
  return write.type === 'Delete' ? write.kind : null;
}
