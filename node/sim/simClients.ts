/** Client servers on every machine of a simulated cluster, and clients of the text protocol to use them with. */
import { assert } from '../../base/assert.ts';
import { BufferPool } from '../../base/bufferPool.ts';
import { decodeUtf8Lossy, encodeUtf8 } from '../../base/bytes.ts';
import { SILENT } from '../../base/log.ts';
import type { ByteStream } from '../../base/network.ts';
import { MIB } from '../../base/units.ts';
import { FrameDecoder } from '../../protocol/frame.ts';
import { NO_METRICS } from '../metrics.ts';
import { ClientServer } from '../server/clientServer.ts';
import type { ServerLimits } from '../server/serverContext.ts';
import type { Machine, SimCluster } from './simCluster.ts';
import { SimStreams } from './simStreams.ts';

export const SIM_LIMITS: ServerLimits = {
  maxConnections: 1000,
  maxFrameBytes: 1024 * 1024,
  maxConnectionInFlightBytes: 8 * 1024 * 1024,
  maxNodeInFlightBytes: 64 * 1024 * 1024,
  maxFetchBytes: 4 * 1024 * 1024,
  requestTimeoutMs: 10_000,
};

/** Attaches a client server to each process life of a cluster. Made before the machines are started. */
export class SimClients {
  readonly streams: SimStreams;
  /** The running servers, by machine. */
  readonly servers = new Map<Machine, ClientServer>();

  constructor(cluster: SimCluster, limits: Partial<ServerLimits> = {}) {
    this.streams = new SimStreams(cluster.scheduler, cluster.random.fork());
    cluster.onEnded(() => this.streams.breakDead());
    cluster.onOpened((machine, parts) => {
      assert(machine.clock !== null && machine.process !== null, 'A machine that opens runs');
      const server = new ClientServer(parts, {
        clock: machine.clock,
        logger: SILENT,
        metrics: NO_METRICS,
        buffers: new BufferPool({ maxFreeBytes: 8 * MIB, spoils: true }),
        softwareVersion: 'sim',
        limits: { ...SIM_LIMITS, ...limits },
      });
      this.servers.set(machine, server);
      this.streams.listen(clientAddressOf(machine), machine.process, (stream) =>
        server.accept(stream),
      );
    });
  }

  /** A client of the text protocol, connected to a machine. */
  text(machine: Machine): SimTextClient {
    return new SimTextClient(this.streams, clientAddressOf(machine));
  }
}

/** Where clients of a machine connect to. */
export function clientAddressOf({ nodeId }: Machine): string {
  return `node-${nodeId}:9091`;
}

/** A text client that keeps many commands under way. */
export class SimTextClient {
  readonly stream: ByteStream;
  isClosed = false;
  /** Replies as they came; payloads as bytes. */
  readonly replies: Uint8Array[] = [];
  readonly #waiting: ((reply: Uint8Array | null) => void)[] = [];

  constructor(streams: SimStreams, address: string) {
    const decoder = new FrameDecoder({
      maxFrameBytes: 2 ** 31,
      what: 'reply',
      onFrame: (frame) => {
        const reply = frame.slice();
        this.replies.push(reply);
        this.#waiting.shift()?.(reply);
      },
    });
    this.stream = streams.network(null).connect(address, {
      onOpen: () => undefined,
      onData: (chunk) => void decoder.push(chunk),
      onDrain: () => undefined,
      onClose: () => {
        this.isClosed = true;
        for (const waiting of this.#waiting.splice(0)) waiting(null);
      },
    });
  }

  /** Sends a command; resolves with the reply's bytes, or null when the connection broke before it came. */
  send(command: string | Uint8Array): Promise<Uint8Array | null> {
    const content = typeof command === 'string' ? encodeUtf8(command) : command;
    const frame = new Uint8Array(4 + content.length);
    new DataView(frame.buffer).setUint32(0, content.length, true);
    frame.set(content, 4);
    if (this.isClosed) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.stream.write(frame);
    });
  }

  /** The same as text; 'CLOSED' when the connection broke. */
  async ask(command: string): Promise<string> {
    const reply = await this.send(command);
    return reply === null ? 'CLOSED' : decodeUtf8Lossy(reply);
  }
}
