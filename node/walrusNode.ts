/**
 * One Walrus node, put together from its parts on an injected world: the same code under the simulator and in a
 * process. It owns the order of starting (disk, Raft, registration, serving) and of stopping.
 *
 * A node serves nothing before the metadata has registered this boot of this disk (DESIGN I1-I3), and this is noted
 * on the disk (ADR 0101). Its Raft server promises nothing before its peers have admitted it (ADR 0121).
 */
import { assert } from '../base/assert.ts';
import type { BufferPool } from '../base/bufferPool.ts';
import type { Clock } from '../base/clock.ts';
import type { Disk } from '../base/disk.ts';
import { WalrusError, isWalrusError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { PeerTransport } from '../base/network.ts';
import type { Random } from '../base/random.ts';
import type { NodeId } from '../base/units.ts';
import {
  decodeReplicationMessage,
  encodeAppendAck,
  encodeAppendHeader,
  encodeOpen,
} from '../protocol/peer/append.ts';
import type { BootstrapRequest } from '../protocol/admin/types.ts';
import { CLUSTER_INFO } from '../protocol/peer/requests.ts';
import { BootAdmission, serveBoots } from './bootAdmission.ts';
import { ClusterEntry, isBootRegistered, onceRegistered } from './clusterEntry.ts';
import type { NodeAddresses } from './clusterEntry.ts';
import type { NodeTiming } from './config/timing.ts';
import { Controller } from './controller/controller.ts';
import { Deletion } from './controller/deletion.ts';
import { Drain } from './controller/drain.ts';
import { Heartbeat } from './controller/heartbeat.ts';
import { RaftMetadata } from './controller/metadataService.ts';
import { nodeReport } from './controller/nodeReport.ts';
import { Repair } from './controller/repair.ts';
import { Scrub } from './controller/scrub.ts';
import type { ScrubSettings } from './controller/scrub.ts';
import { serveReplicas } from './controller/replicaService.ts';
import { SegmentManager } from './controller/segmentManager.ts';
import type { Metrics } from './metrics.ts';
import type { RaftDriverSettings } from './raft/driver/options.ts';
import { RaftDriver } from './raft/driver/raftDriver.ts';
import { serverId } from './raft/types.ts';
import type { Configuration } from './raft/types.ts';
import { DiskPreparation } from './diskPreparation.ts';
import { ReplicaHost } from './replication/replicaHost.ts';
import { TransportPeerRpc } from './server/peerRpc.ts';
import { decodeRaftEnvelope, encodeRaftEnvelope } from './server/raftEnvelope.ts';
import { MetadataStateMachine } from './state/metadataStateMachine.ts';
import type { ClusterConfig, ReplicaPlace } from './state/types.ts';
import { openStorage } from './storage/engine.ts';
import type { DiskIdentity, StorageEngine } from './storage/types.ts';

const RAFT_DIRECTORY = 'raft';
/** Between two tries to begin the metadata. */
const RETRY_MS = 50;

export interface WalrusNodeOptions {
  readonly nodeId: NodeId;
  /** '' for whatever the disk, or the cluster joined, says. */
  readonly clusterId: string;
  /** Where this node is reached, as others are told. */
  readonly addresses: NodeAddresses;
  /**
   * Peer addresses of members; empty: a node with an empty disk creates a cluster. With `clusterId`, it waits for
   * that cluster at these addresses, or for the word to begin it.
   */
  readonly join: readonly string[];
  /** The operator's word that this node's earlier disk is lost, and that this empty one replaces it. */
  readonly replaceDisk: boolean;
  readonly zone: string;
  readonly version: string;
  /** For a cluster that this node creates. */
  readonly clusterConfig: ClusterConfig;
  readonly timing: NodeTiming;
  readonly scrub: ScrubSettings;
  /** Settings of the metadata's log that are not the defaults. */
  readonly raft?: Partial<RaftDriverSettings>;
}

/** What a node runs on. */
export interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly logger: Logger;
  readonly transport: PeerTransport;
  readonly metrics: Metrics;
  /** Large buffers of batches and frames that pass through. */
  readonly buffers: BufferPool;
  /** The node cannot go on: its disk failed, or the metadata refuses it. Called once. */
  onFatal(error: WalrusError): void;
}

/** The parts of a node that has started, for whoever serves clients with it. */
export interface NodeParts {
  readonly identity: DiskIdentity;
  readonly self: ReplicaPlace;
  readonly rpc: TransportPeerRpc;
  readonly storage: StorageEngine;
  readonly host: ReplicaHost;
  readonly raft: RaftDriver;
  readonly admission: BootAdmission;
  readonly metadata: RaftMetadata;
  readonly session: Heartbeat;
  readonly segments: SegmentManager;
  readonly controller: Controller;
  readonly repair: Repair;
  readonly scrub: Scrub;
  readonly deletion: Deletion;
  readonly drain: Drain;
}

export class WalrusNode {
  readonly #options: WalrusNodeOptions;
  readonly #world: World;
  readonly #rpc: TransportPeerRpc;
  readonly #entry: ClusterEntry;
  readonly #preparation: DiskPreparation;
  #parts: NodeParts | null = null;
  #isStopped = false;
  #isRegistered = false;

  constructor(options: WalrusNodeOptions, world: World) {
    this.#options = options;
    this.#world = world;
    const { clock, disk, random, logger, transport } = world;
    const self = { nodeId: options.nodeId, address: options.addresses.peer };
    this.#rpc = new TransportPeerRpc({ clock, random, logger, transport, self });
    this.#entry = new ClusterEntry({ ...options, clock, logger, rpc: this.#rpc });
    const { nodeId, clusterId } = options;
    const joins = options.join.length > 0;
    const entry = this.#entry;
    this.#preparation = new DiskPreparation({
      disk,
      random,
      logger,
      nodeId,
      clusterId,
      joins,
      entry,
    });
  }

  /** The cluster's id; '' until it is known. For the transport's handshake. */
  get clusterId(): string {
    return this.identity?.clusterId ?? this.#options.clusterId;
  }

  /** Of the disk; null until it is formatted. */
  get identity(): DiskIdentity | null {
    return this.#preparation.identity;
  }

  /** Begins the cluster that this node waits for. @throws {WalrusError} As `DiskPreparation.bootstrap`. */
  bootstrap(request: BootstrapRequest): Promise<void> {
    return this.#preparation.bootstrap(request);
  }

  /** Whether the metadata has registered this boot, so that the node serves. */
  get isRegistered(): boolean {
    return this.#isRegistered;
  }

  /** Whether the disk is open and the parts are there. */
  get isOpen(): boolean {
    return this.#parts !== null;
  }

  /** @throws {AssertionError} before `start` has opened the disk. */
  get parts(): NodeParts {
    assert(this.#parts !== null, 'A node has parts once it has opened its disk');
    return this.#parts;
  }

  /**
   * Opens or formats the disk, joins or creates the cluster, and registers.
   * @param onOpened - Called once the parts are there, before this node is registered.
   * @throws {WalrusError} DATA_DIR_LOCKED, WRONG_DATA_DIR, DISK_REFUSED, WRONG_CLUSTER, SHUTTING_DOWN ...
   */
  async start(onOpened: (parts: NodeParts) => void = () => undefined): Promise<void> {
    const isCreator = await this.#preparation.prepare();
    this.#checkRuns(); // else a disk would be opened that nobody closes
    const parts = this.#open(isCreator);
    this.#parts = parts;
    onOpened(parts);
    this.#rpc.open();
    parts.admission.start();
    if (isCreator) await this.#createCluster(parts);
    try {
      await this.#entry.register(parts);
    } catch (error) {
      parts.raft.stop(); // a disk that was refused promises nothing while the rest comes to an end
      throw error;
    }
    this.#checkRuns();
    this.#isRegistered = true;
    parts.session.start();
    parts.host.announce();
    parts.repair.start();
    parts.scrub.start();
    parts.deletion.start();
  }

  /** The members, or the metadata, do not take this disk. */
  #refused(error: WalrusError): void {
    this.#parts?.raft.stop();
    this.#world.onFatal(error);
  }

  /** @throws {WalrusError} SHUTTING_DOWN */
  #checkRuns(): void {
    if (this.#isStopped) throw new WalrusError('SHUTTING_DOWN', 'The node is stopping');
  }

  /** Stops at once; what was acknowledged is durable anyway. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#entry.stop();
    const parts = this.#parts;
    if (parts === null) return;
    parts.session.stop();
    parts.segments.stop();
    parts.host.stop();
    parts.controller.stop();
    parts.repair.stop();
    parts.scrub.stop();
    parts.deletion.stop();
    parts.drain.end();
    parts.admission.stop();
    parts.raft.stop();
    await parts.storage.close();
  }

  #open(isCreator: boolean): NodeParts {
    const { clock, disk, logger, random } = this.#world;
    const { nodeId, clusterId, addresses } = this.#options;
    const expected = clusterId === '' ? { nodeId } : { nodeId, clusterId };
    const storage = openStorage({ disk, clock, random, logger, expected });
    const { identity } = storage;
    const self: ReplicaPlace = { nodeId, diskId: identity.diskId };
    const stateMachine = new MetadataStateMachine();
    // Before any other listener, so that nothing leads, serves or answers by a registration that is not noted.
    stateMachine.onApplied(() => {
      if (isBootRegistered(stateMachine.metadata, identity)) storage.noteRegistered();
    });
    const metadata = new RaftMetadata({ clock, rpc: this.#rpc, stateMachine });
    const id = serverId(nodeId, identity.diskId);
    const bootstrap: Configuration = { voters: [{ id, address: addresses.peer }], learners: [] };
    const raft = new RaftDriver({
      id,
      address: addresses.peer,
      bootstrap: isCreator ? bootstrap : null,
      // An earlier boot was registered, which is known by what Raft has applied here.
      hasHistory: identity.bootEpoch > 1,
      disk,
      directory: RAFT_DIRECTORY,
      clock,
      random,
      stateMachine: metadata.stateMachine,
      logger,
      send: (to, parts) => {
        this.#world.transport.send(to.address, [encodeRaftEnvelope(id, to.id), ...parts]);
      },
      onFatal: (error) => this.#world.onFatal(error),
      settings: { ...this.#options.raft, tickMs: this.#options.timing.raftTickMs },
      raftOptions: {
        electionTicksMin: this.#options.timing.electionTicks,
        electionTicksMax: 2 * this.#options.timing.electionTicks,
        heartbeatTicks: this.#options.timing.heartbeatTicks,
      },
    });
    metadata.attach(raft);
    const core = { identity, self, storage, raft, metadata };
    return this.#assemble(core);
  }

  #assemble(
    core: Pick<NodeParts, 'identity' | 'self' | 'storage' | 'raft' | 'metadata'>,
  ): NodeParts {
    const { clock, logger, random } = this.#world;
    const { identity, self, storage, raft, metadata } = core;
    const rpc = this.#rpc;
    const host = new ReplicaHost({
      storage,
      clock,
      metadata: () => metadata.metadata,
      sendAck: (address, ack) => {
        this.#world.transport.send(address, [encodeAppendAck(ack)]);
      },
    });
    const { timing } = this.#options;
    const session = new Heartbeat({
      clock,
      logger,
      rpc,
      metadata,
      intervalMs: timing.heartbeatIntervalMs,
      leaseMs: timing.leaseMs,
      describe: () => nodeReport(this.parts, this.parts.drain.isDraining),
      onRefused: (error) => this.#refused(error),
    });
    const segments = new SegmentManager({
      self,
      bootEpoch: identity.bootEpoch,
      clock,
      logger,
      metadata,
      session,
      host,
      rpc,
      metrics: this.#world.metrics,
      buffers: this.#world.buffers,
      sendAppend: (to, header, batches, onReleased) =>
        this.#sendTo(to, [encodeAppendHeader(header), ...batches], onReleased),
      sendOpen: (to, open) => this.#sendTo(to, [encodeOpen(open)]),
    });
    const { metrics } = this.#world;
    const leading = { clock, random, logger, rpc, metadata, raft, metrics, timing };
    const controller = new Controller(leading);
    const repair = new Repair({ self, clock, logger, metadata, host, rpc, metrics });
    const { diskId } = self;
    const { scrub: settings } = this.#options;
    const scrub = new Scrub({ diskId, clock, random, metadata, host, metrics, settings });
    const deletion = new Deletion({ diskId, clock, logger, metadata, host });
    serveReplicas(onceRegistered(rpc, storage), host, metadata);
    serveBoots({ rpc, identity, raft, metadata: () => metadata.metadata });
    rpc.handle(CLUSTER_INFO, () => ({
      clusterId: identity.clusterId,
      leaderAddress: metadata.leaderAddress ?? '',
    }));
    const { leaderlessMs } = timing;
    const leads = { ...core, clock, logger, session, segments, controller };
    const drain = new Drain({ ...leads, leaderlessMs });
    const services = { session, segments, controller, repair, scrub, deletion, drain };
    const parts = { ...core, admission: this.#admission(core), rpc, host, ...services };
    this.#route(parts);
    return parts;
  }

  #admission({ identity, raft }: Pick<NodeParts, 'identity' | 'raft'>): BootAdmission {
    const { clock, random, logger } = this.#world;
    const { join, addresses, timing } = this.#options;
    return new BootAdmission({
      clock,
      random,
      logger,
      rpc: this.#rpc,
      identity,
      raft,
      join,
      ownAddress: addresses.peer,
      patienceMs: timing.electionTicks * timing.raftTickMs,
      onRefused: (error) => this.#refused(error),
    });
  }

  /** Messages that are neither requests nor answers. */
  #route({ raft, host, segments, self, storage }: NodeParts): void {
    this.#rpc.onOtherMessages({
      raft: (_from, bytes) => {
        const { from, toDiskId, message } = decodeRaftEnvelope(bytes);
        if (toDiskId === self.diskId) raft.receive(from, message);
      },
      replication: (from, bytes) => {
        // A leader sends again; a disk that may be refused yet acknowledges nothing.
        if (!storage.isRegistered) return;
        const message = decodeReplicationMessage(bytes);
        switch (message.type) {
          case 'Append':
            host.handleAppend(from.address, message);
            break;
          case 'Open':
            host.handleOpen(from.address, message);
            break;
          case 'AppendAck':
            segments.onAck(message);
            break;
        }
      },
    });
  }

  #sendTo(to: ReplicaPlace, parts: readonly Uint8Array[], onReleased?: () => void): void {
    const node = this.parts.metadata.metadata.nodes.get(to.nodeId);
    if (node !== undefined) this.#world.transport.send(node.peerAddress, parts, onReleased);
  }

  /** The first node: the metadata begins with the cluster's id and settings. */
  async #createCluster({ metadata, identity }: NodeParts): Promise<void> {
    const { clusterConfig: config } = this.#options;
    // A repeat after a crash, or after others have joined, finds it done.
    while (metadata.metadata.clusterId === '') {
      try {
        await metadata.propose({ type: 'Bootstrap', clusterId: identity.clusterId, config });
      } catch (error) {
        if (!isWalrusError(error) || !error.retriable) throw error;
        this.#world.logger.log('info', 'the metadata has no leader yet', {
          code: error.code,
          why: error.message,
        });
        await this.#entry.pause(RETRY_MS);
      }
    }
  }
}
