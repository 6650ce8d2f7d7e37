/**
 * Branded numbers, so that a Raft index, a client offset and a term cannot be mixed up.
 * Each has one checked constructor. All are integers in 0..2^53-1 (ADR 0001).
 */
import { AssertionError } from './assert.ts';

declare const brand: unique symbol;
type Branded<Name extends string> = number & { readonly [brand]: Name };

/** A Raft term. 0 before the first election. */
export type Term = Branded<'Term'>;
/** A position in the Raft log. The first entry has index 1; 0 means "before the log". */
export type LogIndex = Branded<'LogIndex'>;
/** A position of a record in a partition, from 0. */
export type Offset = Branded<'Offset'>;
/** A node of the cluster, from 1. */
export type NodeId = Branded<'NodeId'>;
/** A segment of the cluster, from 1, never reused. */
export type SegmentId = Branded<'SegmentId'>;

/** Whether `value` is an integer in 0..2^53-1. */
export function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function checked(value: number, what: string, min: number): number {
  // The message is made only when it is needed: this runs for every record.
  if (isCount(value) && value >= min) return value;
  throw new AssertionError(`${what} must be an integer of at least ${min}, is ${value}`);
}

/** @throws {AssertionError} Unless `value` is an integer in 0..2^53-1. */
export function term(value: number): Term {
  return checked(value, 'A term', 0) as Term;
}

/** @throws {AssertionError} Unless `value` is an integer in 0..2^53-1. */
export function logIndex(value: number): LogIndex {
  return checked(value, 'A log index', 0) as LogIndex;
}

/** @throws {AssertionError} Unless `value` is an integer in 0..2^53-1. */
export function offset(value: number): Offset {
  return checked(value, 'An offset', 0) as Offset;
}

/** @throws {AssertionError} Unless `value` is an integer in 1..2^53-1. */
export function nodeId(value: number): NodeId {
  return checked(value, 'A node id', 1) as NodeId;
}

/** @throws {AssertionError} Unless `value` is an integer in 1..2^53-1. */
export function segmentId(value: number): SegmentId {
  return checked(value, 'A segment id', 1) as SegmentId;
}

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;
