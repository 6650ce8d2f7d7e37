/**
 * The names of a cluster's nodes for clients outside of it, which have no part in the cluster's DNS: they are asked for again
 * and again, and connections are made to where the name leads at that moment.
 */
import { Resolver } from 'node:dns/promises';
import { systemWorld } from '../../client/io/system.ts';
import type { ClientWorld } from '../../client/world.ts';
import { pause } from '../chaos/wait.ts';

const ASK_EVERY_MS = 200;
const DOMAIN = 'cluster.local';
/** Where nobody listens: a name that leads nowhere is refused at once. */
const NOWHERE = '127.0.0.1:1';

export class PodNames {
  readonly #addresses = new Map<string, string>();
  readonly #resolver = new Resolver({ timeout: 1000, tries: 1 });
  #asking: Promise<unknown> = Promise.resolve();
  #isStopped = false;

  /** @param server - The cluster's name server. */
  constructor(server: string) {
    this.#resolver.setServers([server]);
  }

  /** @param hosts - Ending in `.svc`. */
  async start(hosts: readonly string[]): Promise<void> {
    await Promise.all(hosts.map((host) => this.#ask(host)));
    this.#asking = Promise.all(hosts.map((host) => this.#keepAsking(host)));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#asking;
  }

  /** The system's, with connections by these names. */
  world(): ClientWorld {
    const system = systemWorld();
    const connect: ClientWorld['network']['connect'] = (address, handlers) =>
      system.network.connect(this.#placeOf(address), handlers);
    return { ...system, network: { connect } };
  }

  #placeOf(address: string): string {
    const [host = '', port = ''] = address.split(':');
    const found = this.#addresses.get(host);
    return found === undefined ? NOWHERE : `${found}:${port}`;
  }

  async #keepAsking(host: string): Promise<void> {
    while (!this.#isStopped) {
      await this.#ask(host);
      await pause(ASK_EVERY_MS);
    }
  }

  async #ask(host: string): Promise<void> {
    try {
      const [address] = await this.#resolver.resolve4(`${host}.${DOMAIN}`);
      if (address !== undefined) this.#addresses.set(host, address);
    } catch {
      this.#addresses.delete(host); // there is no pod of this name now, or nobody who could say
    }
  }
}
