/** A simulated reader: follows a topic through changing nodes and notes every record it gets. */
import { between, pick } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import type { ClientPort, FetchedRecords, SimPartition } from './clientPort.ts';
import type { FinalLog, History } from './history.ts';
import type { Machine, SimCluster } from './simCluster.ts';

const ANSWER_MS_MAX = 2000;
/** How long the whole log may take to read. */
const READ_ALL_MS_MAX = 10_000;

export interface ReaderOptions {
  readonly cluster: SimCluster;
  readonly random: Random;
  readonly history: History;
  readonly portOf: (machine: Machine) => ClientPort;
  readonly partition: SimPartition;
}

export class SimReader {
  readonly #options: ReaderOptions;
  #nextOffset = 0;
  #isStopped = false;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  start(): void {
    const { cluster, random } = this.#options;
    if (this.#isStopped) return;
    const machine = pick(random, cluster.machines);
    this.#fetch(machine);
    cluster.scheduler.schedule(between(random, 10, 150), () => this.start());
  }

  stop(): void {
    this.#isStopped = true;
  }

  #fetch(machine: Machine): void {
    const { partition, portOf, history, cluster } = this.#options;
    const topic = partition.log;
    const from = this.#nextOffset;
    portOf(machine).fetch(partition, from, (error, result) => {
      if (error !== null || result === null) return;
      const atMs = cluster.scheduler.nowMs;
      for (const { offset, value } of result.records) {
        history.reads.push({ topic, offset, value, nodeId: machine.nodeId, atMs });
      }
      // Now and then from an earlier place: what was read once must be read again.
      const isBack = between(this.#options.random, 0, 20) === 0;
      this.#nextOffset = isBack ? 0 : Math.max(this.#nextOffset, result.nextOffset);
    });
  }
}

/** Reads a whole topic through one node, up to an offset that is known to be committed. */
export async function readAll(
  options: ReaderOptions,
  machine: Machine,
  end: number,
): Promise<FinalLog> {
  const { partition, cluster, portOf } = options;
  const records: { offset: number; value: string }[] = [];
  let from = 0;
  const deadlineMs = cluster.scheduler.nowMs + READ_ALL_MS_MAX;
  while (from < end && cluster.scheduler.nowMs < deadlineMs) {
    const answer: { result: FetchedRecords | null; isThere: boolean } = {
      result: null,
      isThere: false,
    };
    portOf(machine).fetch(partition, from, (_error, result) => {
      answer.result = result;
      answer.isThere = true;
    });
    await cluster.runWhile(() => !answer.isThere, ANSWER_MS_MAX);
    if (answer.result === null) {
      await cluster.run(20); // refused, or no answer: again
      continue;
    }
    records.push(...answer.result.records);
    from = answer.result.nextOffset;
    if (from < end) await cluster.run(1);
  }
  return { topic: partition.log, nodeId: machine.nodeId, records };
}
