/**
 * Keeps the objects of one kind as the API server has them: a list, then a watch from there. Whatever goes wrong, it
 * goes on: a broken or silent watch is taken up again where it was, an expired one begins with a new list, each try after
 * a back-off with jitter. Objects are kept by `namespace/name`.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { between } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import { isKubeError, KubeError } from './api.ts';
import type { Json, KubeApi } from './api.ts';
import { collectionPath } from './paths.ts';
import type { Kind } from './paths.ts';

/** An object as far as keeping it needs to know. */
export interface Stored extends Json {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly [field: string]: unknown;
  };
}

export interface ListWatchOptions {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly kind: Kind;
  /** null: all namespaces. */
  readonly namespace: string | null;
  readonly labelSelector?: string;
  /** Of an API that may be missing, or come and go: then there are no objects, and that is no error. */
  readonly isOptional?: boolean;
  /** That API has come or gone. */
  readonly onServedChange?: () => void;
  /** An object came, changed or went. */
  readonly onChange: (object: Stored) => void;
}

const PAGE_SIZE = 500;
/** The server ends a watch after it, at the latest. */
const WATCH_S = 300;
/** One that ends earlier was not meant to be: it is taken up again after a back-off. */
const WATCH_MS_MIN = 1000;
/** Bookmarks come about once a minute: a watch that is silent for longer is dead. */
const SILENCE_MS_MAX = 150_000;
const BACKOFF_MS_MIN = 200;
const BACKOFF_MS_MAX = 30_000;
/** An API server that starts refuses for a moment what it will have: a kind that was there is missing when it still is after so long. */
const RECHECK_MS = 5000;
/** How often a missing API is looked for. */
const ABSENT_RETRY_MS = 30_000;

export class ListWatch {
  readonly #options: ListWatchOptions;
  readonly #objects = new Map<string, Stored>();
  /** Where the next watch begins; null: with a list. */
  #resourceVersion: string | null = null;
  #isSynced = false;
  #absence: string | null = null;
  #failures = 0;
  /** Of an optional kind, in a row. */
  #refusals = 0;
  #abort = new AbortController();
  #isStopped = false;
  #timer: Timer | null = null;
  #wake: () => void = () => undefined;

  constructor(options: ListWatchOptions) {
    this.#options = options;
  }

  /** Whether the objects are those of a complete list, at some time. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** Not null: why the API of this optional kind cannot be had. */
  get absence(): string | null {
    return this.#absence;
  }

  get objects(): ReadonlyMap<string, Stored> {
    return this.#objects;
  }

  /** Runs until `stop`. */
  async run(): Promise<void> {
    while (!this.#stopped()) {
      try {
        if (this.#resourceVersion === null) await this.#list();
        await this.#watch();
      } catch (error) {
        await this.#failed(error);
      }
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#abort.abort();
    this.#timer?.cancel();
    this.#wake();
  }

  #stopped(): boolean {
    return this.#isStopped;
  }

  async #failed(error: unknown): Promise<void> {
    if (this.#isStopped) return;
    if (!isKubeError(error)) throw error;
    const { kind, logger, isOptional = false } = this.#options;
    // 403 as well: an operator without the permission goes on without it.
    if (isOptional && isKubeError(error, 403, 404)) {
      this.#refusals += 1;
      if (this.#refusals === 1) await this.#recheck();
      else await this.#absent(error);
      return;
    }
    const isExpired = error.status === 410;
    if (isExpired) this.#resourceVersion = null;
    const fields = { kind: kind.kind, reason: error.message };
    logger.log(isExpired ? 'info' : 'warn', 'a watch is taken up again', fields);
    await this.#pause(isExpired && this.#failures === 0 ? 0 : this.#backoffMs());
    this.#failures++;
  }

  async #recheck(): Promise<void> {
    this.#resourceVersion = null;
    await this.#pause(this.#isSynced ? RECHECK_MS : BACKOFF_MS_MIN);
  }

  async #absent({ status, message }: KubeError): Promise<void> {
    const { kind, logger, random } = this.#options;
    this.#resourceVersion = null;
    this.#failures = 0;
    this.#replaceBy(new Map());
    this.#isSynced = true;
    const missing = `The API server has no ${kind.kind} (${kind.apiVersion})`;
    const absence = status === 404 ? missing : message;
    if (this.#absence === null) logger.log('info', 'an API is missing', { reason: absence });
    this.#served(absence);
    await this.#pause(between(random, ABSENT_RETRY_MS / 2, ABSENT_RETRY_MS));
  }

  #served(absence: string | null): void {
    const isChange = (absence === null) !== (this.#absence === null);
    this.#absence = absence;
    if (isChange) this.#options.onServedChange?.();
  }

  #backoffMs(): number {
    const most = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(this.#failures, 16));
    return between(this.#options.random, most / 2, most);
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#timer = this.#options.clock.setTimer(ms, resolve);
    });
  }

  async #list(): Promise<void> {
    const { api } = this.#options;
    const { apiVersion, kind } = this.#options.kind;
    const path = this.#path();
    const found = new Map<string, Stored>();
    let next = '';
    let version = '';
    do {
      const query = { ...this.#query(), limit: String(PAGE_SIZE), ...(next && { continue: next }) };
      const page = await api.request({ method: 'GET', path, query, signal: this.#abort.signal });
      const { metadata, items } = page as {
        metadata: { resourceVersion: string; continue?: string };
        items: readonly Stored[];
      };
      // Lists leave out what all items have in common.
      for (const item of items) found.set(keyOf(item), { apiVersion, kind, ...item });
      version = metadata.resourceVersion;
      next = metadata.continue ?? '';
    } while (next !== '');
    this.#resourceVersion = version;
    this.#refusals = 0;
    this.#replaceBy(found);
    this.#isSynced = true;
    this.#served(null);
  }

  #replaceBy(found: ReadonlyMap<string, Stored>): void {
    const gone = [...this.#objects].filter(([key]) => !found.has(key));
    for (const [key, object] of gone) {
      this.#objects.delete(key);
      this.#options.onChange(object);
    }
    for (const object of found.values()) this.#put(object);
  }

  #put(object: Stored): void {
    const key = keyOf(object);
    const isSame =
      this.#objects.get(key)?.metadata.resourceVersion === object.metadata.resourceVersion;
    this.#objects.set(key, object);
    if (!isSame) this.#options.onChange(object);
  }

  async #watch(): Promise<void> {
    const { api, clock } = this.#options;
    const startedMs = clock.monotonicMs();
    const query = {
      ...this.#query(),
      watch: 'true',
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(WATCH_S),
      resourceVersion: this.#resourceVersion ?? '',
    };
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, this.#abort.signal]);
    let silence = this.#silence(abort);
    try {
      for await (const event of api.watch(this.#path(), query, signal)) {
        silence.cancel();
        silence = this.#silence(abort);
        this.#take(event as { type: string; object: Stored });
        this.#failures = 0;
      }
    } finally {
      silence.cancel();
    }
    if (clock.monotonicMs() - startedMs >= WATCH_MS_MIN) this.#failures = 0;
    else throw new KubeError(0, 'Ended', 'The watch was ended as soon as it had begun');
  }

  #silence(abort: AbortController): Timer {
    return this.#options.clock.setTimer(SILENCE_MS_MAX, () => abort.abort());
  }

  #take({ type, object }: { readonly type: string; readonly object: Stored }): void {
    if (type === 'ERROR') {
      const { code, reason, message } = object as unknown as Readonly<Record<string, unknown>>;
      throw new KubeError(Number(code), String(reason), `The watch ended: ${String(message)}`);
    }
    this.#resourceVersion = object.metadata.resourceVersion;
    if (type === 'ADDED' || type === 'MODIFIED') this.#put(object);
    if (type !== 'DELETED') return;
    this.#objects.delete(keyOf(object));
    this.#options.onChange(object);
  }

  #path(): string {
    return collectionPath(this.#options.kind, this.#options.namespace);
  }

  #query(): Readonly<Record<string, string>> {
    const { labelSelector } = this.#options;
    return labelSelector === undefined ? {} : { labelSelector };
  }
}

function keyOf({ metadata: { namespace, name } }: Stored): string {
  return `${namespace}/${name}`;
}
