/**
 * Expected failures: what a user, a network or a disk can cause. Each has a code of this union, a line in
 * docs/errors.md and, when it crosses the wire, a number in protocol/errorCodes.ts (a test compares the three).
 * Bugs are assertions instead (assert.ts).
 */

/** Every code, with whether a caller may try the same again. */
export const ERROR_CODES = {
  /** The request cannot be understood: a bad frame, field or value. */
  MALFORMED: { retriable: false },
  /** A frame, record or batch is larger than the limit. */
  TOO_LARGE: { retriable: false },
  /** A command or request that this version does not know. */
  UNKNOWN_COMMAND: { retriable: false },
  /** A version of a protocol or format that this build does not speak. */
  UNSUPPORTED_VERSION: { retriable: false },
  /** A peer or client that belongs to another cluster. */
  WRONG_CLUSTER: { retriable: false },
  /** A setting, flag or argument that is unknown or out of range. */
  INVALID_CONFIG: { retriable: false },
  INVALID_TOPIC_NAME: { retriable: false },
  TOPIC_NOT_FOUND: { retriable: false },
  TOPIC_EXISTS: { retriable: false },
  PARTITION_NOT_FOUND: { retriable: false },
  /** A replication setting other than 1/1, 3/2, 5/3, or larger than the cluster. */
  INVALID_REPLICATION: { retriable: false },
  /** Fewer healthy disks than the ack quorum needs. */
  NOT_ENOUGH_REPLICAS: { retriable: true },
  /** This node does not lead what was asked for; `details.leader` may name who does. */
  NOT_LEADER: { retriable: true },
  /** The metadata has no leader at the moment, or did not answer in time. */
  METADATA_UNAVAILABLE: { retriable: true },
  /** The outcome of a request is unknown: it may or may not have taken place. */
  TIMED_OUT: { retriable: true },
  /** The segment is closed, or is being closed: go to its successor. */
  SEGMENT_SEALED: { retriable: true },
  /** The segment's replica was fenced by a recovery with a higher epoch. */
  FENCED: { retriable: true },
  /** Segment, session token or target disk do not match. */
  WRONG_TOKEN: { retriable: false },
  /** A batch whose base offset is not the replica's tail. */
  OUT_OF_ORDER_APPEND: { retriable: true },
  OFFSET_OUT_OF_RANGE: { retriable: false },
  /** A producer sequence that leaves a gap. */
  OUT_OF_ORDER_SEQUENCE: { retriable: false },
  /** A newer producer with the same id has taken over. */
  PRODUCER_FENCED: { retriable: false },
  /** The producer id is not known any more. */
  UNKNOWN_PRODUCER: { retriable: false },
  /** A batch whose checksum or layout is wrong. */
  CORRUPT_BATCH: { retriable: false },
  /** A stored replica that is damaged; another one may be intact. */
  CORRUPT_SEGMENT: { retriable: true },
  /** A node that cannot say: its copy is lost, damaged or not readable now. Never "empty". */
  REPLICA_UNKNOWN: { retriable: true },
  SEGMENT_NOT_FOUND: { retriable: true },
  /** No space for new data; reads go on. */
  DISK_FULL: { retriable: true },
  /** An I/O error; the disk is read-only from then on. */
  DISK_FAILED: { retriable: true },
  /** The data directory is used by another process. */
  DATA_DIR_LOCKED: { retriable: false },
  /** The data directory belongs to another node, cluster or format. */
  WRONG_DATA_DIR: { retriable: false },
  /** The disk is not the one registered under this identity, or is an older state of it. */
  DISK_REFUSED: { retriable: false },
  ADDRESS_IN_USE: { retriable: false },
  CONNECTION_FAILED: { retriable: true },
  /** A bounded queue is full: slow down. */
  OVERLOADED: { retriable: true },
  /** The node is stopping. */
  SHUTTING_DOWN: { retriable: true },
  /** A named bound of the metadata is reached: topics, partitions, segments, nodes or groups. */
  LIMIT_REACHED: { retriable: false },
  /** No group with this name has positions. */
  GROUP_NOT_FOUND: { retriable: false },
  /** The expected state did not hold any more (compare-and-set). */
  CONFLICT: { retriable: true },
  /** A Raft proposal that was refused because of the membership rules. */
  INVALID_MEMBERSHIP: { retriable: false },
} as const satisfies Record<string, { retriable: boolean }>;

export type ErrorCode = keyof typeof ERROR_CODES;
export type ErrorDetails = Readonly<Record<string, string | number | boolean>>;

/** A failure that a caller can expect and act on. */
export class WalrusError extends Error {
  override readonly name = 'WalrusError';
  readonly code: ErrorCode;
  readonly retriable: boolean;
  readonly details: ErrorDetails;

  /**
   * @param code - What kind of failure.
   * @param message - What was wrong, what was wanted and what to do, as one sentence without a period.
   */
  constructor(
    code: ErrorCode,
    message: string,
    options?: { details?: ErrorDetails; cause?: unknown },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retriable = ERROR_CODES[code].retriable;
    this.details = options?.details ?? {};
  }
}

/** Narrows an `unknown` from a catch clause to a failure with one of the given codes. */
export function isWalrusError(
  error: unknown,
  ...codes: readonly ErrorCode[]
): error is WalrusError {
  return error instanceof WalrusError && (codes.length === 0 || codes.includes(error.code));
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
