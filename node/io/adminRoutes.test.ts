/** The admin API's paths over real http: statuses, and what is no JSON. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { SILENT } from '../../base/log.ts';
import { WalrusError } from '../../base/errors.ts';
import type { AdminApi } from '../server/admin/adminApi.ts';
import { refusal } from '../server/admin/refusal.ts';
import { adminRoutes } from './adminRoutes.ts';
import { startHttpServer } from './httpServer.ts';
import type { RunningHttpServer } from './httpServer.ts';

const OK = { isOk: true, reasons: [] };
let server: RunningHttpServer;
let asked: unknown[];

beforeEach(async () => {
  asked = [];
  const noted = (what: string) => (input?: unknown) => {
    asked.push([what, input]);
    return Promise.resolve({ what });
  };
  const api = {
    node: noted('node'),
    cluster: () => Promise.reject(refusal('NoLeader', 'nobody')),
    canRestart: noted('canRestart'),
    drain: noted('drain'),
    undrain: () => {
      throw new WalrusError('DISK_FAILED', 'broken');
    },
    moveLeadership: noted('moveLeadership'),
    setVoters: noted('setVoters'),
  };
  server = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    health: { live: () => OK, ready: () => OK },
    registry: new Registry(),
    logger: SILENT,
    // A double: the class has private fields, and only these methods are asked for.
    routes: adminRoutes(api as unknown as AdminApi),
  });
});

afterEach(() => server.close());

async function ask(method: string, path: string, body?: string, type = 'application/json') {
  const init = body === undefined ? {} : { body, headers: { 'content-type': type } };
  const url = `http://127.0.0.1:${server.port}/admin/v1${path}`;
  const response = await fetch(url, { method, ...init });
  return [response.status, await response.json()];
}

test('requests reach what answers them', async () => {
  expect(await ask('GET', '/node')).toEqual([200, { what: 'node' }]);
  expect(await ask('GET', '/nodes/3/can-restart')).toEqual([200, { what: 'canRestart' }]);
  expect(await ask('POST', '/drain')).toEqual([200, { what: 'drain' }]);
  expect(await ask('POST', '/leadership', '{"to":2,"epoch":7}')).toEqual([
    200,
    { what: 'moveLeadership' },
  ]);
  expect(await ask('POST', '/voters', '{"metadataVoters":5}')).toEqual([
    200,
    { what: 'setVoters' },
  ]);
  expect(asked.slice(1)).toEqual([
    ['canRestart', '3'],
    ['drain', undefined],
    ['moveLeadership', { to: 2, epoch: 7 }],
    ['setVoters', { metadataVoters: 5 }],
  ]);
});

test('refusals have a status and a reason', async () => {
  expect(await ask('GET', '/cluster')).toEqual([
    503,
    { code: 'METADATA_UNAVAILABLE', reason: 'NoLeader', message: 'nobody' },
  ]);
  expect(await ask('DELETE', '/drain')).toEqual([
    503,
    { code: 'DISK_FAILED', reason: null, message: 'broken' },
  ]);
  expect((await ask('GET', '/nothing'))[0]).toBe(404);
  expect((await ask('PUT', '/drain'))[0]).toBe(404);
});

test.each([
  ['no JSON', '{', 'application/json'],
  ['too much', JSON.stringify({ to: 'x'.repeat(5000) }), 'application/json'],
])('a body that is %s is malformed', async (_name, body, type) => {
  expect(await ask('POST', '/leadership', body, type)).toEqual([
    400,
    { code: 'MALFORMED', reason: null, message: expect.stringContaining('cannot be read') },
  ]);
  expect(asked).toEqual([]);
});

test('a body of another type is as none', async () => {
  await ask('POST', '/leadership', '{"to":2,"epoch":7}', 'text/plain');
  expect(asked).toEqual([['moveLeadership', undefined]]);
});
