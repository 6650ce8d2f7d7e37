/** What both directions of the peer transport share: who this node is, the rule for its peers, and the log. */
import type { BufferPool } from '../../base/bufferPool.ts';
import type { Clock } from '../../base/clock.ts';
import { WalrusError, messageOf } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Network } from '../../base/network.ts';
import type { Random } from '../../base/random.ts';
import type { NodeId } from '../../base/units.ts';

/** Peer addresses known at once. */
export const MAX_PEERS = 1024;

/** This node, as it tells its peers. Asked anew for each connection: a joining node learns its cluster. */
export interface LocalPeer {
  /** '' while a joining node does not know it. */
  readonly clusterId: string;
  readonly nodeId: NodeId;
  /** Where this node takes messages: `host:port`. */
  readonly address: string;
  readonly softwareVersion: string;
}

export interface PeerTransportOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly buffers: BufferPool;
  readonly local: () => LocalPeer;
  /** Bytes that may wait for one peer (setting `maxPeerQueueBytes`). */
  readonly maxQueueBytes?: number;
  /** The largest message. */
  readonly maxMessageBytes?: number;
  /** Told of each message that was dropped because its queue was full. */
  readonly onDropped?: () => void;
}

/** What both directions need to know. */
export type PeerContext = Required<Omit<PeerTransportOptions, 'onDropped'>>;

/** How long a hello or its answer may take. */
export const HELLO_TIMEOUT_MS = 5_000;

/**
 * Says why a peer is none of ours; null when it is. A node that joins does not know its cluster yet.
 * @returns a WRONG_CLUSTER error.
 */
export function clusterMismatch(ours: string, theirs: string, peer: string): WalrusError | null {
  if (ours === theirs || ours === '' || theirs === '') return null;
  return new WalrusError(
    'WRONG_CLUSTER',
    `The node at ${peer} belongs to cluster ${theirs}, not to ${ours}: check its addresses and data directory`,
    { details: { clusterId: theirs, expected: ours } },
  );
}

/** Logs a peer's trouble when it is new, not at every retry. */
export class TroubleLog {
  readonly #logger: Logger;
  readonly #last = new Map<string, string>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @param peer - Whom it is about; only so many are remembered. */
  report(peer: string, message: string, error: unknown): void {
    const reason = messageOf(error);
    const text = `${message}: ${reason}`;
    if (this.#last.get(peer) === text) return;
    this.#last.delete(peer);
    this.#last.set(peer, text);
    for (const oldest of this.#last.keys()) {
      if (this.#last.size <= MAX_PEERS) break;
      this.#last.delete(oldest);
    }
    this.#logger.log('warn', message, { peer, reason });
  }

  /** It is over: the next trouble is new. @returns whether there was one. */
  clear(peer: string): boolean {
    return this.#last.delete(peer);
  }
}
