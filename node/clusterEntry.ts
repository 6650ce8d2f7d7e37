/**
 * How a node gets into its cluster: it asks given members for the cluster, and registers each of its boots with the
 * metadata leader (DESIGN I2, I3). Retried with back-off until it succeeds, is refused, or the node is stopped.
 */
import type { Clock } from '../base/clock.ts';
import { WalrusError, isWalrusError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { CLUSTER_INFO, REGISTER_NODE } from '../protocol/peer/requests.ts';
import type { ClusterInfoResponse } from '../protocol/peer/requests.ts';
import type { MetadataService, PeerRpc } from './controller/types.ts';
import type { Metadata } from './state/types.ts';
import type { DiskIdentity, StorageEngine } from './storage/types.ts';

const ASK_TIMEOUT_MS = 1000;
const REGISTER_TIMEOUT_MS = 5000;
/** Between two tries to join or to register; doubles up to the maximum. */
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 2000;
/** The same for a node that awaits its cluster: it begins any moment. */
const AWAIT_MS_MAX = 500;

/** Where a node is reached, as others are told: `host:port`. */
export interface NodeAddresses {
  readonly peer: string;
  readonly client: string;
  readonly http: string;
}

export interface ClusterEntryOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rpc: PeerRpc;
  readonly addresses: NodeAddresses;
  /** Peer addresses of members. */
  readonly join: readonly string[];
  readonly zone: string;
  readonly version: string;
  readonly replaceDisk: boolean;
}

/** Who registers, and what it has learned of the metadata by itself. */
export interface Registrant {
  readonly identity: DiskIdentity;
  readonly metadata: MetadataService;
  readonly admission: Admitted;
}

/** Whether this process may promise anything (ADR 0121). */
interface Admitted {
  readonly isAdmitted: boolean;
  /** Resolves when it is decided, or the node stops. */
  readonly over: Promise<unknown>;
}

/** Whether the metadata have this very boot of this disk, and not that of a copy (ADR 0101). */
export function isBootRegistered(metadata: Metadata, identity: DiskIdentity): boolean {
  const disk = metadata.disks.get(identity.diskId);
  return (
    metadata.nodes.get(identity.nodeId)?.diskId === identity.diskId &&
    disk?.state === 'REGISTERED' &&
    disk.bootEpoch === identity.bootEpoch &&
    disk.bootNonce === identity.bootNonce
  );
}

/** Requests to a disk are answered once its boot is registered: until then it may be refused, and is no evidence. */
export function onceRegistered(rpc: PeerRpc, storage: StorageEngine): PeerRpc {
  return {
    call: (address, api, request, timeoutMs) => rpc.call(address, api, request, timeoutMs),
    handle: (api, handler) =>
      rpc.handle(api, (request, from) => {
        if (storage.isRegistered) return handler(request, from);
        throw new WalrusError('REPLICA_UNKNOWN', 'The boot of this disk is not registered yet');
      }),
  };
}

interface MembersAnswer {
  readonly answer: ClusterInfoResponse | null;
  /** Set when every other address is one of another cluster: to go on asking is of no use. */
  readonly refusal: WalrusError | null;
}

export class ClusterEntry {
  readonly #options: ClusterEntryOptions;
  #isStopped = false;

  constructor(options: ClusterEntryOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Asks the given members until one answers. @throws {WalrusError} SHUTTING_DOWN, WRONG_CLUSTER */
  async askCluster(): Promise<ClusterInfoResponse> {
    let delayMs = RETRY_MS_MIN;
    for (;;) {
      const { answer, refusal } = await this.#askMembers();
      if (answer !== null) return answer;
      if (refusal !== null) throw refusal;
      await this.pause(delayMs);
      delayMs = Math.min(2 * delayMs, RETRY_MS_MAX);
    }
  }

  /**
   * Resolves once a given member knows the cluster, or when it is not waited for any more.
   * @throws {WalrusError} SHUTTING_DOWN; WRONG_CLUSTER when all of them are of another one.
   */
  async awaitCluster(isOver: () => boolean): Promise<void> {
    let delayMs = RETRY_MS_MIN;
    while (!isOver()) {
      const { answer, refusal } = await this.#askMembers();
      if (answer !== null || isOver()) return;
      if (refusal !== null) throw refusal;
      await this.pause(delayMs);
      delayMs = Math.min(2 * delayMs, AWAIT_MS_MAX);
    }
  }

  /** Asks each given member once. */
  async isClusterThere(): Promise<boolean> {
    return (await this.#askMembers()).answer !== null;
  }

  async #askMembers(): Promise<MembersAnswer> {
    const others = this.#options.join.filter((each) => each !== this.#options.addresses.peer);
    const refusals: WalrusError[] = [];
    for (const address of others) {
      const answer = await this.#askMember(address);
      if (answer instanceof WalrusError) refusals.push(answer);
      else if (answer !== null) return { answer, refusal: null };
    }
    const isRefusedByAll = refusals.length > 0 && refusals.length === others.length;
    return { answer: null, refusal: isRefusedByAll ? (refusals[0] ?? null) : null };
  }

  /** @returns WRONG_CLUSTER when it is of another cluster; null when it does not answer, or does not know its own yet. */
  async #askMember(address: string): Promise<ClusterInfoResponse | WalrusError | null> {
    const { rpc, logger } = this.#options;
    try {
      const answer = await rpc.call(address, CLUSTER_INFO, null, ASK_TIMEOUT_MS);
      return answer.clusterId === '' ? null : answer;
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      // A question has no outcome that could be unknown: what matters is why there is no answer.
      const reason = isWalrusError(error.cause) ? error.cause : error;
      const { code, message: why } = reason;
      logger.log('info', 'a member does not answer yet', { address, code, why });
      return code === 'WRONG_CLUSTER' ? reason : null;
    }
  }

  /**
   * Registers this boot once this process is admitted; resolves when the metadata that this node has applied knows it.
   * Not before: a disk that the members refuse is not registered, and one that waits asks nobody to commit anything.
   * @throws {WalrusError} DISK_REFUSED and other refusals for good; SHUTTING_DOWN.
   */
  async register(registrant: Registrant): Promise<void> {
    await registrant.admission.over;
    while (!registrant.admission.isAdmitted) await this.pause(RETRY_MS_MIN); // until the node has stopped
    let delayMs = RETRY_MS_MIN;
    while (!this.#isKnown(registrant)) {
      try {
        await this.#registerOnce(registrant); // it takes a moment until it is applied here
      } catch (error) {
        if (!isWalrusError(error)) throw error;
        if (!error.retriable) throw error; // a repeat of this boot is no reason to refuse it
        this.#options.logger.log('info', 'cannot register yet', {
          code: error.code,
          why: error.message,
        });
      }
      if (!this.#isKnown(registrant)) await this.pause(delayMs);
      delayMs = Math.min(2 * delayMs, RETRY_MS_MAX);
    }
  }

  #isKnown({ metadata, identity }: Registrant): boolean {
    const node = metadata.metadata.nodes.get(identity.nodeId);
    return (
      isBootRegistered(metadata.metadata, identity) &&
      node?.peerAddress === this.#options.addresses.peer
    );
  }

  async #registerOnce({ metadata, identity }: Registrant): Promise<void> {
    const { addresses, zone, version, replaceDisk, rpc } = this.#options;
    // A node that joins is in no Raft group yet: the members know who leads.
    const address =
      metadata.leaderAddress ?? (await this.#askMembers()).answer?.leaderAddress ?? '';
    if (address === '') {
      throw new WalrusError(
        'METADATA_UNAVAILABLE',
        'The cluster has no metadata leader at the moment',
      );
    }
    const request = {
      nodeId: identity.nodeId,
      diskId: identity.diskId,
      bootEpoch: identity.bootEpoch,
      bootNonce: identity.bootNonce,
      peerAddress: addresses.peer,
      clientAddress: addresses.client,
      httpAddress: addresses.http,
      zone,
      version,
      replacesLostDisk: replaceDisk,
    };
    await rpc.call(address, REGISTER_NODE, request, REGISTER_TIMEOUT_MS);
  }

  /** Waits. @throws {WalrusError} SHUTTING_DOWN */
  pause(delayMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#options.clock.setTimer(delayMs, () => {
        if (this.#isStopped) reject(new WalrusError('SHUTTING_DOWN', 'The node is stopping'));
        else resolve();
      });
    });
  }
}
