/**
 * An API server in memory, as far as the operator can tell it from a real one: resource versions and conflicts, generations,
 * server-side apply with owners of fields, merge patches, the status and scale subresources, preconditions of deletions, evictions,
 * owners whose children go with them, lists in pages, watches with bookmarks that expire. What Kubernetes' controllers and
 * kubelets do with the objects is the business of whoever uses it (`put`, `remove`).
 */
import { isDeepStrictEqual } from 'node:util';
import { KubeError } from '../api.ts';
import type { Json, KubeRequest } from '../api.ts';
import { APPLY, MERGE } from '../api.ts';
import type { Stored } from '../listWatch.ts';
import type { Kind } from '../paths.ts';
import { kindOf, objectPath } from '../paths.ts';
import { addressOf, matches } from './address.ts';
import type { Address } from './address.ts';
import { mayBeEvicted } from './disruption.ts';
import { FieldOwnership, merged } from './fieldOwnership.ts';
import type { Fields } from './fieldOwnership.ts';

/** Something that happened to an object. */
export interface Change {
  readonly version: number;
  readonly kind: string;
  readonly before: Stored | null;
  readonly after: Stored | null;
}

/** What was asked, in the words of RBAC. */
export interface Asked {
  readonly user: string;
  readonly verb: string;
  readonly group: string;
  /** With its subresource. */
  readonly resource: string;
  readonly namespace: string | null;
  readonly name: string | null;
  readonly path: string;
  readonly body: unknown;
}

interface Entry {
  readonly kind: Kind;
  readonly owners: FieldOwnership;
  object: Stored;
}

const DEFAULT_MANAGER = 'unknown';

export class FakeApiServer {
  readonly asked: Asked[] = [];
  readonly #nowMs: () => number;
  readonly #entries = new Map<string, Entry>();
  readonly #changes: Change[] = [];
  #version = 100;
  /** Watches from before it have expired. */
  #compacted = 0;
  #uid = 0;
  #listeners: (() => void)[] = [];
  /** Called for each request before anything is done; throws what the server is to answer. */
  onRequest: (asked: Asked) => void = () => undefined;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get version(): number {
    return this.#version;
  }

  /** Forgets what has happened: watches begin with a new list. */
  compact(): void {
    this.#compacted = this.#version;
    this.#changes.length = 0;
    this.#wake();
  }

  get compacted(): number {
    return this.#compacted;
  }

  changesAfter(version: number): readonly Change[] {
    return this.#changes.filter((change) => change.version > version);
  }

  /** Resolves at the next change. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => this.#listeners.push(resolve));
  }

  find(kind: string, namespace: string, name: string): Stored | null {
    return this.#entries.get(objectPath(kindOf(kind), namespace, name))?.object ?? null;
  }

  all(kind: string): readonly Stored[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.kind.kind === kind)
      .map(({ object }) => object);
  }

  /** By a controller, a kubelet or a user: made, or changed; the metadata of an existing one are kept. */
  put(given: Fields & { kind: string; metadata: { namespace: string; name: string } }): Stored {
    const { namespace, name } = given.metadata;
    const kind = kindOf(given.kind);
    const path = objectPath(kind, namespace, name);
    const entry = this.#entries.get(path);
    if (entry === undefined) return this.#create({ kind, path }, given, DEFAULT_MANAGER);
    const { metadata, ...content } = given;
    const next = { ...entry.object, ...content };
    return this.#replace(entry, { ...next, metadata: { ...entry.object.metadata, ...metadata } });
  }

  /** Whether the budgets allow it. */
  mayBeEvicted(pod: Stored): boolean {
    const within = (kind: string): readonly Stored[] =>
      this.all(kind).filter(({ metadata }) => metadata.namespace === pod.metadata.namespace);
    return mayBeEvicted(pod, {
      pods: within('Pod'),
      budgets: within('PodDisruptionBudget'),
      sets: within('StatefulSet'),
    });
  }

  /** At once, whatever its kind, with those that it owns. */
  remove(kind: string, namespace: string, name: string): void {
    const path = objectPath(kindOf(kind), namespace, name);
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    this.#entries.delete(path);
    this.#record(kind, entry.object, null);
    for (const child of [...this.#entries.values()]) {
      if (isOwnedBy(child.object, entry.object.metadata.uid)) this.#delete(child);
    }
  }

  /** @throws {KubeError} */
  request(user: string, request: KubeRequest): Json {
    const address = addressOf(request.path);
    if (address === null) throw notFound(request.path);
    const { method } = request;
    const entry = this.#entries.get(pathOf(address)) ?? null;
    this.#note(user, request, address);
    if (method === 'GET') return address.name === null ? this.#list(address, request) : get(entry);
    if (method === 'POST') return this.#post(address, entry, request);
    if (method === 'PATCH' && request.contentType === APPLY) {
      return this.#apply(address, entry, request);
    }
    if (entry === null) throw notFound(request.path);
    if (method === 'DELETE') return this.#deleteBy(entry, request.body);
    const next = method === 'PUT' ? put(entry, address, request) : patch(entry, address, request);
    const manager = managerOf(request, address);
    entry.owners.update(entry.object, next, manager);
    return this.#replace(entry, next);
  }

  /** For a watch. */
  note(user: string, path: string): Address {
    const address = addressOf(path);
    if (address === null) throw notFound(path);
    this.#note(user, { method: 'GET', path, query: { watch: 'true' } }, address);
    return address;
  }

  #note(user: string, { method, path, query, contentType, body }: KubeRequest, at: Address): void {
    const { kind, namespace, name, subresource } = at;
    const group = kind.apiVersion.includes('/') ? (kind.apiVersion.split('/')[0] ?? '') : '';
    const resource = subresource === null ? kind.plural : `${kind.plural}/${subresource}`;
    const isCreation =
      contentType === APPLY && subresource === null && !this.#entries.has(pathOf(at));
    const verbs = [verbOf(method, name, query?.['watch'] === 'true')];
    // Who applies what is not there yet has to be allowed to create it as well.
    if (isCreation) verbs.push('create');
    for (const verb of verbs) {
      const asked = { user, verb, group, resource, namespace, name, path, body };
      this.asked.push(asked);
      this.onRequest(asked);
    }
  }

  #list({ kind, namespace }: Address, { query = {} }: KubeRequest): Json {
    const all = [...this.#entries.values()]
      .filter((entry) => entry.kind === kind)
      .map(({ object }) => object)
      .filter((object) => namespace === null || object.metadata.namespace === namespace)
      .filter((object) => matches(query['labelSelector'], object));
    const from = Number(query['continue'] ?? 0);
    const to = from + Number(query['limit'] ?? all.length);
    const items = all.slice(from, to).map((object) => withoutKind(object));
    const next = to < all.length ? { continue: String(to) } : {};
    return { metadata: { resourceVersion: String(this.#version), ...next }, items };
  }

  #post(address: Address, entry: Entry | null, request: KubeRequest): Json {
    if (address.namespace === null) throw notFound(request.path);
    if (address.subresource === 'eviction') return this.#evict(entry, request);
    const body = request.body as Stored;
    const path = pathOf({ ...address, name: body.metadata.name });
    if (this.#entries.has(path)) throw new KubeError(409, 'AlreadyExists', `${path} exists`);
    return this.#create({ kind: address.kind, path }, body, managerOf(request, address));
  }

  #apply(address: Address, entry: Entry | null, request: KubeRequest): Json {
    const { query = {}, path } = request;
    const body = request.body as Stored;
    const manager = managerOf(request, address);
    if (entry === null) {
      if (address.subresource !== null) throw notFound(path);
      return this.#create({ kind: address.kind, path }, body, manager);
    }
    const { resourceVersion } = body.metadata;
    checkVersion(entry, resourceVersion);
    const { status, ...content } = body;
    const applied = address.subresource === 'status' ? { status } : content;
    const by = { manager, isForced: query['force'] === 'true' };
    const next = entry.owners.apply(entry.object, applied, by);
    if (typeof next === 'string') throw new KubeError(409, 'Conflict', `${path}: ${next}`);
    return this.#replace(entry, next as Stored);
  }

  #evict(entry: Entry | null, { path, body }: KubeRequest): Json {
    if (entry === null) throw notFound(path);
    if (!this.mayBeEvicted(entry.object)) {
      const why = "Cannot evict pod as it would violate the pod's disruption budget.";
      const causes = [{ reason: 'DisruptionBudget', message: 'The disruption budget is used up' }];
      throw new KubeError(429, 'TooManyRequests', why, { details: { causes } });
    }
    const { deleteOptions } = body as { deleteOptions?: unknown };
    return this.#deleteBy(entry, deleteOptions);
  }

  #deleteBy(entry: Entry, options: unknown): Json {
    const { preconditions = {} } = (options ?? {}) as {
      preconditions?: { uid?: string; resourceVersion?: string };
    };
    const { uid } = entry.object.metadata;
    checkVersion(entry, preconditions.resourceVersion);
    if (preconditions.uid !== undefined && preconditions.uid !== uid) {
      throw new KubeError(409, 'Conflict', `the UID is ${uid}, not ${preconditions.uid}`);
    }
    this.#delete(entry);
    return { kind: 'Status', status: 'Success' };
  }

  /** A pod goes when its kubelet has stopped it. */
  #delete({ kind, object }: Entry): void {
    const { namespace, name } = object.metadata;
    if (kind.kind !== 'Pod') {
      this.remove(kind.kind, namespace, name);
      return;
    }
    const entry = this.#entries.get(objectPath(kind, namespace, name));
    if (entry === undefined) return;
    const deletionTimestamp = new Date(this.#nowMs()).toISOString();
    this.#replace(entry, { ...object, metadata: { deletionTimestamp, ...object.metadata } });
  }

  #create({ kind, path }: { kind: Kind; path: string }, body: Fields, manager: string): Stored {
    const owners = new FieldOwnership();
    owners.apply({}, body, { manager, isForced: true });
    const given = body['metadata'] as Stored['metadata'];
    this.#uid += 1;
    const object = {
      ...withDefaults(kind.kind, body),
      apiVersion: kind.apiVersion,
      kind: kind.kind,
      metadata: {
        ...given,
        uid: `uid-${this.#uid}`,
        generation: 1,
        creationTimestamp: new Date(this.#nowMs()).toISOString(),
        resourceVersion: String(this.#version + 1),
      },
    } as Stored;
    this.#entries.set(path, { kind, owners, object });
    this.#record(kind.kind, null, object);
    return object;
  }

  /** Nothing, when nothing is different. */
  #replace(entry: Entry, given: Stored): Stored {
    const before = entry.object;
    const next = withDefaults(entry.kind.kind, given) as Stored;
    const { resourceVersion, generation } = before.metadata;
    const same = { ...next, metadata: { ...next.metadata, resourceVersion, generation } };
    if (isDeepStrictEqual(same, before)) return before;
    const isOtherSpec = !isDeepStrictEqual(next['spec'], before['spec']);
    entry.object = {
      ...next,
      metadata: {
        ...next.metadata,
        generation: Number(generation) + (isOtherSpec ? 1 : 0),
        resourceVersion: String(this.#version + 1),
      },
    };
    this.#record(entry.kind.kind, before, entry.object);
    return entry.object;
  }

  #record(kind: string, before: Stored | null, after: Stored | null): void {
    this.#version += 1;
    this.#changes.push({ version: this.#version, kind, before, after });
    this.#wake();
  }

  #wake(): void {
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }
}

function pathOf({ kind, namespace, name }: Address): string {
  return objectPath(kind, namespace ?? '', name ?? '');
}

function verbOf(method: KubeRequest['method'], name: string | null, isWatch: boolean): string {
  if (method === 'GET') return isWatch ? 'watch' : name === null ? 'list' : 'get';
  return { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }[method];
}

/** A subresource is a manager of its own. */
function managerOf({ query = {} }: KubeRequest, { subresource }: Address): string {
  return [query['fieldManager'] ?? DEFAULT_MANAGER, subresource ?? ''].join('/');
}

function notFound(path: string): KubeError {
  return new KubeError(404, 'NotFound', `${path} is not found`);
}

function get(entry: Entry | null): Json {
  if (entry === null) throw new KubeError(404, 'NotFound', 'it is not found');
  return entry.object;
}

function checkVersion({ object }: Entry, given: string | undefined): void {
  const { resourceVersion, name } = object.metadata;
  if (given === undefined || given === resourceVersion) return;
  throw new KubeError(409, 'Conflict', `${name} is at ${resourceVersion}, not ${given}`);
}

function put(entry: Entry, { subresource }: Address, { body }: KubeRequest): Stored {
  const given = body as Stored;
  checkVersion(entry, given.metadata.resourceVersion);
  if (subresource !== 'scale') return { ...given, metadata: entry.object.metadata };
  const { replicas } = given['spec'] as { replicas: number };
  const spec = { ...(entry.object['spec'] as Fields), replicas };
  return { ...entry.object, spec };
}

function patch(entry: Entry, _: Address, { body, contentType, path }: KubeRequest): Stored {
  if (contentType !== MERGE) throw new KubeError(415, 'UnsupportedMediaType', path);
  const given = body as Stored;
  checkVersion(entry, given.metadata.resourceVersion);
  return merged(entry.object, given) as Stored;
}

/** Lists leave out what all items have in common. */
function withoutKind(object: Stored): Json {
  return Object.fromEntries(
    Object.entries(object).filter(([field]) => field !== 'apiVersion' && field !== 'kind'),
  );
}

function isOwnedBy({ metadata }: Stored, uid: string): boolean {
  const owners = (metadata['ownerReferences'] ?? []) as readonly { uid: string }[];
  return owners.some((owner) => owner.uid === uid);
}

/** Of those fields that matter here. */
function withDefaults(kind: string, object: Fields): Fields {
  if (kind !== 'StatefulSet') return object;
  const spec = object['spec'] as Fields;
  return { ...object, spec: { replicas: 1, ...spec } };
}
