/**
 * Who of several operators acts: the holder of a Lease, as Kubernetes' own controllers do it. Another's Lease counts as
 * expired when it has not changed for its duration on OUR clock. A holder that could not renew in time stops acting
 * before anybody else may begin: whether its term is held is a question of time, asked before each write.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { between } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import { isKubeError } from './api.ts';
import type { Json, KubeApi } from './api.ts';
import { collectionPath, kindOf, objectPath } from './paths.ts';

const LEASE_S = 15;
/** A holder that has not renewed for so long stops. */
const RENEW_DEADLINE_MS = 10_000;
const RETRY_MS = 2000;
const LEASE = kindOf('Lease');

/** As long as one process leads without a break. One that has ended never begins again, even when the same process leads anew. */
export interface Term {
  /** Whether it may act at this moment. */
  readonly isHeld: boolean;
  /** Aborted when it ends: a write that is still on its way then would come when another may act. */
  readonly signal: AbortSignal;
}

/** The term in which this was decided has ended. */
export class Deposed extends Error {
  override readonly name = 'Deposed';
}

/** Asked before everything that changes something. @throws {Deposed} */
export function assertHeld({ isHeld }: Pick<Term, 'isHeld'>): void {
  if (!isHeld) throw new Deposed('This operator does not hold the lease any more');
}

export interface LeaderElectionOptions {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly namespace: string;
  readonly name: string;
  /** Of this process: no two have the same, not even after a restart. */
  readonly identity: string;
  readonly onStarted: (term: Term) => void;
  /** The term has ended: nothing may be written in it any more. */
  readonly onStopped: () => void;
}

interface Lease extends Json {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly leaseDurationSeconds?: number;
    readonly leaseTransitions?: number;
    readonly renewTime?: string;
    readonly acquireTime?: string;
  };
}

export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  #term: HeldTerm | null = null;
  /** The Lease as it was seen last, and when it was first seen so. */
  #seen: { readonly resourceVersion: string; readonly atMs: number } | null = null;
  #timer: Timer | null = null;
  #deadline: Timer | null = null;
  #isStopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
  }

  /** Whether this process may act at this moment. */
  get isLeading(): boolean {
    return this.#term?.isHeld === true;
  }

  start(): void {
    this.#running = this.#round();
  }

  /** Gives the Lease back, so that another can begin at once. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#running;
    if (!this.isLeading) return;
    this.#lost('it gives the lease back');
    await this.#tryTo('give the lease back', async () => {
      const lease = await this.#read();
      if (lease?.spec?.holderIdentity !== this.#options.identity) return;
      await this.#write(lease, { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 });
    });
  }

  async #round(): Promise<void> {
    await this.#tryTo('hold the lease', () => this.#acquireOrRenew());
    if (this.#isStopped) return;
    const delayMs = between(this.#options.random, RETRY_MS, Math.round(RETRY_MS * 1.2));
    this.#timer = this.#options.clock.setTimer(delayMs, () => this.start());
  }

  async #tryTo(what: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (!isKubeError(error)) throw error;
      const isRace = error.status === 409;
      const fields = { what, reason: error.message };
      this.#options.logger.log(isRace ? 'debug' : 'warn', 'the lease was not written', fields);
    }
  }

  async #acquireOrRenew(): Promise<void> {
    const { clock, identity } = this.#options;
    // What counts is when the request was made: it may be on its way for long.
    const askedAtMs = clock.monotonicMs();
    const lease = await this.#read();
    if (lease === null) {
      await this.#create(askedAtMs);
      return;
    }
    const { spec = {} } = lease;
    const isOurs = spec.holderIdentity === identity;
    if (!isOurs) this.#lost('another holds the lease');
    if (!isOurs && !this.#isExpired(lease)) return;
    const now = microTime(clock.wallMs());
    await this.#write(lease, {
      holderIdentity: identity,
      leaseDurationSeconds: LEASE_S,
      acquireTime: isOurs ? (spec.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (spec.leaseTransitions ?? 0) + (isOurs ? 0 : 1),
    });
    this.#held(askedAtMs);
  }

  #isExpired({ metadata: { resourceVersion }, spec = {} }: Lease): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#seen?.resourceVersion !== resourceVersion) {
      this.#seen = { resourceVersion, atMs: nowMs };
    }
    if (spec.holderIdentity === undefined || !spec.holderIdentity) return true;
    return nowMs - this.#seen.atMs > (spec.leaseDurationSeconds ?? LEASE_S) * 1000;
  }

  async #read(): Promise<Lease | null> {
    const { api, namespace, name } = this.#options;
    try {
      return (await api.request({
        method: 'GET',
        path: objectPath(LEASE, namespace, name),
      })) as Lease;
    } catch (error) {
      if (isKubeError(error, 404)) return null;
      throw error;
    }
  }

  async #create(askedAtMs: number): Promise<void> {
    const { api, clock, namespace, name, identity } = this.#options;
    const now = microTime(clock.wallMs());
    await api.request({
      method: 'POST',
      path: collectionPath(LEASE, namespace),
      body: {
        apiVersion: LEASE.apiVersion,
        kind: LEASE.kind,
        metadata: { name, namespace },
        spec: {
          holderIdentity: identity,
          leaseDurationSeconds: LEASE_S,
          acquireTime: now,
          renewTime: now,
          leaseTransitions: 0,
        },
      },
    });
    this.#held(askedAtMs);
  }

  /** By the resourceVersion that was read: of two who try, one wins. */
  async #write(lease: Lease, spec: Json): Promise<void> {
    const { api, namespace, name } = this.#options;
    const path = objectPath(LEASE, namespace, name);
    await api.request({ method: 'PUT', path, body: { ...lease, spec } });
  }

  #held(askedAtMs: number): void {
    const { clock, onStarted } = this.#options;
    const untilMs = askedAtMs + RENEW_DEADLINE_MS;
    const isNew = this.#term === null;
    this.#term ??= new HeldTerm(clock);
    this.#term.untilMs = untilMs;
    this.#deadline?.cancel();
    const leftMs = Math.max(0, untilMs - clock.monotonicMs());
    this.#deadline = clock.setTimer(leftMs, () => this.#lost('it could not be renewed in time'));
    if (isNew) onStarted(this.#term);
  }

  #lost(why: string): void {
    this.#deadline?.cancel();
    if (this.#term === null) return;
    this.#term.end();
    this.#term = null;
    this.#options.logger.log('warn', 'this operator does not lead any more', { why });
    this.#options.onStopped();
  }
}

class HeldTerm implements Term {
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  /** On the monotonic clock. */
  untilMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isHeld(): boolean {
    return this.#clock.monotonicMs() < this.untilMs;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  end(): void {
    this.untilMs = -Infinity;
    this.#abort.abort();
  }
}

/** As MicroTime has it: six digits. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z');
}
