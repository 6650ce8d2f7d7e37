/**
 * Messages between simulated nodes: delayed, lost, duplicated, reordered (by their delays) and cut off by one-way
 * or two-way partitions. Deterministic: every fate is drawn from the injected Random when a message is sent.
 */
import { concatBytes } from '../../base/bytes.ts';
import type { PeerIdentity, PeerTransport } from '../../base/network.ts';
import { chance } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimProcess } from './simProcess.ts';

/** What may go wrong. Probabilities are 0..1, times in virtual milliseconds. */
export interface NetworkFaults {
  readonly lossProbability: number;
  readonly duplicateProbability: number;
  /** Every message takes between `min` and `max`; a slow one up to `slowMs` more. */
  readonly delayMs: { readonly min: number; readonly max: number };
  readonly slowProbability: number;
  readonly slowMs: number;
  /** Only messages of this kind (`MESSAGE_KIND`) are slow; undefined: of any. */
  readonly slowKind?: number;
  /** Only messages to this address are slow; undefined: to any. */
  readonly slowTo?: string;
}

export const CALM_NETWORK: NetworkFaults = {
  lossProbability: 0,
  duplicateProbability: 0,
  delayMs: { min: 0.05, max: 0.3 },
  slowProbability: 0,
  slowMs: 0,
};

interface Endpoint {
  readonly identity: PeerIdentity;
  readonly process: SimProcess;
  receive: (from: PeerIdentity, message: Uint8Array) => void;
}

export class SimNetwork {
  /** May be replaced at any time. */
  faults: NetworkFaults = CALM_NETWORK;
  readonly counts = { sent: 0, lost: 0, duplicated: 0 };
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #cut = new Set<string>();
  readonly #observe: (message: Uint8Array) => void;

  constructor(
    scheduler: Scheduler,
    random: Random,
    observe: (message: Uint8Array) => void = () => undefined,
  ) {
    this.#observe = observe;
    this.#scheduler = scheduler;
    this.#random = random;
  }

  /** The transport of one process life; it takes the place of an earlier one at the same address. */
  attach(identity: PeerIdentity, process: SimProcess): PeerTransport {
    const endpoint: Endpoint = { identity, process, receive: () => undefined };
    this.#endpoints.set(identity.address, endpoint);
    return {
      send: (address, parts, onReleased) => {
        if (process.isAlive) this.#send(identity, address, concatBytes(parts));
        onReleased?.(); // the parts were copied
        return true;
      },
      onMessage: (receiver) => {
        endpoint.receive = receiver;
      },
    };
  }

  /** Messages from one address to another vanish until `heal`. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from} ${to}`);
  }

  /** Cuts an address off from all others, both ways. */
  isolate(address: string): void {
    for (const other of this.#endpoints.keys()) {
      if (other === address) continue;
      this.cut(address, other);
      this.cut(other, address);
    }
  }

  /** Mends one direction, or everything. */
  heal(from?: string, to?: string): void {
    if (from === undefined || to === undefined) this.#cut.clear();
    else this.#cut.delete(`${from} ${to}`);
  }

  #send(from: PeerIdentity, to: string, message: Uint8Array): void {
    this.counts.sent += 1;
    const isLost = chance(this.#random, this.faults.lossProbability);
    if (isLost || this.#cut.has(`${from.address} ${to}`)) {
      this.counts.lost += 1;
      return;
    }
    this.#deliverLater(from, to, message);
    if (chance(this.#random, this.faults.duplicateProbability)) {
      this.counts.duplicated += 1;
      this.#deliverLater(from, to, message);
    }
  }

  #deliverLater(from: PeerIdentity, to: string, message: Uint8Array): void {
    const { delayMs, slowProbability, slowMs, slowKind, slowTo } = this.faults;
    let delay = delayMs.min + this.#fraction() * (delayMs.max - delayMs.min);
    const isKind = slowKind === undefined || message[0] === slowKind;
    const maySlow = isKind && (slowTo === undefined || to === slowTo);
    if (maySlow && chance(this.#random, slowProbability)) delay += this.#fraction() * slowMs;
    this.#scheduler.schedule(delay, () => {
      const endpoint = this.#endpoints.get(to);
      // A cut takes what is under way, too.
      if (endpoint === undefined || this.#cut.has(`${from.address} ${to}`)) return;
      // A buffer of its own that is spoilt afterwards: whoever keeps a view of it is found out.
      endpoint.process.enter(() => {
        const view = message.slice();
        this.#observe(view);
        endpoint.receive(from, view);
        view.fill(0xdb);
      });
    });
  }

  #fraction(): number {
    return this.#random.uint32() / 2 ** 32;
  }
}
