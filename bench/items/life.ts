/** What nodes cost when nothing happens, and how long they take to serve. */
import { setTimeout as delay } from 'node:timers/promises';
import path from 'node:path';
import { connectText } from '../../client/index.ts';
import { Cluster } from '../cluster.ts';
import { occupiedMebibytes, processorMs, residentMebibytes, runNode } from '../processes.ts';
import type { BenchContext, Figure, Measurement } from '../types.ts';

/** A cluster that has just started compiles code and fills its disks' reserve. */
const SETTLE_MS = 10_000;
/** Processor time is counted in steps of 10 ms. */
const IDLE_SECONDS_MIN = 10;
const RECORD = new Uint8Array(100).fill(7);
const TOPIC = 'bench-restart';

async function withCluster<T>(
  context: BenchContext,
  nodesCount: number,
  body: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const cluster = await Cluster.start(path.join(context.directory, 'own-cluster'), nodesCount);
  try {
    return await body(cluster);
  } finally {
    await cluster.end();
  }
}

const idle: Measurement = {
  kind: 'measurement',
  name: 'idle',
  title: 'three idle nodes',
  measure: (context) =>
    withCluster(context, 3, async (cluster) => {
      await delay(SETTLE_MS);
      const shares: number[] = [];
      for (let round = 0; round < context.rounds; round += 1) {
        const startMs = performance.now();
        const before = usedMs(cluster);
        await delay(1000 * Math.max(IDLE_SECONDS_MIN, context.seconds));
        shares.push((100 * (usedMs(cluster) - before)) / (performance.now() - startMs));
      }
      const memory = cluster.ids.map((id) => residentMebibytes(cluster.pidOf(id)));
      return [
        { label: 'processor, all three', unit: '% of one core', values: shares, limit: 3 },
        { label: 'memory of a node', unit: 'MiB', values: memory, limit: 120 },
      ];
    }),
};

function usedMs(cluster: Cluster): number {
  return cluster.ids.reduce((sum, id) => sum + processorMs(cluster.pidOf(id)), 0);
}

const fresh: Measurement = {
  kind: 'measurement',
  name: 'fresh',
  title: 'one node on an empty disk',
  async measure(context) {
    const times: number[] = [];
    const occupied: number[] = [];
    for (let round = 0; round < context.rounds; round += 1) {
      const startMs = performance.now();
      await withCluster(context, 1, async (cluster) => {
        times.push(performance.now() - startMs);
        await delay(SETTLE_MS / 10);
        occupied.push(occupiedMebibytes(cluster.dataDirOf(1)));
      });
    }
    return [
      {
        ...{ label: 'from the start of the process until it serves', unit: 'ms' },
        ...{ values: times, limit: 1000 },
      },
      { label: 'occupied on the disk', unit: 'MiB', values: occupied, limit: 64 },
    ];
  },
};

const restart: Measurement = {
  kind: 'measurement',
  name: 'restart',
  title: 'a node of three after kill -9, with much log and with none',
  measure: (context) =>
    withCluster(context, 3, async (cluster) => {
      const { admin } = cluster.client;
      await admin.createTopic({ name: TOPIC, replicas: 3, ackQuorum: 2 });
      context.say('restart: without log');
      const without = await restarts(context, cluster);
      context.say(`restart: writing ${context.logMegabytes} MB`);
      await fill(context, cluster);
      const bytes = cluster.ids.map((id) => occupiedMebibytes(cluster.dataDirOf(id)));
      context.say('restart: with log');
      const withLog = await restarts(context, cluster);
      const log = `with ${context.logMegabytes} MB of log`;
      return [
        { label: 'serves, without log', unit: 'ms', values: without.serves },
        { label: 'first PUT through it, without log', unit: 'ms', values: without.puts },
        { label: `serves, ${log}`, unit: 'ms', values: withLog.serves, limit: 3000 },
        { label: `first PUT through it, ${log}`, unit: 'ms', values: withLog.puts },
        { label: 'disk of a node', unit: 'MiB', values: bytes },
      ];
    }),
};

/** Kills one node after the other and starts it again at once; times in ms from the start of the process. */
async function restarts(
  context: BenchContext,
  cluster: Cluster,
): Promise<{ serves: number[]; puts: number[] }> {
  const serves: number[] = [];
  const puts: number[] = [];
  for (let round = 0; round < context.rounds; round += 1) {
    const id = 1 + (round % cluster.ids.length);
    await cluster.kill(id);
    const startMs = performance.now();
    cluster.startNode(id);
    await cluster.untilReady(id);
    serves.push(performance.now() - startMs);
    await put(cluster, id);
    puts.push(performance.now() - startMs);
    for (const other of cluster.ids) await cluster.untilReady(other);
  }
  return { serves, puts };
}

async function put(cluster: Cluster, id: number): Promise<void> {
  const client = connectText(cluster.addressOf(id));
  try {
    const reply = await client.send({ type: 'PUT', topic: TOPIC, payload: RECORD });
    if (reply.type !== 'OK') throw new Error(`a PUT got ${JSON.stringify(reply)}`);
  } finally {
    client.close();
  }
}

async function fill(context: BenchContext, cluster: Cluster): Promise<void> {
  const producer = await cluster.client.producer({ topic: TOPIC, batchBytes: 512 * 1024 });
  const value = new Uint8Array(1000).fill(7);
  for (let i = 0; i < 1000 * context.logMegabytes; i += 1) {
    const room = producer.sendRange(value, 0, value.length);
    if (room !== undefined) await room;
  }
  await producer.close();
}

interface FailoverTimes {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly max: number;
}

/** The kills are those of `npm run chaos`, whose report has the times. */
const failover: Measurement = {
  kind: 'measurement',
  name: 'failover',
  title: "from kill -9 of a partition's leader until its writers are served again",
  async measure(context) {
    const args = ['--scenario', 'failover', '--kills', String(context.kills), '--json'];
    const dataDir = path.join(context.directory, 'failover');
    const printed = await runNode('e2e/chaos/main.ts', [...args, '--data-dir', dataDir], [0, 1]);
    const report = JSON.parse(printed) as {
      readonly binary: FailoverTimes;
      readonly problems: readonly string[];
    };
    for (const problem of report.problems) context.say(`failover: ${problem}`);
    const { count, p50, p90, max } = report.binary;
    const figure = (label: string, value: number): Figure => ({
      label: `${label} of ${count} kills`,
      unit: 'ms',
      values: [value],
      limit: 3000,
    });
    return [figure('p50', p50), figure('p90', p90), figure('longest', max)];
  },
};

export const LIFE_ITEMS: readonly Measurement[] = [idle, fresh, restart, failover];
