/** One pass over one cluster: observe, desired, plan, apply, status. Everything is seen anew each time. */
import { isDeepStrictEqual } from 'node:util';
import { between, randomHex } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import { OPERATOR_ANNOTATION, operatorOf } from '../api/walrusCluster.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import type { Applier } from '../apply/applier.ts';
import type { EventRecorder } from '../apply/events.ts';
import { desired } from '../desired/desired.ts';
import { isMonitoring } from '../desired/monitoring.ts';
import type { OperatorDefaults } from '../desired/types.ts';
import { isKubeError, isRefusal } from '../kube/api.ts';
import type { KubeError } from '../kube/api.ts';
import { AdminRefusal } from '../observe/adminClient.ts';
import type { Observer } from '../observe/observer.ts';
import type { Observed } from '../observe/types.ts';
import { refusal } from '../plan/children.ts';
import { plan } from '../plan/plan.ts';
import { BUSY } from '../plan/refusedAction.ts';
import type { RefusedAction } from '../plan/refusedAction.ts';
import { statusOf } from '../plan/status.ts';
import { MESSAGE_LENGTH_MAX } from '../plan/step.ts';
import type { Finding } from '../plan/step.ts';
import { transitions } from '../plan/transitions.ts';
import type { Plan, RiskyAction, Write } from '../plan/types.ts';
import { OptionalWrites } from './optionalWrites.ts';

const CLUSTER_ID_BYTES = 16;
/** Of the longest time between two passes. */
const RESYNC_SHARE_MIN = 0.8;

/** Until somebody mends something: a hook, permissions, a second budget, nodes of an earlier version. */
const LASTING: ReadonlySet<string> = new Set(['Refused', 'NotSupported']);
/** Clusters that are gone are not forgotten one by one. */
const REFUSED_MAX = 1000;

/** A write that the API server does not take. */
interface Refused {
  readonly error: KubeError;
  readonly finding: Finding;
}

/** What came of the writes of a pass. */
interface Written {
  readonly refused: readonly Refused[];
  /** On what holds up nothing. */
  readonly remarks: readonly Finding[];
}

export interface ReconcilerOptions {
  /** Of this installation: `namespace/name`. */
  readonly lease: string;
  readonly random: Random;
  readonly defaults: OperatorDefaults;
  readonly observer: Observer;
  readonly applier: Applier;
  readonly events: EventRecorder;
  /** Told of each risky action that was done, for the metrics. */
  readonly onAction: (action: RiskyAction) => void;
  /** At most, between two passes over a cluster in which nothing happens. */
  readonly resyncMs: number;
}

export class Reconciler {
  readonly #options: ReconcilerOptions;
  /** What was refused in the last pass over a cluster, by its UID. */
  readonly #refused = new Map<string, RefusedAction>();
  readonly #optional = new OptionalWrites();

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
    const refusedAction = this.#refused.get(cluster.metadata.uid) ?? null;
    const given = { desired: wanted, observed, newClusterId, refusedAction };
    const first = plan(given);
    const { refused, remarks } = await this.#writeAll(observed, first.writes);
    const [failure] = refused;
    // Told like everything else, before the pass fails for it.
    const refusals = refused.map(({ finding }) => finding);
    const isTaken = refusals.length + remarks.length === 0;
    const next = isTaken ? first : plan({ ...given, refusals, remarks });
    // Before an action that may take long; after the writes, which are by the resourceVersion that was read.
    const status = statusOf(wanted, observed, next);
    // Told before the status forgets the state before: an operator that dies in between tells the same once more.
    const told = [...next.events, ...transitions(cluster.status, status)];
    for (const event of told) await events.record(cluster, event);
    if (!isDeepStrictEqual(status, cluster.status)) await applier.writeStatus(cluster, status);
    if (failure !== undefined) throw failure.error;
    const isRefused = await this.#act(observed, next);
    // Clusters that came at the same moment (another operator leads) do not come together for ever.
    const idleMs = between(random, Math.ceil(resyncMs * RESYNC_SHARE_MIN), resyncMs);
    return isRefused ? idleMs : Math.min(next.requeueAfterMs ?? idleMs, resyncMs);
  }

  /** A child that is refused does not keep the others from being made. */
  async #writeAll(observed: Observed, writes: readonly Write[]): Promise<Written> {
    const refused: Refused[] = [];
    const remarks: Finding[] = [];
    for (const write of writes) {
      if (isOptional(write)) remarks.push(...(await this.#tryToWrite(observed, write)));
      else refused.push(...(await this.#write(observed.cluster, write)));
    }
    return { refused, remarks };
  }

  async #write(cluster: WalrusCluster, write: Write): Promise<readonly Refused[]> {
    try {
      await this.#options.applier.write(cluster, write);
      return [];
    } catch (error) {
      const child = childOf(write);
      if (child === null || !isRefusal(error)) throw error;
      return [{ error, finding: refusal(child, error.message) }];
    }
  }

  async #tryToWrite(
    { cluster, nowMs }: Observed,
    write: OptionalWrite,
  ): Promise<readonly Finding[]> {
    const { applier, events } = this.#options;
    const { kind, name } = childOf(write);
    const key = `${cluster.metadata.uid} ${kind}/${name}`;
    const said = this.#optional.refusal(key, write, nowMs);
    if (said !== null) return remarksOf(write, said);
    try {
      await applier.write(cluster, write);
      this.#optional.done(key);
      return [];
    } catch (error) {
      if (!isKubeError(error)) throw error;
      const message = `${kind} ${name} was not written: ${error.message}`;
      const reason = isMonitoring({ kind }) ? 'MonitoringRefused' : 'NoteRefused';
      this.#optional.refused(key, { write, message, nowMs });
      await events.record(cluster, { type: 'Warning', reason, message });
      return remarksOf(write, message);
    }
  }

  /** @returns Whether it was refused again, and in a way that lasts: it is tried again less often. */
  async #act(observed: Observed, { risky, eventsOfRisky }: Plan): Promise<boolean> {
    const { applier, events, onAction } = this.#options;
    const { cluster } = observed;
    const before = this.#refused.get(cluster.metadata.uid);
    this.#refused.delete(cluster.metadata.uid);
    if (risky === null) return false;
    try {
      await applier.act(observed, risky);
    } catch (error) {
      if (!(error instanceof AdminRefusal)) throw error;
      await this.#noteRefusal(cluster, { action: risky, error });
      return LASTING.has(error.reason) && before?.reason === error.reason;
    }
    onAction(risky);
    for (const event of eventsOfRisky) await events.record(cluster, event);
    return false;
  }

  /** A No is an answer: the next pass asks anew, and its status says what was refused. */
  async #noteRefusal(
    cluster: WalrusCluster,
    { action, error }: { readonly action: RiskyAction; readonly error: AdminRefusal },
  ): Promise<void> {
    const { reason, message } = error;
    if (this.#refused.size >= REFUSED_MAX) this.#refused.clear();
    this.#refused.set(cluster.metadata.uid, { action, reason, message });
    if (reason === BUSY) return;
    await this.#options.events.record(cluster, {
      type: 'Warning',
      reason: 'ActionRefused',
      message: `${action.type} was refused (${reason}): ${message}`,
    });
  }
}

type OptionalWrite = Exclude<Write, { type: 'Annotate' }>;

/** What only helps people to look, and what is for a cluster's next life. */
function isOptional(write: Write): write is OptionalWrite {
  if (write.type === 'NoteClaim') return write.isPrecaution;
  const child = childOf(write);
  return child !== null && isMonitoring(child);
}

function remarksOf(write: OptionalWrite, why: string): readonly Finding[] {
  const message = why.slice(0, MESSAGE_LENGTH_MAX);
  return write.type === 'NoteClaim' ? [] : [{ type: 'Monitored', reason: 'Refused', message }];
}

interface Child {
  readonly kind: string;
  readonly name: string;
}

function childOf(write: OptionalWrite): Child;
function childOf(write: Write): Child | null;
function childOf(write: Write): Child | null {
  if (write.type === 'Apply') return { kind: write.object.kind, name: write.object.metadata.name };
  if (write.type === 'NoteClaim') return { kind: 'PersistentVolumeClaim', name: write.name };
  return write.type === 'Delete' ? write : null;
}
