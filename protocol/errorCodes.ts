/**
 * The number of each error code on the wire. 0 is success. Numbers are never reused or changed: a code that goes
 * leaves its number behind. docs/errors.md lists them (a test compares).
 */
import type { ErrorCode } from '../base/errors.ts';

/** The wire's number for success. */
export const NO_ERROR = 0;

export const WIRE_ERROR_NUMBERS = {
  MALFORMED: 1,
  TOO_LARGE: 2,
  UNKNOWN_COMMAND: 3,
  UNSUPPORTED_VERSION: 4,
  WRONG_CLUSTER: 5,
  INVALID_CONFIG: 6,
  INVALID_TOPIC_NAME: 7,
  TOPIC_NOT_FOUND: 8,
  TOPIC_EXISTS: 9,
  PARTITION_NOT_FOUND: 10,
  INVALID_REPLICATION: 11,
  NOT_ENOUGH_REPLICAS: 12,
  NOT_LEADER: 13,
  METADATA_UNAVAILABLE: 14,
  TIMED_OUT: 15,
  SEGMENT_SEALED: 16,
  FENCED: 17,
  WRONG_TOKEN: 18,
  OUT_OF_ORDER_APPEND: 19,
  OFFSET_OUT_OF_RANGE: 20,
  OUT_OF_ORDER_SEQUENCE: 21,
  PRODUCER_FENCED: 22,
  UNKNOWN_PRODUCER: 23,
  CORRUPT_BATCH: 24,
  CORRUPT_SEGMENT: 25,
  REPLICA_UNKNOWN: 26,
  SEGMENT_NOT_FOUND: 27,
  DISK_FULL: 28,
  DISK_FAILED: 29,
  DATA_DIR_LOCKED: 30,
  WRONG_DATA_DIR: 31,
  DISK_REFUSED: 32,
  ADDRESS_IN_USE: 33,
  CONNECTION_FAILED: 34,
  OVERLOADED: 35,
  SHUTTING_DOWN: 36,
  CONFLICT: 37,
  INVALID_MEMBERSHIP: 38,
  LIMIT_REACHED: 39,
  GROUP_NOT_FOUND: 40,
} as const satisfies Record<ErrorCode, number>;

const CODES = new Map<number, ErrorCode>(
  Object.entries(WIRE_ERROR_NUMBERS).map(([code, number]) => [number, code as ErrorCode]),
);

/** The wire's number for a code. */
export function wireNumberOf(code: ErrorCode): number {
  return WIRE_ERROR_NUMBERS[code];
}

/** The code with a number; undefined for 0 and for numbers of later versions. */
export function errorCodeOf(number: number): ErrorCode | undefined {
  return CODES.get(number);
}
