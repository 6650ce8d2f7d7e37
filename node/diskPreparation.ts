/**
 * What becomes of a data directory before it is opened: an empty one is formatted, and a node that is told its cluster's
 * id waits until that cluster is there, or until it is told to begin it (ADR 0150).
 *
 * Two marks beside the disk's identity say what a process before has come to. Each change of them is durable before
 * anything follows from it, so that a crash between any two steps leads back to the same.
 *
 * | marks | the disk |
 * |---|---|
 * | `cluster-awaited` | was formatted before its cluster was found: it is part of none |
 * | `cluster-creator`, whatever else | has begun its cluster, and may begin a Raft group of its own, once |
 * | none | is on its way into a cluster that others have begun, or part of it |
 */
import type { Disk } from '../base/disk.ts';
import type { Logger } from '../base/log.ts';
import { randomHex } from '../base/random.ts';
import type { Random } from '../base/random.ts';
import type { NodeId } from '../base/units.ts';
import type { BootstrapRequest } from '../protocol/admin/types.ts';
import type { ClusterEntry } from './clusterEntry.ts';
import { refusal } from './server/admin/refusal.ts';
import { formatDisk, readDiskIdentity } from './storage/formatDisk.ts';
import type { DiskIdentity } from './storage/types.ts';

const CREATOR_FILE = 'cluster-creator';
const AWAITED_FILE = 'cluster-awaited';
const CLUSTER_ID_BYTES = 16;

export interface DiskPreparationOptions {
  readonly disk: Disk;
  readonly random: Random;
  readonly logger: Logger;
  readonly nodeId: NodeId;
  /** '' for whatever the disk, or the cluster joined, says. */
  readonly clusterId: string;
  /** Whether there are addresses to find a cluster at; without any, a node with an empty disk creates one. */
  readonly joins: boolean;
  readonly entry: ClusterEntry;
}

/** `Begun` and `Joined` are for good: in this process nothing leads out of them. */
type State = 'Preparing' | 'Waiting' | 'Begun' | 'Joined';

export class DiskPreparation {
  readonly #options: DiskPreparationOptions;
  #state: State = 'Preparing';
  #identity: DiskIdentity | null = null;
  #onDecided: () => void = () => undefined;
  #onFailed: (error: unknown) => void = () => undefined;
  /** A last look for a cluster, before one is begun. */
  #looking: Promise<boolean> | null = null;

  constructor(options: DiskPreparationOptions) {
    this.#options = options;
  }

  /** null until the disk is formatted. */
  get identity(): DiskIdentity | null {
    return this.#identity;
  }

  /**
   * Resolves once the disk is formatted and can be opened.
   * @returns whether its node has begun its cluster.
   * @throws {WalrusError} WRONG_DATA_DIR, DATA_DIR_LOCKED, SHUTTING_DOWN
   */
  async prepare(): Promise<boolean> {
    const { disk } = this.#options;
    this.#identity = readDiskIdentity(disk) ?? (await this.#formatEmpty());
    if (disk.exists(CREATOR_FILE)) this.#decide('Begun');
    else if (disk.exists(AWAITED_FILE) && this.#isOurs()) await this.#wait();
    else this.#state = 'Joined';
    return this.#state === 'Begun';
  }

  /** Another cluster's disk is refused when it is opened. */
  #isOurs(): boolean {
    const { clusterId } = this.#options;
    return clusterId === '' || this.#identity?.clusterId === clusterId;
  }

  async #formatEmpty(): Promise<DiskIdentity> {
    const { random, clusterId, joins, entry } = this.#options;
    if (!joins) {
      this.#mark(CREATOR_FILE);
      return this.#format(clusterId === '' ? randomHex(random, CLUSTER_ID_BYTES) : clusterId);
    }
    this.#unmark(CREATOR_FILE); // of a start without addresses that came no further
    if (clusterId === '') return this.#format((await entry.askCluster()).clusterId);
    this.#mark(AWAITED_FILE);
    return this.#format(clusterId);
  }

  #format(clusterId: string): DiskIdentity {
    const { disk, random, nodeId } = this.#options;
    return formatDisk({ disk, random, clusterId, nodeId });
  }

  #mark(file: string): void {
    const { disk } = this.#options;
    if (!disk.exists(file)) disk.create(file).close();
    disk.syncDirectory('');
  }

  #unmark(file: string): void {
    const { disk } = this.#options;
    if (!disk.exists(file)) return;
    disk.remove(file);
    disk.syncDirectory('');
  }

  async #wait(): Promise<void> {
    this.#state = 'Waiting';
    const { entry, logger } = this.#options;
    logger.log('info', 'waits for its cluster, or for the word to begin it', {
      clusterId: this.#identity?.clusterId,
      diskId: this.#identity?.diskId,
    });
    await new Promise<void>((resolve, reject) => {
      this.#onDecided = resolve;
      this.#onFailed = reject;
      entry
        .awaitCluster(() => this.#state !== 'Waiting')
        .then(() => {
          if (this.#state === 'Waiting') this.#decide('Joined');
        })
        .catch(reject);
    });
  }

  /** @throws {WalrusError} DISK_FAILED, DISK_FULL: the node ends. */
  #decide(state: 'Begun' | 'Joined'): void {
    try {
      if (state === 'Begun') this.#mark(CREATOR_FILE);
      this.#unmark(AWAITED_FILE);
    } catch (error) {
      this.#onFailed(error);
      throw error;
    }
    this.#state = state;
    this.#onDecided();
  }

  /**
   * Begins the cluster on this disk, unless others have begun it. A repeat is a success.
   * @throws {WalrusError} METADATA_UNAVAILABLE: too early; reasons OtherDisk and AlreadyBootstrapped.
   */
  async bootstrap({ clusterId, diskId }: BootstrapRequest): Promise<void> {
    const identity = this.#identity;
    if (identity === null || this.#state === 'Preparing') {
      throw refusal('NoLeader', 'This node is not ready to begin a cluster yet');
    }
    if (identity.diskId !== diskId) {
      const message = `Node ${identity.nodeId} is on disk ${identity.diskId}, and not on ${diskId}, which was to begin the cluster`;
      throw refusal('OtherDisk', message);
    }
    if (identity.clusterId !== clusterId) {
      const message = `Disk ${diskId} is of cluster ${identity.clusterId}, and not of ${clusterId}`;
      throw refusal('AlreadyBootstrapped', message);
    }
    if (this.#state === 'Waiting') await this.#beginUnlessFound();
    if (this.#state === 'Begun') return;
    const message = `Node ${identity.nodeId} has found cluster ${clusterId}: somebody else has begun it`;
    throw refusal('AlreadyBootstrapped', message);
  }

  async #beginUnlessFound(): Promise<void> {
    this.#looking ??= this.#options.entry.isClusterThere().finally(() => {
      this.#looking = null;
    });
    const isThere = await this.#looking;
    if (this.#state !== 'Waiting') return; // decided meanwhile
    this.#decide(isThere ? 'Joined' : 'Begun');
  }
}
