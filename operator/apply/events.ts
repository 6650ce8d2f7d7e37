/**
 * Events of a WalrusCluster, for `kubectl describe` and `kubectl get events`: of v1, since those sort by times that events.k8s.io does not
 * let a client set. The same one of the same generation within a while is told once. Its name
 * follows from what it says and from the state in which it was said, so that an operator that takes over after a crash
 * does not say it again.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { isKubeError } from '../kube/api.ts';
import type { Json, KubeApi } from '../kube/api.ts';
import { assertHeld, microTime } from '../kube/lease.ts';
import type { Term } from '../kube/lease.ts';
import { collectionPath, kindOf } from '../kube/paths.ts';
import type { Event } from '../plan/types.ts';

const EVENT = kindOf('Event');
const REPEAT_MS = 10 * 60_000;
const REMEMBERED_MAX = 1000;
const MESSAGE_LENGTH_MAX = 1024;
const DIGEST_LENGTH = 16;

export interface EventRecorderOptions {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly term: Term;
  readonly logger: Logger;
  readonly identity: string;
}

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #toldAtMs = new Map<string, number>();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** An event that cannot be told is a line in the log. @throws {Deposed} */
  async record(cluster: WalrusCluster, event: Event): Promise<void> {
    const { api, term, logger } = this.#options;
    const { namespace, name, uid, generation, resourceVersion } = cluster.metadata;
    const { reason, message, subject = '' } = event;
    const what = `${uid} ${generation} ${reason} ${message} ${subject}`;
    if (!this.#isNew(what)) return;
    assertHeld(term);
    try {
      await api.request({
        method: 'POST',
        signal: term.signal,
        path: collectionPath(EVENT, namespace),
        body: {
          ...this.#body(cluster, event),
          metadata: { name: `${name}.${digestOf(`${what} ${resourceVersion}`)}`, namespace },
        },
      });
    } catch (error) {
      if (!isKubeError(error)) throw error;
      if (error.status === 409) return; // told before a crash
      logger.log('warn', 'an event was not recorded', { event: reason, reason: error.message });
    }
  }

  #body({ apiVersion, kind, metadata }: WalrusCluster, { type, reason, message }: Event): Json {
    const { clock, identity } = this.#options;
    const { namespace, name, uid, resourceVersion } = metadata;
    const now = clock.wallMs();
    const time = new Date(now).toISOString();
    return {
      ...{ apiVersion: EVENT.apiVersion, kind: EVENT.kind, type, reason, action: reason },
      message: message.slice(0, MESSAGE_LENGTH_MAX),
      involvedObject: { apiVersion, kind, namespace, name, uid, resourceVersion },
      ...{ firstTimestamp: time, lastTimestamp: time, eventTime: microTime(now), count: 1 },
      source: { component: 'walrus-operator' },
      ...{ reportingComponent: 'walrus.io/operator', reportingInstance: identity },
    };
  }

  #isNew(key: string): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    const toldAtMs = this.#toldAtMs.get(key);
    if (toldAtMs !== undefined && nowMs - toldAtMs < REPEAT_MS) return false;
    if (this.#toldAtMs.size >= REMEMBERED_MAX) this.#toldAtMs.clear();
    this.#toldAtMs.set(key, nowMs);
    return true;
  }
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, DIGEST_LENGTH);
}
