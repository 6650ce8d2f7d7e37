/** Text `GET` of 100 B from the shared cursor of a topic on three nodes. */
import path from 'node:path';
import { Cluster } from '../cluster.ts';
import { runTextLoad } from '../textLoad.ts';
import type { BenchContext, Figure, Measurement } from '../types.ts';

const PAYLOAD = new Uint8Array(100).fill(0x77);
/** More than are read: a cursor that comes to its end would answer without a record. */
const RECORDS_PER_SECOND = 200_000;

interface Load {
  readonly connections: number;
  /** GETs under way on each. */
  readonly depth: number;
  /** Nodes that they are spread over: these get records by turns. */
  readonly nodes: number;
}

const LOADS: readonly Load[] = [
  { connections: 1, depth: 1, nodes: 1 },
  { connections: 64, depth: 1, nodes: 1 },
  { connections: 64, depth: 1, nodes: 3 },
  { connections: 64, depth: 16, nodes: 3 },
];

async function fill(cluster: Cluster, topic: string, count: number): Promise<void> {
  const { admin } = cluster.client;
  await admin.createTopic({ name: topic, replicas: 3, ackQuorum: 2 });
  const producer = await cluster.client.producer({ topic });
  for (let i = 0; i < count; i += 1) await producer.sendValue(PAYLOAD);
  await producer.close();
}

async function rates(
  context: BenchContext,
  cluster: Cluster,
  { connections, depth, nodes }: Load,
): Promise<number[]> {
  const { seconds, rounds } = context;
  const addresses = cluster.addresses.slice(0, nodes);
  const found: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const topic = `bench-get-${connections}x${depth}-${nodes}-${round}`;
    await fill(cluster, topic, Math.ceil(RECORDS_PER_SECOND * seconds));
    const command = { type: 'GET', topic } as const;
    const load = { addresses, command, reply: 'VALUE', connections, depth, seconds } as const;
    found.push((await runTextLoad(load)).rate);
    await cluster.client.admin.deleteTopic(topic);
  }
  return found;
}

async function measure(context: BenchContext): Promise<readonly Figure[]> {
  const cluster = await Cluster.start(path.join(context.directory, 'get-cluster'), 3);
  try {
    const figures: Figure[] = [];
    for (const load of LOADS) {
      const { connections, depth, nodes } = load;
      const pipelined = depth === 1 ? '' : `, ${depth} deep`;
      const label = `connections: ${connections}${pipelined}, through ${nodes} of the nodes`;
      figures.push({ label, unit: 'GET/s', values: await rates(context, cluster, load) });
    }
    return figures;
  } finally {
    await cluster.end();
  }
}

export const TEXT_GET_ITEMS: readonly Measurement[] = [
  { kind: 'measurement', name: 'get', title: 'three nodes, text GET of 100 B', measure },
];
