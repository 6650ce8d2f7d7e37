/**
 * Messages to and from other servers: their bytes, what the core only names of them, and where the servers are, which travels
 * with every message.
 */
import { isWalrusError } from '../../../base/errors.ts';
import { logIndex } from '../../../base/units.ts';
import type { Envelope } from '../events.ts';
import type { RaftLog } from '../log/raftLog.ts';
import { decodeMessage, encodeMessage } from '../messageCodec.ts';
import type { Message } from '../messages.ts';
import { latestConfiguration } from '../raft.ts';
import type { Raft } from '../raft.ts';
import type { ServerId } from '../types.ts';
import { AddressBook } from './addressBook.ts';
import type { RaftDriverOptions } from './options.ts';

export interface PeerMessagesOptions extends Pick<
  RaftDriverOptions,
  'address' | 'logger' | 'send'
> {
  readonly raft: Raft;
  readonly log: RaftLog;
}

export class PeerMessages {
  readonly #options: PeerMessagesOptions;
  readonly #addresses = new AddressBook();

  constructor(options: PeerMessagesOptions) {
    this.#options = options;
  }

  /** Where a server has said itself that it is. */
  heardAddressOf(id: ServerId): string | null {
    return id === this.#options.raft.id ? this.#options.address : this.#addresses.heard(id);
  }

  /** Notes where a server is: newer than what the configuration says. */
  learnAddress(id: ServerId, address: string): void {
    this.#addresses.learn(id, address);
  }

  /** Reads a message, and learns where its sender is; null when it cannot be read. */
  decode(from: ServerId, bytes: Uint8Array): Message | null {
    try {
      const { senderAddress, message } = decodeMessage(bytes);
      this.#addresses.learn(from, senderAddress);
      return message;
    } catch (error) {
      if (!isWalrusError(error, 'MALFORMED', 'UNSUPPORTED_VERSION')) throw error;
      this.#options.logger.log('warn', 'A Raft message cannot be read and is dropped', {
        from,
        error: error.message,
      });
      return null;
    }
  }

  send({ to, message }: Envelope): void {
    const { configuration } = latestConfiguration(this.#options.raft);
    const member = this.#addresses.find(to, configuration);
    if (member === null) return; // a removed server that never wrote to us
    const complete = this.#complete(message);
    this.#options.send(member, [encodeMessage(complete, this.#options.address)]);
  }

  /** Attaches the bytes that the core only names. */
  #complete(message: Envelope['message']): Message {
    const { log } = this.#options;
    if (message.type === 'AppendEntries') {
      const { lastIndex, ...rest } = message;
      const from = logIndex(rest.prevLogIndex + 1);
      return { ...rest, entries: lastIndex < from ? [] : log.entries(from, lastIndex) };
    }
    if (message.type === 'InstallSnapshot') {
      const { lengthBytes, ...rest } = message;
      return { ...rest, data: log.readSnapshot(rest.snapshot, rest.offset, lengthBytes) };
    }
    return message;
  }
}
