/** Text commands on many connections, each with several under way. */
import { once } from 'node:events';
import net from 'node:net';
import { FrameDecoder } from '../protocol/frame.ts';
import { encodeTextCommand, parseTextReply } from '../protocol/text.ts';
import type { TextReply } from '../protocol/text.ts';
import { Latencies } from './stats.ts';
import type { Sample } from './types.ts';

const REPLY_BYTES_MAX = 64 * 1024;
/** The part of a leg that is not counted: connections open, code gets compiled. */
const WARM_UP_SHARE = 0.2;

export interface TextLoadOptions {
  readonly addresses: readonly string[];
  readonly command: Parameters<typeof encodeTextCommand>[0];
  /** What every reply must be. */
  readonly reply: TextReply['type'];
  readonly connections: number;
  /** Commands under way on each connection. */
  readonly depth: number;
  readonly seconds: number;
}

/** Runs a load; the rate counts replies. @throws {Error} when one is another than it must be. */
export async function runTextLoad(options: TextLoadOptions): Promise<Sample> {
  const load = new TextLoad(options);
  return await load.run();
}

class TextLoad {
  readonly #options: TextLoadOptions;
  /** `depth` commands one after the other, so that any number of them is one write. */
  readonly #commands: Uint8Array;
  readonly #commandBytes: number;
  readonly #latencies = new Latencies(4_000_000);
  #countsFromMs = 0;
  #endMs = 0;
  #lastMs = 0;

  constructor(options: TextLoadOptions) {
    this.#options = options;
    const command = encodeTextCommand(options.command);
    this.#commandBytes = command.length;
    this.#commands = Buffer.concat(Array<Uint8Array>(options.depth).fill(command));
  }

  async run(): Promise<Sample> {
    const { connections, addresses, seconds } = this.#options;
    const sockets = await Promise.all(
      Array.from({ length: connections }, (_, i) => open(addresses[i % addresses.length] ?? '')),
    );
    const startMs = performance.now();
    this.#countsFromMs = startMs + WARM_UP_SHARE * 1000 * seconds;
    this.#endMs = this.#countsFromMs + 1000 * seconds;
    try {
      await Promise.all(sockets.map((socket) => this.#drive(socket)));
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    const { p50, p99 } = this.#latencies.summary();
    const countedMs = this.#lastMs - this.#countsFromMs;
    return { rate: (1000 * this.#latencies.count) / countedMs, p50Ms: p50, p99Ms: p99 };
  }

  /** Keeps `depth` commands under way until the end, then waits for their replies. */
  #drive(socket: net.Socket): Promise<void> {
    const { depth, command, reply: wanted } = this.#options;
    /** When the command of each place was sent: replies come in the order of the commands. */
    const sentMs = new Float64Array(depth);
    let sent = 0;
    let answered = 0;
    const send = (count: number, nowMs: number): void => {
      for (let i = 0; i < count; i += 1) sentMs[(sent + i) % depth] = nowMs;
      sent += count;
      socket.write(this.#commands.subarray(0, count * this.#commandBytes));
    };
    return new Promise((resolve, reject) => {
      const decoder = new FrameDecoder({
        maxFrameBytes: REPLY_BYTES_MAX,
        what: 'reply',
        onFrame: (frame) => {
          const reply = parseTextReply(frame);
          if (reply.type !== wanted)
            reject(new Error(`a ${command.type} got ${JSON.stringify(reply)}`));
          this.#count(performance.now(), sentMs[answered % depth] ?? 0);
          answered += 1;
        },
      });
      socket.on('data', (chunk) => {
        const before = answered;
        const problem = decoder.push(chunk);
        if (problem !== null) reject(problem);
        const nowMs = performance.now();
        if (nowMs < this.#endMs) send(answered - before, nowMs);
        else if (answered === sent) resolve();
      });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('a connection was closed')));
      send(depth, performance.now());
    });
  }

  #count(nowMs: number, sentMs: number): void {
    if (nowMs < this.#countsFromMs || nowMs > this.#endMs) return;
    this.#latencies.add(nowMs - sentMs);
    this.#lastMs = nowMs;
  }
}

async function open(address: string): Promise<net.Socket> {
  const at = address.lastIndexOf(':');
  const socket = net.connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)) });
  socket.setNoDelay(true);
  await once(socket, 'connect');
  return socket;
}
