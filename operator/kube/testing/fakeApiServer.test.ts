/** That the API server in memory is strict where the real one is: what is tested against it could not fail otherwise. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { APPLY, KubeError, MERGE } from '../api.ts';
import type { Json, KubeRequest } from '../api.ts';
import type { Stored } from '../listWatch.ts';
import { FakeApiServer } from './fakeApiServer.ts';

const PATH = '/apis/apps/v1/namespaces/ocean/statefulsets/sea';
const METADATA = { namespace: 'ocean', name: 'sea' };

let server: FakeApiServer;

beforeEach(() => {
  server = new FakeApiServer(() => 0);
});

function ask(request: Partial<KubeRequest>): Json | number {
  try {
    return server.request('a', { method: 'GET', path: PATH, ...request });
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    return error.status;
  }
}

function apply(spec: object, manager = 'one', force = 'false'): Json | number {
  const query = { fieldManager: manager, force };
  const body = { metadata: METADATA, spec };
  return ask({ method: 'PATCH', contentType: APPLY, query, body });
}

function stored(): Stored {
  return server.find('StatefulSet', 'ocean', 'sea') as Stored;
}

describe('the API server in memory', () => {
  test('server-side apply: who owns a field keeps it, unless it is taken by force', () => {
    apply({ a: 1, b: { c: 1, d: 1 } });
    expect(apply({ a: 2 }, 'two')).toBe(409);
    expect(apply({ a: 1, e: 1 }, 'two')).not.toBe(409);
    expect(apply({ b: { c: 1 } })).not.toBe(409);
    expect(stored()['spec']).toEqual({ a: 1, b: { c: 1 }, e: 1, replicas: 1 });
    apply({ b: { c: 9 } }, 'two', 'true');
    expect(apply({ b: { c: 1 } })).toBe(409);
    expect(stored()['spec']).toEqual({ a: undefined, b: { c: 9 }, replicas: 1 });
  });

  test('a write of what is there already changes no version', () => {
    apply({ a: 1 });
    const { resourceVersion } = stored().metadata;
    apply({ a: 1 });
    expect(stored().metadata.resourceVersion).toBe(resourceVersion);
    apply({ a: 2 });
    expect(stored().metadata['generation']).toBe(2);
  });

  test('writes by an old version are refused, merge patches and scale as well', () => {
    apply({ a: 1 });
    const metadata = { ...METADATA, resourceVersion: '1' };
    expect(ask({ method: 'PUT', body: { metadata, spec: {} } })).toBe(409);
    expect(ask({ method: 'PATCH', contentType: MERGE, body: { metadata } })).toBe(409);
    const scaled = { path: `${PATH}/scale`, body: { metadata, spec: { replicas: 5 } } };
    expect(ask({ method: 'PUT', ...scaled })).toBe(409);
    const { resourceVersion } = stored().metadata;
    const present = { metadata: { ...METADATA, resourceVersion }, spec: { replicas: 5 } };
    ask({ method: 'PUT', path: `${PATH}/scale`, body: present });
    expect(stored()['spec']).toEqual({ a: 1, replicas: 5 });
  });

  test('the status is a subresource: neither writes the other', () => {
    apply({ a: 1 });
    const status = { metadata: METADATA, spec: { a: 9 }, status: { b: 1 } };
    const query = { fieldManager: 'one' };
    const patch = { method: 'PATCH', contentType: APPLY, query, body: status } as const;
    ask({ ...patch, path: `${PATH}/status` });
    expect([stored()['spec'], stored()['status']]).toEqual([{ a: 1, replicas: 1 }, { b: 1 }]);
    ask({ ...patch, body: { ...status, status: { b: 2 } } });
    expect([stored()['spec'], stored()['status']]).toEqual([{ a: 9, replicas: 1 }, { b: 1 }]);
  });

  test('a deletion is by UID, and takes what the object owns with it', () => {
    apply({ a: 1 });
    const { uid } = stored().metadata;
    const owned = { namespace: 'ocean', name: 'p', ownerReferences: [{ uid }] };
    server.put({ kind: 'Service', metadata: owned, spec: {} });
    expect(ask({ method: 'DELETE', body: { preconditions: { uid: 'x' } } })).toBe(409);
    ask({ method: 'DELETE', body: { preconditions: { uid } } });
    expect([ask({}), server.all('Service')]).toEqual([404, []]);
  });

  test('what is applied for the first time has to be created, for who may do what', () => {
    apply({ a: 1 });
    apply({ a: 2 });
    expect(server.asked.map(({ verb }) => verb)).toEqual(['patch', 'create', 'patch']);
  });
});
