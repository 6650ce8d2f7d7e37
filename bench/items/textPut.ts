/** Text `PUT` of 100 B to three nodes that sync before they acknowledge. */
import { syncLoop } from '../rawDisk.ts';
import { runTextLoad } from '../textLoad.ts';
import type { Comparison } from '../types.ts';

const PAYLOAD_BYTES = 100;
const TOPIC = 'bench-put';

/** Moves on with every leg, so that a few connections meet every node. */
let legsCount = 0;

function textPut(connections: number, depth: number, targetRatio?: number): Comparison {
  const pipelined = depth === 1 ? '' : `, ${depth} deep`;
  return {
    kind: 'comparison',
    name: `put-${connections}x${depth}`,
    title: `three nodes, text PUT of 100 B, connections: ${connections}${pipelined}`,
    unit: 'PUT/s',
    baselineName: 'write+fdatasync loop',
    ...(targetRatio === undefined ? {} : { targetRatio }),
    baseline: (context) => Promise.resolve(syncLoop(context, PAYLOAD_BYTES)),
    async subject(context) {
      const cluster = await context.cluster();
      const { admin } = cluster.client;
      await admin.createTopic({ name: TOPIC, replicas: 3, ackQuorum: 2, ifNotExists: true });
      const first = legsCount % cluster.addresses.length;
      legsCount += 1;
      const addresses = [...cluster.addresses.slice(first), ...cluster.addresses.slice(0, first)];
      const { seconds } = context;
      const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x77);
      const command = { type: 'PUT', topic: TOPIC, payload } as const;
      const load = { addresses, command, reply: 'OK', connections, depth } as const;
      return await runTextLoad({ ...load, seconds });
    },
  };
}

export const TEXT_PUT_ITEMS: readonly Comparison[] = [
  textPut(1, 1),
  textPut(64, 1, 3),
  textPut(256, 16, 20),
];
