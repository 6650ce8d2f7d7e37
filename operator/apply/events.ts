/** Events of a WalrusCluster (events.k8s.io/v1), for `kubectl describe`. The same one within a while is told once. */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { randomHex } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { isKubeError } from '../kube/api.ts';
import type { KubeApi } from '../kube/api.ts';
import { microTime } from '../kube/lease.ts';
import { collectionPath, kindOf } from '../kube/paths.ts';
import type { Event } from '../plan/types.ts';

const REPEAT_MS = 10 * 60_000;
const REMEMBERED_MAX = 1000;
const NOTE_LENGTH_MAX = 1024;

export interface EventRecorderOptions {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly identity: string;
}

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #toldAtMs = new Map<string, number>();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Never fails: an event that cannot be told is a line in the log. */
  async record(cluster: WalrusCluster, { type, reason, message }: Event): Promise<void> {
    const { api, clock, random, logger, identity } = this.#options;
    const { namespace, name, uid, resourceVersion } = cluster.metadata;
    if (!this.#isNew(`${uid} ${reason} ${message}`)) return;
    try {
      await api.request({
        method: 'POST',
        path: collectionPath(kindOf('Event'), namespace),
        body: {
          apiVersion: 'events.k8s.io/v1',
          kind: 'Event',
          metadata: { name: `${name}.${randomHex(random, 8)}`, namespace },
          eventTime: microTime(clock.wallMs()),
          reportingController: 'walrus.io/operator',
          reportingInstance: identity,
          action: reason,
          type,
          reason,
          note: message.slice(0, NOTE_LENGTH_MAX),
          regarding: {
            apiVersion: cluster.apiVersion,
            kind: cluster.kind,
            namespace,
            name,
            uid,
            resourceVersion,
          },
        },
      });
    } catch (error) {
      if (!isKubeError(error)) throw error;
      logger.log('warn', 'an event was not recorded', { event: reason, reason: error.message });
    }
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
