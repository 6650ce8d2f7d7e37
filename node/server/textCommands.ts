/** What the commands of the text protocol do, PUT on its fast path apart. */
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import { decodeUtf8Lossy } from '../../base/bytes.ts';
import { failureText } from '../../protocol/text.ts';
import type { TextCommand, TextReply } from '../../protocol/text.ts';
import type { PutOwner } from './partitionPuts.ts';
import type { PutMerger, TopicPuts } from './putMerger.ts';
import type { Router } from './router.ts';
import type { ServerContext } from './serverContext.ts';
import type { Handed } from './handed.ts';
import type { SharedCursors } from './sharedCursors.ts';
import { raftMetrics, topicState } from './textStatus.ts';
import type { TopicAdmin } from './topicAdmin.ts';

/** Called once. `handed`: the record of the reply, to be settled when it is written. */
export type ReplyDone = (reply: TextReply, handed: Handed | null) => void;

/** Who gets a reply. */
export interface ReplyTo {
  /** Whether its connection is there. */
  isOpen(): boolean;
  readonly done: ReplyDone;
}

const OK: TextReply = { type: 'OK' };
const EMPTY: TextReply = { type: 'EMPTY' };

export interface CommandServices {
  readonly context: ServerContext;
  readonly router: Router;
  readonly merger: PutMerger;
  readonly cursors: SharedCursors;
  readonly topics: TopicAdmin;
}

export class TextCommands {
  readonly #services: CommandServices;

  constructor(services: CommandServices) {
    this.#services = services;
  }

  /** Where PUTs of a topic go; null when it is not known here, or is no topic's name. */
  putsOf(name: Uint8Array): TopicPuts | null {
    const topic = this.#services.router.knownTopic(decodeUtf8Lossy(name));
    return topic === undefined ? null : this.#services.merger.topic(topic);
  }

  /** Runs a command. */
  run(command: TextCommand, to: ReplyTo): void {
    const { done } = to;
    switch (command.type) {
      case 'INVALID':
        this.#services.context.metrics.failed('text', 'MALFORMED');
        done({ type: 'ERR', message: command.message }, null);
        break;
      case 'METRICS':
        done({ type: 'JSON', text: raftMetrics(this.#services.context.parts) }, null);
        break;
      case 'GET':
        this.get(command.topic, to);
        break;
      case 'PUT':
        // Copied: the topic has to be looked for first, and the frame ends with this turn.
        this.#answer(this.#put(command.topic, command.payload.slice()), done);
        break;
      case 'REGISTER':
        this.#answer(this.#register(command.topic), done);
        break;
      case 'STATE':
        this.#answer(this.#state(command.topic), done);
        break;
    }
  }

  #answer(reply: Promise<TextReply>, done: ReplyDone): void {
    reply
      .catch((error: unknown) => this.#failed(error))
      .then((answer) => done(answer, null))
      .catch((bug: unknown) => this.#services.context.onBug(bug));
  }

  #failed(error: unknown): TextReply {
    if (!isWalrusError(error)) throw error;
    this.#services.context.metrics.failed('text', error.code);
    return { type: 'ERR', message: failureText(error) };
  }

  async #register(name: string): Promise<TextReply> {
    await this.#services.topics.create({ name, partitions: 1, ifNotExists: true });
    return OK;
  }

  async #state(name: string): Promise<TextReply> {
    const topic = await this.#services.router.findTopic(name);
    const { router, context } = this.#services;
    return { type: 'JSON', text: topicState(router.metadata, context.parts.session, topic) };
  }

  async #put(name: string, payload: Uint8Array): Promise<TextReply> {
    const topic = await this.#services.router.findTopic(name);
    if (this.#services.context.budget.isExhausted) {
      throw new WalrusError('OVERLOADED', 'overloaded: too many requests are under way');
    }
    return await new Promise((resolve, reject) => {
      const owner: PutOwner = {
        put: (_slot, error) => {
          if (error === null) resolve(OK);
          else reject(error);
        },
      };
      const puts = this.#services.merger.topic(topic);
      puts.put(payload, 0, payload.length, { owner, slot: 0 });
    });
  }

  /** The next record of a topic's shared cursor. */
  get(name: string, to: ReplyTo): void {
    const topic = this.#services.router.knownTopic(name);
    if (topic === undefined) {
      this.#services.router.findTopic(name).then(
        (found) => this.#getFrom(found.name, to),
        (error: unknown) => to.done(this.#failed(error), null),
      );
      return;
    }
    this.#getFrom(name, to);
  }

  /** Whether a topic is known here, so that its GETs may run side by side: they are served in order. */
  isKnown(name: string): boolean {
    return this.#services.router.knownTopic(name) !== undefined;
  }

  #getFrom(name: string, to: ReplyTo): void {
    const { done } = to;
    const topic = this.#services.router.knownTopic(name);
    if (topic === undefined) {
      done({ type: 'ERR', message: `unknown topic ${name}` }, null);
      return;
    }
    this.#services.cursors.next(topic, {
      isWanted: () => to.isOpen(),
      done: (error, handed) => {
        if (error !== null) done(this.#failed(error), null);
        else if (handed === null) done(EMPTY, null);
        else done({ type: 'VALUE', payload: handed.value }, handed);
      },
    });
  }
}
