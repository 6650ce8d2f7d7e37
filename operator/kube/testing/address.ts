/** What a path of the API names. */
import { KINDS } from '../paths.ts';
import type { Kind } from '../paths.ts';

export interface Address {
  readonly kind: Kind;
  /** null: in all namespaces. */
  readonly namespace: string | null;
  /** null: the collection. */
  readonly name: string | null;
  readonly subresource: 'status' | 'scale' | 'eviction' | null;
}

const PATH =
  /^\/(?:api|apis)\/(?<version>v1|[a-z0-9.]+\/v[0-9a-z]+)(?:\/namespaces\/(?<namespace>[^/]+))?\/(?<plural>[a-z]+)(?:\/(?<name>[^/]+))?(?:\/(?<subresource>status|scale|eviction))?$/;

/** @returns null for what the server does not know. */
export function addressOf(path: string): Address | null {
  const parts = PATH.exec(path)?.groups;
  const kind = KINDS.find(
    ({ apiVersion, plural }) => apiVersion === parts?.['version'] && plural === parts['plural'],
  );
  if (parts === undefined || kind === undefined) return null;
  const { namespace = null, name = null, subresource = null } = parts;
  return { kind, namespace, name, subresource: subresource as Address['subresource'] };
}

export function matches(selector: string | undefined, object: { metadata: object }): boolean {
  if (selector === undefined || selector === '') return true;
  const { labels = {} } = object.metadata as { labels?: Readonly<Record<string, string>> };
  return selector.split(',').every((term) => {
    const [key = '', value] = term.split('=');
    return labels[key] === value;
  });
}
