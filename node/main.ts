/** A node as a process: the real clock, disk and network, the ports, and the order of starting and stopping. */
import { Registry } from 'prom-client';
import { ClockScope } from '../base/clockScope.ts';
import { WalrusError, isWalrusError, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Listener } from '../base/network.ts';
import { nodeId } from '../base/units.ts';
import { SOFTWARE_VERSION } from '../base/version.ts';
import type { BootstrapRequest } from '../protocol/admin/types.ts';
import type { NodeSettings } from './config.ts';
import { adminRoutes } from './io/adminRoutes.ts';
import { nodeBuffers } from './io/buffers.ts';
import { ConsoleLogger } from './io/consoleLogger.ts';
import { startHttpServer } from './io/httpServer.ts';
import type { Check, RunningHttpServer } from './io/httpServer.ts';
import { PrometheusMetrics, addProcessMetrics, registerGauges } from './io/metrics.ts';
import { installNativeCrc32c } from './io/nativeCrc32c.ts';
import { RealClock } from './io/realClock.ts';
import { RealDisk } from './io/realDisk.ts';
import { RealRandom } from './io/realRandom.ts';
import { TcpNetwork } from './io/tcpNetwork.ts';
import { timingOf } from './config/timing.ts';
import { meteredDisk } from './meteredDisk.ts';
import { snapshotOf } from './metricsSnapshot.ts';
import { AdminApi } from './server/admin/adminApi.ts';
import type { AdminNode } from './server/admin/adminApi.ts';
import { LeaderAdmin } from './server/admin/leaderAdmin.ts';
import { ClientServer } from './server/clientServer.ts';
import { REFUSALS_COUNT_MAX } from './server/connectionLimit.ts';
import { StreamPeerTransport } from './server/peerTransport.ts';
import { Shutdown } from './shutdown.ts';
import { WalrusNode } from './walrusNode.ts';
import type { NodeParts } from './walrusNode.ts';

export { lockFile } from './io/fileLock.ts';

/** How often a stopping node looks whether its segments are led by others. */
const HANDOVER_CHECK_MS = 20;
/** How long each part of a node may take to close, after `shutdownTimeout`. */
const CLOSE_MS_MAX = 3000;
/** How long connections may take to end by themselves. */
const LINGER_MS_MAX = 500;

/** Where a node really listens. */
export interface NodePorts {
  readonly client: number;
  readonly peer: number;
  readonly http: number;
}

export interface RunningNode {
  readonly ports: NodePorts;
  /** `host:port` that clients are told. */
  readonly clientAddress: string;
  /** Resolves once the metadata has registered this start, so that the node serves. Rejects when it cannot. */
  readonly registered: Promise<void>;
  /** Resolves when the node has ended: null after `stop`, else why it could not go on. */
  readonly ended: Promise<WalrusError | null>;
  /**
   * Answers what is under way and hands over what it leads, within the setting `shutdownTimeout`; then closes, which
   * is bounded too. Never rejects.
   */
  stop(): Promise<void>;
}

/**
 * Starts a node. It listens when this resolves; `registered` says when it serves.
 * @throws {WalrusError} ADDRESS_IN_USE, INVALID_CONFIG
 */
export async function runNode(settings: NodeSettings): Promise<RunningNode> {
  const logger = new ConsoleLogger({
    level: settings.logLevel,
    file: settings.logFile,
    fields: { nodeId: settings.nodeId },
  });
  await installNativeCrc32c(logger);
  const node = new NodeProcess(settings, logger);
  await node.listen();
  return node;
}

class NodeProcess implements RunningNode, AdminNode {
  readonly ended: Promise<WalrusError | null>;
  readonly version = SOFTWARE_VERSION;
  readonly startedAtMs: number;
  registered: Promise<void> = Promise.resolve();
  readonly #settings: NodeSettings;
  readonly #logger: Logger;
  /** Whose timers end with the node. */
  readonly #clock = new ClockScope(new RealClock());
  readonly #random = new RealRandom();
  readonly #registry = new Registry();
  readonly #metrics = new PrometheusMetrics(this.#registry);
  readonly #buffers = nodeBuffers();
  readonly #network: TcpNetwork;
  readonly #transport: StreamPeerTransport;
  #peerAddress = '';
  #node: WalrusNode | null = null;
  #server: ClientServer | null = null;
  #clientListener: Listener | null = null;
  #http: RunningHttpServer | null = null;
  #peerPort = 0;
  #isStopping = false;
  #end: (reason: WalrusError | null) => void = () => undefined;

  constructor(settings: NodeSettings, logger: Logger) {
    this.#settings = settings;
    this.#logger = logger;
    this.startedAtMs = this.#clock.wallMs();
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#network = new TcpNetwork({
      maxStreams: settings.maxConnections + REFUSALS_COUNT_MAX,
      onRefused: () => this.#server?.connectionRefused(),
      logger,
    });
    this.#transport = new StreamPeerTransport({
      network: this.#network,
      clock: this.#clock,
      random: this.#random,
      logger,
      buffers: this.#buffers,
      maxQueueBytes: settings.maxPeerQueueBytes,
      onDropped: () => this.#metrics.peerMessageDropped(),
      local: () => ({
        clusterId: this.clusterId,
        nodeId: nodeId(settings.nodeId),
        address: this.#peerAddress,
        softwareVersion: SOFTWARE_VERSION,
      }),
    });
  }

  get ports(): NodePorts {
    return {
      client: this.#clientListener?.port ?? 0,
      peer: this.#peerPort,
      http: this.#http?.port ?? 0,
    };
  }

  get nodeId(): number {
    return this.#settings.nodeId;
  }

  get clusterId(): string {
    return this.#node?.clusterId ?? this.#settings.clusterId;
  }

  get diskId(): string | null {
    return this.#node?.identity?.diskId ?? null;
  }

  get isRegistered(): boolean {
    return this.#node?.isRegistered === true;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  get parts(): NodeParts | null {
    return this.#node?.isOpen === true ? this.#node.parts : null;
  }

  /** @throws {WalrusError} As `WalrusNode.bootstrap`. */
  async bootstrap(request: BootstrapRequest): Promise<void> {
    await this.#node?.bootstrap(request);
  }

  get clientAddress(): string {
    return this.#advertised('client', this.ports.client);
  }

  #advertised(kind: 'client' | 'peer' | 'http', listenPort: number): string {
    const settings = this.#settings;
    const host = settings[`${kind}AdvertiseHost`] || settings[`${kind}Host`];
    const port = settings[`${kind}AdvertisePort`] || listenPort;
    return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  }

  /** Opens the ports, then starts the node behind them: one that joins must answer hellos. */
  async listen(): Promise<void> {
    const settings = this.#settings;
    try {
      this.#peerPort = await this.#transport.listen(settings.peerHost, settings.peerPort);
      this.#peerAddress = this.#advertised('peer', this.#peerPort);
      this.#clientListener = await this.#network.listen(
        settings.clientHost,
        settings.clientPort,
        (stream) => {
          if (this.#server !== null && !this.#isStopping) return this.#server.accept(stream);
          stream.destroy(); // not yet, or no more: the client tries another node
          return { onData: noop, onDrain: noop, onClose: noop };
        },
      );
      addProcessMetrics(this.#registry);
      registerGauges(this.#registry, () =>
        snapshotOf({ node: this.#node, server: this.#server, transport: this.#transport }),
      );
      this.#http = await startHttpServer({
        host: settings.httpHost,
        port: settings.httpPort,
        health: { live: () => this.#live(), ready: () => this.#ready() },
        registry: this.#registry,
        logger: this.#logger,
        routes: adminRoutes(new AdminApi(this)),
        clientAddress: this.clientAddress,
      });
    } catch (error) {
      await this.#close();
      throw error;
    }
    this.registered = this.#start();
    this.registered.catch((error: unknown) => this.#fail(error));
  }

  async #start(): Promise<void> {
    const settings = this.#settings;
    const disk = meteredDisk(new RealDisk(settings.dataDir), this.#clock, this.#metrics);
    const node = new WalrusNode(
      {
        nodeId: nodeId(settings.nodeId),
        clusterId: settings.clusterId,
        addresses: {
          peer: this.#peerAddress,
          client: this.clientAddress,
          http: this.#advertised('http', this.ports.http),
        },
        // Without `join` this node creates the cluster, whatever others are started with it.
        join: settings.join.length === 0 ? [] : [...settings.join, ...settings.initialPeers],
        replaceDisk: settings.replaceDisk,
        zone: settings.zone,
        version: SOFTWARE_VERSION,
        clusterConfig: {
          metadataVoters: settings.metadataVoters,
          maxSegmentEntries: settings.maxSegmentEntries,
          maxSegmentBytes: settings.maxSegmentBytes,
          maxSegmentAgeMs: settings.maxSegmentAge,
        },
        timing: timingOf(settings),
        scrub: {
          intervalMs: settings.scrubInterval,
          bytesPerSecond: settings.scrubBytesPerSecond,
        },
      },
      {
        clock: this.#clock,
        random: this.#random,
        disk,
        logger: this.#logger,
        transport: this.#transport,
        metrics: this.#metrics,
        buffers: this.#buffers,
        onFatal: (error) => this.#fail(error),
      },
    );
    this.#node = node;
    await node.start((parts) => {
      new LeaderAdmin(parts);
      this.#server = new ClientServer(parts, {
        clock: this.#clock,
        logger: this.#logger,
        metrics: this.#metrics,
        buffers: this.#buffers,
        softwareVersion: SOFTWARE_VERSION,
        limits: {
          maxConnections: settings.maxConnections,
          maxFrameBytes: settings.maxFrameBytes,
          maxConnectionInFlightBytes: settings.maxConnectionInFlightBytes,
          maxNodeInFlightBytes: settings.maxNodeInFlightBytes,
          maxFetchBytes: settings.maxFetchBytes,
          requestTimeoutMs: settings.requestTimeout,
        },
      });
    });
    this.#logger.log('info', 'the node serves', { client: this.clientAddress });
  }

  /** Trouble that a restart would not mend is no reason to restart. */
  #live(): Check {
    return { isOk: true, reasons: [] };
  }

  #ready(): Check {
    const reasons: string[] = [];
    if (this.#isStopping) reasons.push('The node is stopping');
    else if (this.#node?.isRegistered !== true) reasons.push('The node is not registered yet');
    else {
      const { health } = this.#node.parts.storage;
      if (health.state === 'READ_ONLY') reasons.push(health.error.message);
    }
    return { isOk: reasons.length === 0, reasons };
  }

  /** The node cannot go on. */
  #fail(error: unknown): void {
    const reason = isWalrusError(error)
      ? error
      : new WalrusError('DISK_FAILED', messageOf(error), { cause: error });
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#logger.log('error', 'the node cannot go on', {
      code: reason.code,
      reason: reason.message,
    });
    void this.#close().then(() => this.#end(reason));
  }

  async stop(): Promise<void> {
    if (this.#isStopping) {
      await this.ended;
      return;
    }
    this.#isStopping = true;
    this.#logger.log('info', 'the node is stopping');
    const clock = this.#clock;
    const shutdown = new Shutdown(clock, this.#logger);
    const deadlineMs = clock.monotonicMs() + this.#settings.shutdownTimeout;
    const step = (name: string, action: () => Promise<void>): Promise<boolean> =>
      shutdown.step(name, deadlineMs - clock.monotonicMs(), action);
    await this.#clientListener?.close();
    const { parts } = this;
    parts?.drain.beginStop();
    await step('answering requests', async () =>
      this.#server?.drain(deadlineMs - clock.monotonicMs()),
    );
    await step('handing segments over', () => this.#handOver(deadlineMs));
    await step('handing the metadata over', async () => parts?.drain.handOverMetadata());
    await this.#close();
    this.#end(null);
  }

  /** Waits until others lead what this node led, where there are others. */
  async #handOver(deadlineMs: number): Promise<void> {
    const { parts } = this;
    while (parts?.drain.isHandingOver === true && this.#clock.monotonicMs() < deadlineMs) {
      await new Promise<void>((resolve) => this.#clock.setTimer(HANDOVER_CHECK_MS, resolve));
    }
  }

  async #close(): Promise<void> {
    const shutdown = new Shutdown(this.#clock, this.#logger);
    await this.#clientListener?.close();
    this.#server?.stop();
    await shutdown.step('closing the disk', CLOSE_MS_MAX, async () => this.#node?.stop());
    await shutdown.step('closing the peer port', CLOSE_MS_MAX, () => this.#transport.stop());
    await shutdown.step('closing the http port', CLOSE_MS_MAX, async () => this.#http?.close());
    await shutdown.step('closing connections', CLOSE_MS_MAX, () =>
      this.#network.close(LINGER_MS_MAX),
    );
    this.#clock.end();
  }
}

function noop(): void {
  // Nobody listens.
}
