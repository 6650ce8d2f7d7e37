/** What clients of a simulated cluster saw, for the checkers. */
import type { NodeId } from '../../base/units.ts';
import type { Property } from './properties.ts';

/** A record that a producer sent; its value is unique in the run. */
export interface AppendOperation {
  readonly topic: string;
  readonly producerId: number;
  readonly sequence: number;
  readonly value: string;
  readonly invokedMs: number;
  /** Set when it was acknowledged. */
  offset: number | null;
  acknowledgedMs: number | null;
}

/** A record that a reader got. */
export interface ReadRecord {
  readonly topic: string;
  readonly offset: number;
  readonly value: string;
  /** null when the client library read it, from whichever node. */
  readonly nodeId: NodeId | null;
  readonly atMs: number;
}

/** A topic's creation, or a look-up of it, with the interval in which it took place. */
export interface MetadataOperation {
  readonly type: 'Create' | 'Lookup';
  readonly topic: string;
  readonly invokedMs: number;
  readonly returnedMs: number;
  /** Whether it exists, as the operation found or left it. */
  readonly exists: boolean;
}

/** One node's whole log of one topic, read after the faults have stopped. */
export interface FinalLog {
  readonly topic: string;
  readonly nodeId: NodeId;
  readonly records: readonly { readonly offset: number; readonly value: string }[];
}

/** The topic of the text clients. */
export const TEXT_TOPIC = 'text';

/** What the text clients of one topic saw. */
export class TextHistory {
  readonly topic: string;
  /** Everything that was sent. */
  readonly puts: string[] = [];
  readonly acknowledged: string[] = [];
  /** PUTs without a reply. */
  unknownPuts = 0;
  /** What GET gave, in the order of the replies. */
  readonly got: string[] = [];
  /** When GETs were left without a reply: each may have been given a record. */
  readonly unansweredMs: number[] = [];

  constructor(topic: string) {
    this.topic = topic;
  }
}

export class History {
  /** Called at each acknowledgement: for faults that strike right then. */
  onAcknowledged: () => void = () => undefined;
  readonly appends: AppendOperation[] = [];
  readonly reads: ReadRecord[] = [];
  readonly metadata: MetadataOperation[] = [];
  readonly finalLogs: FinalLog[] = [];

  acknowledged(): AppendOperation[] {
    return this.appends.filter((append) => append.offset !== null);
  }
}

/** A property that a run has broken. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly property: Property;

  constructor(property: Property, message: string) {
    super(`${property}: ${message}`);
    this.property = property;
  }
}
