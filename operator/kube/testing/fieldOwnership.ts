/**
 * Who set which field of an object, as server-side apply needs it: a manager that applies an object owns its fields, takes
 * away those that it owned and does not name any more, and conflicts with who owns what it wants otherwise. Lists are
 * single fields.
 */
import { isDeepStrictEqual } from 'node:util';

export type Fields = Readonly<Record<string, unknown>>;

/** What says which object it is, and what the server itself writes: nobody's. */
const UNOWNED = new Set(
  ['apiVersion', 'kind'].concat(
    ['name', 'namespace', 'uid', 'resourceVersion', 'generation', 'creationTimestamp'].map(
      (field) => `metadata.${field}`,
    ),
  ),
);
const SEPARATOR = '\u0000';

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Values by path. An empty object is a value, too. */
function leavesOf(value: unknown, path: readonly string[] = []): readonly [string, unknown][] {
  if (!isFields(value) || Object.keys(value).length === 0) return [[path.join(SEPARATOR), value]];
  return Object.entries(value)
    .filter(([key]) => !UNOWNED.has([...path, key].join('.')))
    .flatMap(([key, inner]) => leavesOf(inner, [...path, key]));
}

function valueAt(fields: Fields, path: string): unknown {
  return path
    .split(SEPARATOR)
    .reduce<unknown>((value, key) => (isFields(value) ? value[key] : undefined), fields);
}

/** A copy with another value there; undefined: without it, and without what is empty then. */
function withValue(fields: Fields, [key = '', ...rest]: readonly string[], value: unknown): Fields {
  const { [key]: old, ...others } = fields;
  const isLast = rest.length === 0;
  const inner = isLast ? value : withValue(isFields(old) ? old : {}, rest, value);
  const isGone = inner === undefined || (value === undefined && isEmpty(inner));
  return isGone ? others : { ...fields, [key]: inner };
}

function isEmpty(value: unknown): boolean {
  return isFields(value) && Object.keys(value).length === 0;
}

export class FieldOwnership {
  /** Paths by manager. */
  readonly #owned = new Map<string, ReadonlySet<string>>();

  /** The object after it has been applied; a string is the conflict. */
  apply(
    current: Fields,
    applied: Fields,
    by: { manager: string; isForced: boolean },
  ): Fields | string {
    const leaves = new Map(leavesOf(applied));
    const others = [...this.#owned].filter(([manager]) => manager !== by.manager);
    for (const [path, value] of leaves) {
      if (isDeepStrictEqual(valueAt(current, path), value)) continue;
      const owner = others.find(([, paths]) => paths.has(path))?.[0];
      if (owner === undefined) continue;
      if (!by.isForced) return `conflict with "${owner}": .${path.split(SEPARATOR).join('.')}`;
      this.#disown(owner, path);
    }
    const before = [...(this.#owned.get(by.manager) ?? [])];
    this.#owned.set(by.manager, new Set(leaves.keys()));
    const gone = before.filter((path) => !this.#isOwned(path));
    const rest = gone.reduce(
      (fields, path) => withValue(fields, path.split(SEPARATOR), undefined),
      current,
    );
    return [...leaves].reduce(
      (fields, [path, value]) => withValue(fields, path.split(SEPARATOR), value),
      rest,
    );
  }

  /** By a write that names the whole object, or a patch: what has changed is the manager's. */
  update(before: Fields, after: Fields, manager: string): void {
    const old = new Map(leavesOf(before));
    const changed = leavesOf(after)
      .filter(([path, value]) => !isDeepStrictEqual(old.get(path), value))
      .map(([path]) => path);
    for (const path of changed) for (const owner of this.#owned.keys()) this.#disown(owner, path);
    this.#owned.set(manager, new Set([...(this.#owned.get(manager) ?? []), ...changed]));
  }

  #isOwned(path: string): boolean {
    return [...this.#owned.values()].some((paths) => paths.has(path));
  }

  #disown(manager: string, path: string): void {
    const paths = this.#owned.get(manager) ?? new Set<string>();
    this.#owned.set(manager, new Set([...paths].filter((other) => other !== path)));
  }
}

/** RFC 7386. */
export function merged(current: Fields, patch: Fields): Fields {
  const result: Record<string, unknown> = { ...current };
  for (const [key, value] of Object.entries(patch)) {
    const old = result[key];
    if (value === null) Reflect.deleteProperty(result, key);
    else result[key] = isFields(value) ? merged(isFields(old) ? old : {}, value) : value;
  }
  return result;
}
