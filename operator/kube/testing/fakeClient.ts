/**
 * One process' way to the API server in memory: takes time, may be cut, and ends with the process, of which a request that is
 * under way may have been done all the same.
 */
import type { SimProcess } from '../../../node/sim/simProcess.ts';
import type { Scheduler } from '../../../node/sim/scheduler.ts';
import { KubeError } from '../api.ts';
import type { Json, KubeApi, KubeRequest } from '../api.ts';
import type { Stored } from '../listWatch.ts';
import { matches } from './address.ts';
import type { Change, FakeApiServer } from './fakeApiServer.ts';

const BOOKMARK_MS = 60_000;
/** There, and back. */
const WAY_MS = 2;

const EXPIRED: WatchEvent = {
  type: 'ERROR',
  object: { code: 410, reason: 'Expired', message: 'too old' },
};

interface WatchEvent extends Json {
  readonly type: string;
  readonly object: Json;
}

/** How far a watch has come, and when it has said that nothing happens. */
interface Place {
  version: number;
  toldMs: number;
}

interface Wanted {
  readonly kind: string;
  readonly namespace: string | null;
  readonly labelSelector: string | undefined;
}

export interface FakeClientOptions {
  readonly server: FakeApiServer;
  readonly scheduler: Scheduler;
  readonly process: SimProcess;
  readonly user: string;
}

export class FakeClient implements KubeApi {
  readonly #options: FakeClientOptions;
  /** No answer to anything. */
  isCut = false;
  /** Of the present connections. */
  #connection = 0;
  /** Called when the server has done a write, before the answer is on its way. */
  onWritten: (request: KubeRequest) => void = () => undefined;

  constructor(options: FakeClientOptions) {
    this.#options = options;
  }

  /** The connections of all watches die without a word: they say nothing more, and do not end. */
  deafen(): void {
    this.#connection += 1;
  }

  request(request: KubeRequest): Promise<Json> {
    const { scheduler } = this.#options;
    return new Promise((resolve, reject) => {
      // Once sent it is not the process' any more: one that hangs now does not hold it up until another one leads.
      scheduler.schedule(WAY_MS, () => {
        const answer = this.#done(request);
        // It comes when the process can take it: never, if it has ended.
        this.#after(WAY_MS, () => (answer instanceof KubeError ? reject(answer) : resolve(answer)));
      });
    });
  }

  async *watch(
    path: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): AsyncIterable<Json> {
    const { server, scheduler, user } = this.#options;
    const untilMs = scheduler.nowMs + Number(query['timeoutSeconds'] ?? 300) * 1000;
    const connection = this.#connection;
    const isBroken = (): boolean => signal.aborted || this.isCut;
    await this.#sleep(WAY_MS);
    if (isBroken()) throw noAnswer();
    const { kind, namespace } = server.note(user, path);
    const wanted = { kind: kind.kind, namespace, labelSelector: query['labelSelector'] };
    const place = { version: Number(query['resourceVersion'] ?? 0), toldMs: scheduler.nowMs };
    while (!isBroken() && scheduler.nowMs < untilMs) {
      if (connection !== this.#connection) await aborted(signal);
      const events = this.#events(place, wanted);
      yield* events;
      if (events.some(({ type }) => type === 'ERROR')) return;
      await this.#news(place, signal);
    }
    if (isBroken()) throw noAnswer();
  }

  #events(place: Place, wanted: Wanted): readonly WatchEvent[] {
    const { server, scheduler } = this.#options;
    if (place.version < server.compacted) return [EXPIRED];
    const changes = server.changesAfter(place.version);
    place.version = changes.at(-1)?.version ?? place.version;
    const events = changes.flatMap((change) => eventOf(change, wanted) ?? []);
    if (events.length > 0) return events;
    if (scheduler.nowMs - place.toldMs < BOOKMARK_MS) return [];
    place.toldMs = scheduler.nowMs;
    const metadata = { resourceVersion: String(place.version) };
    return [{ type: 'BOOKMARK', object: { metadata } }];
  }

  #done(request: KubeRequest): Json | KubeError {
    const { server, user } = this.#options;
    if (this.isCut) return noAnswer();
    try {
      const answer = server.request(user, request);
      if (request.method !== 'GET') this.onWritten(request);
      return answer;
    } catch (error) {
      if (error instanceof KubeError) return error;
      throw error;
    }
  }

  #after(delayMs: number, callback: () => void): void {
    const { scheduler, process } = this.#options;
    scheduler.schedule(delayMs, () => process.enter(callback));
  }

  async #sleep(delayMs: number): Promise<void> {
    await new Promise<void>((resolve) => this.#after(delayMs, resolve));
  }

  /** Something has changed, or nothing for a while, or the watch is over. */
  async #news({ version }: Place, signal: AbortSignal): Promise<void> {
    const { server, scheduler, process } = this.#options;
    await new Promise<void>((resolve) => {
      const timer = scheduler.schedule(BOOKMARK_MS, () => process.enter(resolve));
      const now = (): void => {
        timer.cancel();
        this.#after(WAY_MS, resolve);
      };
      signal.addEventListener('abort', now, { once: true });
      if (server.version > version) now();
      else void server.next().then(now);
    });
  }
}

function eventOf(
  { kind, version, before, after }: Change,
  { namespace, labelSelector, ...wanted }: Wanted,
): WatchEvent | null {
  const isSeen = (object: Stored | null): boolean =>
    object !== null &&
    (namespace === null || object.metadata.namespace === namespace) &&
    matches(labelSelector, object);
  if (kind !== wanted.kind) return null;
  if (after !== null && isSeen(after)) {
    return { type: isSeen(before) ? 'MODIFIED' : 'ADDED', object: after };
  }
  if (before === null || !isSeen(before)) return null;
  const metadata = { ...before.metadata, resourceVersion: String(version) };
  return { type: 'DELETED', object: { ...before, metadata } };
}

async function aborted(signal: AbortSignal): Promise<never> {
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  throw noAnswer();
}

function noAnswer(): KubeError {
  return new KubeError(0, 'NoAnswer', 'the API server does not answer');
}
