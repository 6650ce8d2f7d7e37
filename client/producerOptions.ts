/** How a producer works, with what holds by default, and what makes no sense. */
import { WalrusError } from '../base/errors.ts';
import { KIB, MIB } from '../base/units.ts';
import type { Acks } from '../protocol/client/produce.ts';

/** How a producer works. Sizes in bytes, times in ms. */
export interface ProducerOptions {
  readonly topic: string;
  /** Who must have stored a record before it counts: the leader, the ack quorum (default) or all replicas. */
  readonly acks?: Acks;
  /** All records go to this partition. Default: by the key; without one, in turn. */
  readonly partition?: number;
  /** How long a batch that is not full waits for more records, default 5; longer while its partition takes no more. */
  readonly lingerMs?: number;
  /**
   * A batch that reaches it is sent, default 512 KiB; less where the nodes take less. A larger record is a batch of its
   * own, as long as the nodes take it (their `maxFrameBytes`, 1 MiB by default).
   */
  readonly batchBytes?: number;
  /** Records that are not stored yet; beyond it `send` waits. Default 16 MiB. */
  readonly maxBufferedBytes?: number;
  /** One attempt, default 10 s. */
  readonly requestTimeoutMs?: number;
  /**
   * All attempts together, default 120 s; after it a batch fails with TIMED_OUT. Counts from its first record; the others
   * have at least half of it.
   */
  readonly deliveryTimeoutMs?: number;
}

/** The same with the defaults; which partition is looked at apart. */
export type ProducerSettings = Required<Omit<ProducerOptions, 'partition'>>;

/** Less makes no batch. */
export const BATCH_BYTES_MIN = 256;

const DEFAULTS = {
  acks: 'quorum',
  lingerMs: 5,
  batchBytes: 512 * KIB,
  maxBufferedBytes: 16 * MIB,
  requestTimeoutMs: 10_000,
  deliveryTimeoutMs: 120_000,
} as const;

/** What each number must be at least; times need not be whole. */
const NUMBERS = {
  lingerMs: { min: 0, isWhole: false },
  batchBytes: { min: BATCH_BYTES_MIN, isWhole: true },
  maxBufferedBytes: { min: 1, isWhole: true },
  requestTimeoutMs: { min: 1, isWhole: true },
  deliveryTimeoutMs: { min: 1, isWhole: false },
} as const;

/**
 * The options with the defaults, checked.
 * @throws {WalrusError} INVALID_CONFIG, PARTITION_NOT_FOUND
 */
export function settingsOf(
  options: ProducerOptions & { readonly partitionCount: number },
): ProducerSettings {
  const { partition, partitionCount, ...rest } = options;
  const settings = { ...DEFAULTS, ...rest };
  checkNumbers(settings);
  if (partition !== undefined) checkPartition(options.topic, partition, partitionCount);
  return settings;
}

function checkNumbers(options: Record<keyof typeof NUMBERS, number>): void {
  for (const [name, { min, isWhole }] of Object.entries(NUMBERS)) {
    const value = options[name as keyof typeof NUMBERS];
    if (value >= min && (isWhole ? Number.isSafeInteger(value) : Number.isFinite(value))) continue;
    const kind = isWhole ? 'a whole number, ' : '';
    throw new WalrusError('INVALID_CONFIG', `${name} must be ${kind}at least ${min}: ${value}`);
  }
  if (options.maxBufferedBytes < 2 * options.batchBytes) {
    throw new WalrusError('INVALID_CONFIG', 'maxBufferedBytes must hold at least two batches');
  }
}

function checkPartition(topic: string, partition: number, partitionCount: number): void {
  if (Number.isInteger(partition) && partition >= 0 && partition < partitionCount) return;
  const message = `There is no partition ${partition} of ${topic}: it has ${partitionCount}`;
  throw new WalrusError('PARTITION_NOT_FOUND', message);
}
