/**
 * The memory that the responses of one connection may take. A request whose response may be large takes room before
 * the response is made and gives it back when it is written, since the stream's unsent bytes count from then on. So a
 * client that asks for much and reads nothing makes the node hold no more than its limit.
 *
 * - In the order of asking, but for room of which another node's answer is waited for, perhaps for as long as a long
 *   poll: such shares have an order of their own and half of the room, so that they hold up nothing else.
 * - One response of each kind may always be made when nothing is unsent, however tight the limit is.
 */
import { assert } from '../../base/assert.ts';

export interface RoomNeed {
  /** It cannot be less: the largest single batch or record, or what such a response took before. */
  readonly leastBytes: number;
  /** What can be used, if there is so much. */
  readonly wantedBytes: number;
}

interface Waiting extends RoomNeed {
  readonly give: (bytes: number) => void;
}

export interface ResponseRoomOptions {
  readonly limitBytes: number;
  /** Of the requests that are under way. */
  requestBytes(): number;
  /** Of responses that are written. */
  unsentBytes(): number;
}

export class ResponseRoom {
  readonly #options: ResponseRoomOptions;
  readonly #ownWaiting: Waiting[] = [];
  readonly #shareWaiting: Waiting[] = [];
  readonly #waitListeners = new Set<() => void>();
  #takenBytes = 0;
  #shareBytes = 0;
  #isOpen = true;
  #mayWait = true;

  constructor(options: ResponseRoomOptions) {
    this.#options = options;
  }

  /** Whether anybody can be answered. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether a response may wait for what it has not got yet. */
  get mayWait(): boolean {
    return this.#mayWait;
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** Of one response. */
  reservation(): Reservation {
    return new Reservation(this);
  }

  /** Something may have become free. */
  changed(): void {
    serve(this.#ownWaiting, (need) => this.#tryOwn(need));
    serve(this.#shareWaiting, (need) => this.#tryShare(need));
  }

  /** From now on responses have what there is: who asked waits no longer. */
  endWaits(): void {
    this.#mayWait = false;
    for (const listener of [...this.#waitListeners]) listener();
    this.#waitListeners.clear();
  }

  /** The connection is gone: nobody waits any more. */
  close(): void {
    this.#isOpen = false;
    this.endWaits();
    for (const { give } of [...this.#ownWaiting.splice(0), ...this.#shareWaiting.splice(0)]) {
      give(0);
    }
  }

  /** @returns what forgets the listener. */
  onWaitsEnd(listener: () => void): () => void {
    if (this.#mayWait) this.#waitListeners.add(listener);
    else listener();
    return () => void this.#waitListeners.delete(listener);
  }

  take(need: RoomNeed, isShare: boolean): Promise<number> {
    if (!this.#isOpen) return Promise.resolve(0);
    return new Promise((give) => {
      (isShare ? this.#shareWaiting : this.#ownWaiting).push({ ...need, give });
      this.changed();
    });
  }

  give(bytes: number, isShare: boolean): void {
    this.#takenBytes -= bytes;
    if (isShare) this.#shareBytes -= bytes;
    assert(this.#takenBytes >= 0, 'Room is given back once');
  }

  #tryOwn(need: RoomNeed): number {
    return this.#grant(need, this.#takenBytes === this.#shareBytes);
  }

  /** Half of what is left for shares, so that a second one finds some. */
  #tryShare({ leastBytes, wantedBytes }: RoomNeed): number {
    const leftBytes = this.#options.limitBytes / 2 - this.#shareBytes;
    const isFirst = this.#shareBytes === 0;
    if (leftBytes < leastBytes && !isFirst) return 0;
    const halfBytes = Math.min(wantedBytes, Math.floor(leftBytes / 2));
    const bytes = this.#grant({ leastBytes, wantedBytes: halfBytes }, isFirst);
    this.#shareBytes += bytes;
    return bytes;
  }

  #grant({ leastBytes, wantedBytes }: RoomNeed, isFirst: boolean): number {
    const { limitBytes } = this.#options;
    const unsentBytes = this.#options.unsentBytes();
    const freeBytes = limitBytes - this.#takenBytes - unsentBytes - this.#options.requestBytes();
    const mayExceed = isFirst && unsentBytes === 0;
    if (freeBytes < leastBytes && !mayExceed) return 0;
    const bytes = Math.max(leastBytes, Math.min(wantedBytes, freeBytes));
    this.#takenBytes += bytes;
    return bytes;
  }
}

/** What one response has taken. */
export class Reservation {
  readonly #room: ResponseRoom;
  #ownBytes = 0;
  #shareBytes = 0;

  constructor(room: ResponseRoom) {
    this.#room = room;
  }

  get isOpen(): boolean {
    return this.#room.isOpen;
  }

  get mayWait(): boolean {
    return this.#room.mayWait;
  }

  onWaitsEnd(listener: () => void): () => void {
    return this.#room.onWaitsEnd(listener);
  }

  /** @returns the bytes that the response may have, once there is room for the least; 0 when the connection is gone. */
  async take(need: RoomNeed): Promise<number> {
    const bytes = await this.#room.take(need, false);
    this.#ownBytes += bytes;
    return bytes;
  }

  /** The same while another node is asked. */
  async takeShare(need: RoomNeed): Promise<number> {
    const bytes = await this.#room.take(need, true);
    this.#shareBytes += bytes;
    return bytes;
  }

  /** The response takes so much for certain: what is taken beyond it is given back. */
  keep(bytes: number): void {
    this.#room.give(this.#shareBytes, true);
    this.#shareBytes = 0;
    const kept = Math.min(bytes, this.#ownBytes);
    this.#room.give(this.#ownBytes - kept, false);
    this.#ownBytes = kept;
    this.#room.changed();
  }

  /** The response is written, or there is none. */
  end(): void {
    this.keep(0);
  }
}

function serve(waiting: Waiting[], attempt: (need: RoomNeed) => number): void {
  for (;;) {
    const [first] = waiting;
    const bytes = first === undefined ? 0 : attempt(first);
    if (bytes === 0) return;
    waiting.shift();
    first?.give(bytes);
  }
}
