/** One pass over one cluster: observe, desired, plan, apply, status. Everything is seen anew each time. */
import { isDeepStrictEqual } from 'node:util';
import { randomHex } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import { OPERATOR_ANNOTATION, operatorOf } from '../api/walrusCluster.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import type { Applier } from '../apply/applier.ts';
import type { EventRecorder } from '../apply/events.ts';
import { desired } from '../desired/desired.ts';
import { isMonitoring } from '../desired/monitoring.ts';
import type { OperatorDefaults } from '../desired/types.ts';
import { isKubeError } from '../kube/api.ts';
import type { KubeError } from '../kube/api.ts';
import { AdminRefusal } from '../observe/adminClient.ts';
import type { Observer } from '../observe/observer.ts';
import type { Observed } from '../observe/types.ts';
import { refusal } from '../plan/children.ts';
import { plan } from '../plan/plan.ts';
import { statusOf } from '../plan/status.ts';
import type { Finding } from '../plan/step.ts';
import { transitions } from '../plan/transitions.ts';
import type { Plan, RiskyAction, Write } from '../plan/types.ts';

const CLUSTER_ID_BYTES = 16;
/** Answers about the object itself: malformed (also 500, from server-side apply), forbidden, over a quota, invalid, too large. */
const REFUSALS: ReadonlySet<number> = new Set([400, 403, 413, 422, 500]);

/** A write that the API server does not take. */
interface Refused {
  readonly error: KubeError;
  readonly finding: Finding;
}

export interface ReconcilerOptions {
  /** Of this installation: `namespace/name`. */
  readonly lease: string;
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
   * @returns after how many ms to come again; null: when it has changed.
   * @throws {KubeError}, {Deposed}
   */
  async reconcile(cluster: WalrusCluster): Promise<number | null> {
    const { lease } = this.#options;
    const operator = operatorOf(cluster);
    if (operator === null) await this.#claim(cluster);
    else if (operator !== lease) await this.#leave(cluster, operator);
    else return this.#keep(cluster);
    return null;
  }

  /** By the version that was read: of several who try, one wins; it begins when it has read that it did. */
  async #claim(cluster: WalrusCluster): Promise<void> {
    const { applier, lease } = this.#options;
    const { resourceVersion } = cluster.metadata;
    const annotations = { [OPERATOR_ANNOTATION]: lease };
    await applier.write(cluster, { type: 'Annotate', annotations, resourceVersion });
  }

  async #leave(cluster: WalrusCluster, operator: string): Promise<void> {
    const { events, lease } = this.#options;
    const message = `The operator ${operator} looks after it (annotation ${OPERATOR_ANNOTATION}): ${lease} does nothing`;
    await events.record(cluster, { type: 'Warning', reason: 'OtherOperator', message });
  }

  async #keep(cluster: WalrusCluster): Promise<number> {
    const { observer, defaults, random, applier, events, resyncMs } = this.#options;
    const wanted = desired(cluster, { defaults });
    const observed = await observer.observe(cluster, wanted);
    const newClusterId = randomHex(random, CLUSTER_ID_BYTES);
    const given = { desired: wanted, observed, newClusterId };
    const first = plan(given);
    const refused = await this.#writeAll(cluster, first.writes);
    const [failure] = refused;
    // Told like everything else, before the pass fails for it.
    const refusals = refused.map(({ finding }) => finding);
    const next = failure === undefined ? first : plan({ ...given, refusals });
    // Before an action that may take long; after the writes, which are by the resourceVersion that was read.
    const status = statusOf(wanted, observed, next);
    // Told before the status forgets the state before: an operator that dies in between tells the same once more.
    const told = [...next.events, ...transitions(cluster.status, status)];
    for (const event of told) await events.record(cluster, event);
    if (!isDeepStrictEqual(status, cluster.status)) await applier.writeStatus(cluster, status);
    if (failure !== undefined) throw failure.error;
    await this.#act(observed, next);
    return Math.min(next.requeueAfterMs ?? resyncMs, resyncMs);
  }

  /** A child that is refused does not keep the others from being made. */
  async #writeAll(cluster: WalrusCluster, writes: readonly Write[]): Promise<readonly Refused[]> {
    const refused: Refused[] = [];
    for (const write of writes) {
      const answer = await this.#write(cluster, write);
      if (answer !== null) refused.push(answer);
    }
    return refused;
  }

  async #write(cluster: WalrusCluster, write: Write): Promise<Refused | null> {
    const { applier, events } = this.#options;
    try {
      await applier.write(cluster, write);
      return null;
    } catch (error) {
      const child = childOf(write);
      if (child === null || !isKubeError(error)) throw error;
      // What only helps people to look holds up nothing.
      if (isMonitoring(child)) {
        const message = `${child.kind} was not written: ${error.message}`;
        await events.record(cluster, { type: 'Warning', reason: 'MonitoringRefused', message });
        return null;
      }
      if (!REFUSALS.has(error.status)) throw error;
      return { error, finding: refusal(child, error.message) };
    }
  }

  async #act(observed: Observed, { risky, eventsOfRisky }: Plan): Promise<void> {
    if (risky === null) return;
    this.#options.onAction(risky);
    try {
      await this.#options.applier.act(observed, risky);
      for (const event of eventsOfRisky) {
        await this.#options.events.record(observed.cluster, event);
      }
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

function childOf(write: Write): { readonly kind: string; readonly name: string } | null {
  if (write.type === 'Apply') return { kind: write.object.kind, name: write.object.metadata.name };
  if (write.type === 'NoteClaim') return { kind: 'PersistentVolumeClaim', name: write.name };
  return write.type === 'Delete' ? write : null;
}
