/** Scripted clusters for tests: a simulated cluster with a topic, appends that can be awaited, and look-ups. */
import { decodeUtf8, encodeUtf8 } from '../../../base/bytes.ts';
import type { WalrusError } from '../../../base/errors.ts';
import { splitBatches } from '../../../protocol/recordBatch.ts';
import { RecordIterator } from '../../../protocol/recordIterator.ts';
import { RecordBatchBuilder } from '../../../protocol/recordBatchBuilder.ts';
import type { Machine } from '../../sim/simCluster.ts';
import { SimCluster } from '../../sim/simCluster.ts';
import { partitionRecord, unsealedSegment } from '../../state/queries.ts';
import type { Replication, SegmentRecord } from '../../state/types.ts';

export const TOPIC = 't';
export const PRODUCER_ID = 7;

export interface Outcome {
  error: WalrusError | null;
  offset: number | null;
  isSettled: boolean;
}

export class Scenario {
  readonly cluster: SimCluster;
  #sequence = 0;

  constructor(nodeCount: number, maxSegmentEntries = 1000, metadataVoters = 3) {
    const config = {
      metadataVoters,
      maxSegmentEntries,
      maxSegmentBytes: 1024 * 1024,
      maxSegmentAgeMs: 3_600_000,
    };
    this.cluster = new SimCluster({ seed: 42, nodeCount, config });
  }

  /** A cluster that serves, with one topic of one partition. */
  static async start(options: {
    nodeCount?: number;
    maxSegmentEntries?: number;
    replication?: Replication;
    metadataVoters?: number;
  }): Promise<Scenario> {
    const { nodeCount = 3, maxSegmentEntries, metadataVoters = 3 } = options;
    const scenario = new Scenario(nodeCount, maxSegmentEntries, metadataVoters);
    const { cluster } = scenario;
    await cluster.startAll();
    await cluster.runUntil(() => scenario.voterCount() === metadataVoters, 10_000);
    await scenario.#createTopic(TOPIC, 1, options.replication ?? null);
    await cluster.run(100);
    return scenario;
  }

  /** A cluster of three that has another topic, too, that nobody writes to, whose partitions are led by all. */
  static async startSpread(partitions: number): Promise<Scenario> {
    const scenario = await Scenario.start({});
    await scenario.#createTopic('spread', partitions, null);
    await scenario.cluster.run(500);
    return scenario;
  }

  async #createTopic(
    name: string,
    partitions: number,
    replication: Replication | null,
  ): Promise<void> {
    const { controller } = this.metadataLeader().parts!;
    let isCreated = false;
    void controller.createTopic({ name, partitions, replication }).then(() => (isCreated = true));
    await this.cluster.runUntil(() => isCreated, 5000);
  }

  voterCount(): number {
    return this.running()[0]?.parts?.raft.status().configuration.voters.length ?? 0;
  }

  running(): Machine[] {
    return this.cluster.machines.filter((machine) => machine.parts !== null);
  }

  metadataLeader(): Machine {
    const leader = this.running().find((machine) => machine.parts!.metadata.isLeader);
    if (leader === undefined) throw new Error('No metadata leader');
    return leader;
  }

  /** The newest view of the unsealed segment among running nodes. */
  segment(): SegmentRecord {
    const records = this.running().map((machine) =>
      unsealedSegment(machine.parts!.metadata.metadata, TOPIC, 0),
    );
    const newest = records.reduce((a, b) => ((b?.segmentId ?? 0) > (a?.segmentId ?? 0) ? b : a));
    if (newest === undefined) throw new Error('No unsealed segment');
    return newest;
  }

  segments(machine: Machine): SegmentRecord[] {
    const { metadata } = machine.parts!.metadata;
    return partitionRecord(metadata, TOPIC, 0)!.segments.map((id) => metadata.segments.get(id)!);
  }

  leader(): Machine {
    return this.cluster.machines[this.segment().leader.nodeId - 1]!;
  }

  followers(): Machine[] {
    const leader = this.leader();
    return this.cluster.machines.filter((machine) => machine !== leader);
  }

  /** Appends a record through a machine; does not wait. */
  append(machine: Machine, sequence = this.#sequence): Outcome {
    const outcome: Outcome = { error: null, offset: null, isSettled: false };
    if (sequence === this.#sequence) this.#sequence += 1;
    const builder = new RecordBatchBuilder({ maxBytes: 4096 });
    builder.appendValue(encodeUtf8(`value ${sequence}`), sequence);
    const batch = builder.finish({
      producerId: PRODUCER_ID,
      producerEpoch: 0,
      baseSequence: sequence,
    });
    const partition = { topic: TOPIC, partition: 0 };
    machine.parts!.segments.append(partition, batch, 'quorum', (error, result) => {
      outcome.error = error;
      outcome.offset = result?.baseOffset ?? null;
      outcome.isSettled = true;
    });
    return outcome;
  }

  /** Appends through whoever leads, again and again until it is acknowledged. */
  async write(count: number): Promise<number[]> {
    const offsets: number[] = [];
    for (let written = 0; written < count; written += 1) {
      const sequence = this.#sequence;
      this.#sequence += 1;
      offsets.push(await this.#writeOne(sequence));
    }
    return offsets;
  }

  async #writeOne(sequence: number): Promise<number> {
    for (let tries = 0; tries < 500; tries += 1) {
      const machine = this.leader();
      if (machine.isServing && machine.process?.isPaused === false) {
        const outcome = this.append(machine, sequence);
        await this.cluster.runWhile(() => !outcome.isSettled && machine.isRunning, 4000);
        if (outcome.offset !== null) return outcome.offset;
      }
      await this.cluster.run(20);
    }
    throw new Error(`Sequence ${sequence} was never acknowledged`);
  }

  /** What a machine can read of the topic from its own disk, up to what it knows to be committed. */
  read(machine: Machine): string[] {
    const found: string[] = [];
    const { host } = machine.parts!;
    for (const segment of this.segments(machine)) {
      const end = host.committedOffset(segment);
      for (let at = segment.baseOffset; at < end;) {
        const { bytes, nextOffset } = host.read(segment, at, { maxBytes: 65_536 });
        for (const batch of splitBatches(bytes)) found.push(...valuesOf(batch));
        at = nextOffset;
      }
    }
    return found;
  }
}

function valuesOf(batch: Uint8Array): string[] {
  const found: string[] = [];
  const records = new RecordIterator(batch);
  while (records.next()) found.push(decodeUtf8(records.value() ?? new Uint8Array(0)));
  return found;
}

/** The values of the first `count` records. */
export function values(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `value ${index}`);
}
