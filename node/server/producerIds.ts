/** Producer ids for this node's own producers and for clients', taken from the metadata in blocks. */
import { WalrusError } from '../../base/errors.ts';
import type { ProducerIdentity } from '../../protocol/producerPipeline.ts';
import type { MetadataService } from '../controller/types.ts';

/** Ids of one block: what a node that stops leaves unused. */
const BLOCK_COUNT = 100;

export class ProducerIds {
  readonly #metadata: MetadataService;
  #next = 0;
  #end = 0;
  #allocation: Promise<void> | null = null;

  constructor(metadata: MetadataService) {
    this.#metadata = metadata;
  }

  /**
   * An id that nobody has had.
   * @throws {WalrusError} METADATA_UNAVAILABLE, TIMED_OUT and what else a proposal may fail with.
   */
  async take(): Promise<ProducerIdentity> {
    while (this.#next === this.#end) {
      this.#allocation ??= this.#allocate().finally(() => {
        this.#allocation = null;
      });
      await this.#allocation;
    }
    const producerId = this.#next;
    this.#next += 1;
    return { producerId, producerEpoch: 0 };
  }

  async #allocate(): Promise<void> {
    const result = await this.#metadata.propose({
      type: 'AllocateProducerIds',
      count: BLOCK_COUNT,
    });
    if (!result.ok) throw new WalrusError(result.code, result.message);
    if (result.value.type !== 'ProducerIds') return;
    this.#next = result.value.first;
    this.#end = result.value.first + result.value.count;
  }
}
