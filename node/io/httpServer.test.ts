import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { Registry } from 'prom-client';
import { SILENT } from '../../base/log.ts';
import { encodeTextCommand } from '../../protocol/text.ts';
import type { MetricsSnapshot } from '../metrics.ts';
import { startHttpServer } from './httpServer.ts';
import type { Check, HealthSource, RunningHttpServer } from './httpServer.ts';
import { PrometheusMetrics, addProcessMetrics, registerGauges } from './metrics.ts';

const OK: Check = { isOk: true, reasons: [] };

const SNAPSHOT: MetricsSnapshot = {
  raft: {
    term: 3,
    role: 'Leader',
    hasLeader: true,
    commitIndex: 10,
    lastApplied: 9,
    lastIndex: 11,
  },
  ledSegments: 2,
  replicas: { open: 4, recovering: 0, sealed: 7, damaged: 1, quarantined: 2 },
  topics: 5,
  disk: { isReadOnly: false, usedBytes: 100, allocatedBytes: 200, freeBytes: 300, pendingBytes: 4 },
  connections: { text: 1, binary: 2, peer: 3, http: 4 },
  peerQueueBytes: 6,
  inFlightBytes: 7,
  cluster: {
    nodes: { up: 2, down: 1, draining: 0 },
    segments: { open: 3, recovering: 1, sealed: 5 },
    underReplicated: 4,
    unavailable: 6,
  },
};

let registry: Registry;
let ready: () => Check;
let server: RunningHttpServer;
let health: HealthSource;
/** Resolves when the slow request has come, to what answers it. */
let arrived: Promise<() => unknown>;

beforeEach(async () => {
  registry = new Registry();
  ready = () => OK;
  health = { live: () => OK, ready: () => ready() };
  const routes = express.Router();
  arrived = new Promise((resolve) => {
    routes.get('/admin/v1/slow', (_request, response) => {
      resolve(() => response.json({ status: 'ok' }));
    });
  });
  server = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    health,
    registry,
    routes,
    logger: SILENT,
    clientAddress: '127.0.0.1:9091',
  });
});

afterEach(() => server.close());

async function get(path: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
  return { status: response.status, body: await response.json() };
}

describe('the http port', () => {
  test('answers health questions with reasons', async () => {
    expect(await get('/livez')).toEqual({ status: 200, body: { status: 'ok', reasons: [] } });
    const reasons = ['The node has not registered with the metadata leader yet'];
    ready = () => ({ isOk: false, reasons });
    expect(await get('/readyz')).toEqual({ status: 503, body: { status: 'failed', reasons } });
    expect((await get('/livez')).status).toBe(200);
  });

  test('answers in JSON to what it does not know and to what breaks', async () => {
    expect(await get('/nothing')).toEqual({
      status: 404,
      body: { status: 'error', message: 'There is no GET /nothing here' },
    });
    ready = () => {
      throw new Error('broken');
    };
    const broken = await get('/readyz');
    expect(broken.status).toBe(500);
    expect(broken.body).toMatchObject({ status: 'error' });
    expect((await get('/%zz')).status).toBeLessThan(500);
  });

  test('says what it is to who speaks another protocol', async () => {
    const socket = net.connect(server.port, '127.0.0.1');
    socket.write(encodeTextCommand({ type: 'METRICS' }));
    const said: Buffer[] = [];
    for await (const chunk of socket) said.push(chunk as Buffer);
    const [head = '', body = ''] = Buffer.concat(said).toString().split('\r\n\r\n');
    expect(head.split('\r\n')[0]).toBe('HTTP/1.1 400 Bad Request');
    const why = 'what came is no HTTP request';
    const where = 'the text and the binary protocol are spoken at 127.0.0.1:9091';
    expect(JSON.parse(body)).toEqual({
      status: 'error',
      message: `This is an http port: ${why}; ${where}`,
    });
  });

  test('says what is wrong with a request that is too large', async () => {
    const { status, body } = await get(`/${'a'.repeat(100_000)}`);
    expect(status).toBe(431);
    expect(body).toMatchObject({ message: /Request Header Fields Too Large/ });
  });

  test('gives /metrics as Prometheus text', async () => {
    registerGauges(registry, () => SNAPSHOT);
    const response = await fetch(`http://127.0.0.1:${server.port}/metrics`);
    expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    expect(await response.text()).toContain('\nwalrus_raft_term 3\n');
  });

  test('refuses a port in use', async () => {
    const { port } = server;
    await expect(
      startHttpServer({ host: '127.0.0.1', port, health, registry, logger: SILENT }),
    ).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
  });

  test('close() lets a request under way finish and does not wait for idle connections', async () => {
    const idle = net.connect(server.port, '127.0.0.1');
    await once(idle, 'connect');
    const agent = new http.Agent({ keepAlive: true });
    const slow = new Promise<string>((resolve, reject) => {
      const request = http.get({ port: server.port, path: '/admin/v1/slow', agent }, (response) => {
        response.on('data', (chunk: Buffer) => resolve(chunk.toString()));
      });
      request.on('error', reject);
    });
    const release = await arrived;
    const closed = server.close();
    release();
    expect(await slow).toBe('{"status":"ok"}');
    agent.destroy();
    idle.destroy();
    await closed;
    await expect(get('/livez')).rejects.toThrow();
    server = await startHttpServer({
      host: '127.0.0.1',
      port: 0,
      health,
      registry,
      logger: SILENT,
    });
  });
});

describe('the metrics', () => {
  test('count and time what they are told', async () => {
    const metrics = new PrometheusMetrics(registry);
    metrics.appended(10, 1000);
    metrics.appended(1, 100);
    metrics.read(5, 500);
    metrics.synced(0.2, 4096);
    metrics.committed(3);
    metrics.requested('text', 3);
    metrics.failed('text', 'DISK_FULL');
    metrics.failed('text', 'DISK_FULL');
    metrics.rolled('bytes');
    metrics.recovered(700);
    metrics.connectionRefused();
    metrics.peerMessageDropped();
    const text = await registry.metrics();
    for (const line of [
      'walrus_appended_records_total 11',
      'walrus_appended_bytes_total 1100',
      'walrus_read_records_total 5',
      'walrus_read_bytes_total 500',
      'walrus_sync_seconds_bucket{le="0.0001"} 0',
      'walrus_sync_seconds_bucket{le="0.00025"} 1',
      'walrus_sync_group_bytes_sum 4096',
      'walrus_commit_seconds_sum 0.003',
      'walrus_request_seconds_count{protocol="text"} 1',
      'walrus_errors_total{protocol="text",code="DISK_FULL"} 2',
      'walrus_segment_rolls_total{reason="bytes"} 1',
      'walrus_segment_recovery_seconds_sum 0.7',
      'walrus_connections_refused_total 1',
      'walrus_peer_messages_dropped_total 1',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
  });

  test('ask for the gauges once a scrape, and show none while the node is not up', async () => {
    let asked = 0;
    let snapshot: MetricsSnapshot | null = SNAPSHOT;
    registerGauges(registry, () => {
      asked += 1;
      return snapshot;
    });
    const lines = (await registry.metrics()).split('\n');
    expect(asked).toBe(1);
    for (const line of [
      'walrus_raft_role{role="Leader"} 1',
      'walrus_raft_role{role="Learner"} 0',
      'walrus_raft_applied_index 9',
      'walrus_led_segments 2',
      'walrus_replicas{state="damaged"} 1',
      'walrus_replicas{state="quarantined"} 2',
      'walrus_connections{protocol="peer"} 3',
      'walrus_disk_free_bytes 300',
      'walrus_disk_read_only 0',
    ]) {
      expect(lines).toContain(line);
    }
    snapshot = null;
    const empty = (await registry.metrics()).split('\n').filter((line) => /^walrus/.test(line));
    expect(empty).toEqual([]);
  });

  test('follow the naming rules', async () => {
    new PrometheusMetrics(registry);
    registerGauges(registry, () => SNAPSHOT);
    for (const { name, type, help } of await registry.getMetricsAsJSON()) {
      expect(name).toMatch(/^walrus_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(String(type) === 'counter');
      expect(help).not.toBe('');
    }
    const other = new Registry();
    addProcessMetrics(other);
    expect(await other.metrics()).toContain('process_resident_memory_bytes');
    other.clear();
  });
});
