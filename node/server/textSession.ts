/**
 * One connection that speaks the text protocol.
 *
 * Commands take effect in the order in which they came, and are answered in that order. PUTs run side by side, since
 * those of one topic keep their order anyhow, and so do GETs of one topic; any other command waits until everything before it is
 * answered, and what follows it waits for it. A PUT costs no object: its bytes go into the batch that is being gathered, its answer into
 * the reply queue.
 */
import { WalrusError } from '../../base/errors.ts';
import type { StreamHandlers } from '../../base/network.ts';
import { FrameDecoder } from '../../protocol/frame.ts';
import {
  encodeTextReply,
  failureText,
  oversizeMessage,
  parseTextCommand,
} from '../../protocol/text.ts';
import type { TextCommand, TextReply } from '../../protocol/text.ts';
import { TEXT_FRAME_LIMIT_BYTES } from '../../protocol/dialect.ts';
import type { ClientStream } from './clientStream.ts';
import type { PutOwner } from './partitionPuts.ts';
import type { TopicPuts } from './putMerger.ts';
import { OK_REPLY, ReplyQueue } from './replyQueue.ts';
import { Receipts } from './receipts.ts';
import { OVERLOADED_MESSAGE } from './serverContext.ts';
import type { ServerContext } from './serverContext.ts';
import type { Handed } from './handed.ts';
import type { ReplyDone, TextCommands } from './textCommands.ts';

/** What a command takes beside its bytes. */
const SLOT_BYTES = 64;
/** GETs under way on one connection. */
const GET_COUNT_MAX = 1024;
const SPACE = 0x20;
/** `PUT ` */
const PUT_PREFIX = [0x50, 0x55, 0x54, SPACE] as const;
const PUT_PREFIX_BYTES = 4;

/** Collects sessions with replies to write, so that the replies of one turn leave in one write. */
export class Flusher {
  #sessions: TextSession[] = [];

  add(session: TextSession): void {
    this.#sessions.push(session);
  }

  flush(): void {
    while (this.#sessions.length > 0) {
      const sessions = this.#sessions;
      this.#sessions = [];
      for (const session of sessions) session.flush();
    }
  }
}

export interface TextServices {
  readonly context: ServerContext;
  readonly commands: TextCommands;
  readonly flusher: Flusher;
}

export class TextSession implements StreamHandlers, PutOwner {
  readonly #services: TextServices;
  readonly #context: ServerContext;
  readonly #stream: ClientStream;
  readonly #decoder: FrameDecoder;
  readonly #replies = new ReplyQueue();
  /** Commands that wait for those before them, as copies of their frames. */
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  /** A command other than PUT is under way. */
  #isBusy = false;
  #isPumping = false;
  #isDirty = false;
  /** No more commands come: the other side has ended, or cannot be understood. */
  #isEnding = false;
  /** Why it cannot, to be written behind the other replies. */
  #refusal: Uint8Array | null = null;
  /** The topic of the GETs that are under way; null when it is something else. */
  #getTopic: string | null = null;
  /** The records of GETs whose replies are not written yet, by their slots. */
  readonly #handed = new Map<number, Handed>();
  readonly #receipts: Receipts;
  /** Commands of the chunk that is being read. */
  #cameCount = 0;
  /** The other side has said in order that no more commands come. */
  #hasEnded = false;
  /** The largest reply to a GET so far; null until there was one. */
  #getBytes: number | null = null;
  #isFlushPlanned = false;
  /** The topic of the last PUT, by its bytes. */
  #putTopicBytes = new Uint8Array(0);
  #puts: TopicPuts | null = null;

  constructor(services: TextServices, stream: ClientStream) {
    this.#services = services;
    this.#context = services.context;
    this.#stream = stream;
    this.#receipts = new Receipts(services.context.clock);
    this.#decoder = new FrameDecoder({
      maxFrameBytes: Math.min(services.context.limits.maxFrameBytes, TEXT_FRAME_LIMIT_BYTES),
      what: 'command',
      onFrame: (frame) => this.#onFrame(frame),
    });
  }

  /** The node is stopping: commands that wait or still come take effect nowhere, as if the connection had broken before them. */
  finish(): void {
    this.#isEnding = true;
    this.#dropWaiting();
    this.#endIfDone();
  }

  /** Whether every command is answered. */
  get isIdle(): boolean {
    return this.#replies.size === 0 && this.#waiting.length === 0;
  }

  onData(chunk: Uint8Array): void {
    if (this.#isEnding) return;
    const error = this.#decoder.push(chunk);
    this.#receipts.came(this.#cameCount);
    this.#cameCount = 0;
    if (error !== null) this.#refuse(error);
    this.#services.flusher.flush();
    this.#balance();
  }

  onDrain(): void {
    this.#pump();
    this.#services.flusher.flush();
    this.#balance();
  }

  onEnd(): void {
    this.#hasEnded = true;
    this.#isEnding = true;
    this.#endIfDone();
  }

  onClose(error: Error | null): void {
    this.#stream.closed();
    this.#decoder.stop();
    this.#dropWaiting();
    this.#receipts.closed(this.#hasEnded && error === null);
    for (const handed of this.#takeHanded(Number.POSITIVE_INFINITY)) handed.settle(false);
  }

  #dropWaiting(): void {
    this.#context.budget.inFlightBytes -= this.#waitingBytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** The stream cannot be read any further: says why behind the other replies, and closes. */
  #refuse(error: WalrusError): void {
    const { sizeBytes, limitBytes } = error.details;
    const message = oversizeMessage(Number(sizeBytes), Number(limitBytes));
    this.#context.metrics.failed('text', error.code);
    this.#isEnding = true;
    this.#refusal = encodeTextReply({ type: 'ERR', message });
    this.#endIfDone();
  }

  #balance(): void {
    const count = this.#replies.size + this.#waiting.length;
    this.#stream.balance(this.#replies.sizeBytes + this.#waitingBytes, count);
  }

  #onFrame(frame: Uint8Array): void {
    this.#cameCount += 1;
    if (this.#waiting.length > 0 || !this.#tryRun(frame)) this.#wait(frame);
  }

  #wait(frame: Uint8Array): void {
    this.#waiting.push(frame.slice());
    this.#waitingBytes += frame.length + SLOT_BYTES;
    this.#context.budget.inFlightBytes += frame.length + SLOT_BYTES;
  }

  /** Starts a command if it may run now. */
  #tryRun(frame: Uint8Array): boolean {
    if (this.#isBusy) return false;
    const isAlone = this.#replies.size === 0;
    if ((isAlone || this.#getTopic === null) && this.#tryPut(frame)) {
      this.#getTopic = null;
      return true;
    }
    if (this.#stream.isCongested || !(isAlone || this.#hasRoomForGet())) return false;
    const command = parseTextCommand(frame);
    if (command.type === 'GET' && this.#tryGet(command.topic, frame.length)) return true;
    if (!isAlone) return false;
    this.#run(command, frame.length);
    return true;
  }

  /** Whether a further GET may run beside others: by what their replies may take. */
  #hasRoomForGet(): boolean {
    if (this.#getTopic === null || this.#getBytes === null) return false;
    const { maxConnectionInFlightBytes } = this.#context.limits;
    const count = Math.floor(maxConnectionInFlightBytes / Math.max(1, this.#getBytes));
    return this.#replies.size < Math.min(GET_COUNT_MAX, count);
  }

  /**
   * A GET of a topic that is known here: beside others of that topic. One that waited behind another topic's would hold
   * its record, and everybody else who wants the next one.
   */
  #tryGet(topic: string, sizeBytes: number): boolean {
    const { commands } = this.#services;
    if (!commands.isKnown(topic)) return false;
    if (this.#replies.size > 0 && topic !== this.#getTopic) return false;
    this.#getTopic = topic;
    const slot = this.#reserve(sizeBytes);
    const startMs = this.#context.clock.monotonicMs();
    const done: ReplyDone = (reply, handed) => {
      this.#context.metrics.requested('text', this.#context.clock.monotonicMs() - startMs);
      if (handed !== null) this.#handed.set(slot, handed);
      const bytes = this.#encode(reply);
      this.#getBytes = Math.max(this.#getBytes ?? 0, bytes.length);
      this.#answer(slot, bytes);
      this.#planFlush();
    };
    commands.get(topic, { isOpen: () => this.#stream.isOpen, done });
    return true;
  }

  /** One write for all records that come together. */
  #planFlush(): void {
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    void Promise.resolve().then(() => {
      this.#isFlushPlanned = false;
      this.#services.flusher.flush();
      this.#balance();
    });
  }

  /** The fast path: a PUT to a topic that is known here. */
  #tryPut(frame: Uint8Array): boolean {
    for (let i = 0; i < PUT_PREFIX_BYTES; i += 1) if (frame[i] !== PUT_PREFIX[i]) return false;
    const topicEnd = this.#isSameTopic(frame)
      ? this.#putTopicEnd
      : frame.indexOf(SPACE, PUT_PREFIX_BYTES);
    if (topicEnd < 0) return false;
    const puts = this.#putsOf(frame, topicEnd);
    if (puts === null) return false;
    const slot = this.#reserve(frame.length);
    if (this.#context.budget.isExhausted) {
      this.#fail(slot, new WalrusError('OVERLOADED', OVERLOADED_MESSAGE));
      return true;
    }
    const start = topicEnd + 1;
    puts.put(frame, start, frame.length - start, { owner: this, slot });
    return true;
  }

  get #putTopicEnd(): number {
    return PUT_PREFIX_BYTES + this.#putTopicBytes.length;
  }

  #isSameTopic(frame: Uint8Array): boolean {
    const topic = this.#putTopicBytes;
    if (topic.length === 0 || frame[this.#putTopicEnd] !== SPACE) return false;
    for (let i = 0; i < topic.length; i += 1) {
      if (frame[PUT_PREFIX_BYTES + i] !== topic[i]) return false;
    }
    return true;
  }

  #putsOf(frame: Uint8Array, topicEnd: number): TopicPuts | null {
    const known = this.#puts;
    if (known !== null && !known.isGone && this.#isSameTopic(frame)) return known;
    const puts = this.#services.commands.putsOf(frame.subarray(PUT_PREFIX_BYTES, topicEnd));
    this.#puts = puts;
    this.#putTopicBytes = frame.slice(
      PUT_PREFIX_BYTES,
      puts === null ? PUT_PREFIX_BYTES : topicEnd,
    );
    return puts;
  }

  /** The answer to a PUT. The merger flushes when it has told all of a batch. */
  put(slot: number, error: WalrusError | null): void {
    if (error === null) this.#answer(slot, OK_REPLY);
    else this.#fail(slot, error);
  }

  /** Runs a command that nothing else may run beside. */
  #run(command: TextCommand, sizeBytes: number): void {
    const slot = this.#reserve(sizeBytes);
    this.#isBusy = true;
    const startMs = this.#context.clock.monotonicMs();
    const done: ReplyDone = (reply, handed) => {
      this.#isBusy = false;
      if (handed !== null) this.#handed.set(slot, handed);
      this.#context.metrics.requested('text', this.#context.clock.monotonicMs() - startMs);
      this.#answer(slot, this.#encode(reply));
      this.#services.flusher.flush();
      this.#balance();
    };
    this.#services.commands.run(command, { isOpen: () => this.#stream.isOpen, done });
  }

  #encode(reply: TextReply): Uint8Array {
    return reply.type === 'OK' ? OK_REPLY : encodeTextReply(reply);
  }

  #fail(slot: number, error: WalrusError): void {
    this.#context.metrics.failed('text', error.code);
    this.#answer(slot, encodeTextReply({ type: 'ERR', message: failureText(error) }));
  }

  #reserve(frameBytes: number): number {
    const sizeBytes = frameBytes + SLOT_BYTES;
    this.#context.budget.inFlightBytes += sizeBytes;
    return this.#replies.reserve(sizeBytes);
  }

  #answer(slot: number, reply: Uint8Array): void {
    this.#replies.fill(slot, reply);
    if (this.#isDirty) return;
    this.#isDirty = true;
    this.#services.flusher.add(this);
  }

  /** Writes the replies that are due. */
  flush(): void {
    this.#isDirty = false;
    const { sizeBytes, firstUnwritten: first } = this.#replies;
    const bytes = this.#replies.takeReady();
    if (bytes !== null) {
      this.#context.budget.inFlightBytes -= sizeBytes - this.#replies.sizeBytes;
      this.#write(bytes, this.#replies.firstUnwritten - first);
    }
    this.#pump();
    this.#balance();
    this.#endIfDone();
  }

  #write(replies: Uint8Array, count: number): void {
    const handed = this.#takeHanded(this.#replies.firstUnwritten);
    if (!this.#stream.isOpen) {
      for (const each of handed) each.settle(false);
      return;
    }
    this.#stream.write(replies, this.#receipts.wrote(count, handed));
    if (handed.length === 0) return;
    let bytes = 0;
    for (const { value } of handed) bytes += value.length;
    this.#context.metrics.read(handed.length, bytes);
  }

  /** The records of the slots below `end`. */
  #takeHanded(end: number): Handed[] {
    const taken: Handed[] = [];
    for (const [slot, handed] of this.#handed) {
      if (slot >= end) continue;
      this.#handed.delete(slot);
      taken.push(handed);
    }
    return taken;
  }

  /** Runs what waits and may run now. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    let count = 0;
    while (count < this.#waiting.length && this.#stream.isOpen) {
      const frame = this.#waiting[count] as Uint8Array;
      if (!this.#tryRun(frame)) break;
      count += 1;
      const sizeBytes = frame.length + SLOT_BYTES;
      this.#waitingBytes -= sizeBytes;
      this.#context.budget.inFlightBytes -= sizeBytes;
    }
    if (count > 0) this.#waiting = this.#waiting.slice(count);
    this.#isPumping = false;
  }

  #endIfDone(): void {
    if (!this.#isEnding || !this.isIdle) return;
    if (this.#refusal !== null) this.#stream.write(this.#refusal);
    this.#refusal = null;
    this.#stream.end();
  }
}
