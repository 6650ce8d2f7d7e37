/** What became of records that this node fetched from other nodes' shared cursors, told to them in batches. */
import { isWalrusError } from '../../base/errors.ts';
import type { Offset } from '../../base/units.ts';
import { CONFIRM_DELIVERY } from '../../protocol/peer/requests.ts';
import type { PartitionName } from './router.ts';
import type { ServerContext } from './serverContext.ts';

const CONFIRM_TIMEOUT_MS = 1000;
/** Together within what the cursor waits. */
const TRY_COUNT_MAX = 3;

type Delivery = { readonly offset: Offset; readonly wasDelivered: boolean };

interface Batch {
  readonly address: string;
  readonly name: PartitionName;
  readonly deliveries: Delivery[];
}

export class Deliveries {
  readonly #context: ServerContext;
  #batches = new Map<string, Batch>();
  #isFlushPlanned = false;

  constructor(context: ServerContext) {
    this.#context = context;
  }

  /** Notes the fate of a record of the cursor at `address`; it leaves at the end of the turn. */
  settle(address: string, name: PartitionName, delivery: Delivery): void {
    const key = `${address} ${name.topic}/${name.partition}`;
    const batch = this.#batches.get(key) ?? { address, name, deliveries: [] };
    batch.deliveries.push(delivery);
    this.#batches.set(key, batch);
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    this.#context.clock.defer(() => {
      this.#isFlushPlanned = false;
      const batches = this.#batches;
      this.#batches = new Map();
      for (const ready of batches.values()) void this.#send(ready);
    });
  }

  /** Given up after some tries: the records are then handed out again. */
  async #send({ address, name, deliveries }: Batch): Promise<void> {
    const request = { ...name, deliveries };
    for (let tries = 1; tries <= TRY_COUNT_MAX; tries += 1) {
      try {
        await this.#context.parts.rpc.call(address, CONFIRM_DELIVERY, request, CONFIRM_TIMEOUT_MS);
        return;
      } catch (error) {
        if (!isWalrusError(error)) throw error;
        const { code } = error;
        this.#context.logger.log('info', 'a delivery cannot be confirmed', { address, code });
      }
    }
  }
}
