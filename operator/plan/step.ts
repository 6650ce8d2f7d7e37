/** What one part of a plan comes to. */
import type { ConditionType, ReasonOf } from '../api/conditions.ts';
import type { Event, Operation, RiskyAction, Write } from './types.ts';

interface FindingOf<T extends ConditionType> {
  readonly type: T;
  readonly reason: ReasonOf<T>;
  readonly message: string;
}

/** Of a condition: as a status may have it. */
export const MESSAGE_LENGTH_MAX = 1024;

/** A condition that is not as it should be, and why. */
export type Finding = { [T in ConditionType]: FindingOf<T> }[ConditionType];

export interface Step {
  readonly writes?: readonly Write[];
  readonly risky?: RiskyAction;
  readonly operation?: Operation;
  /** It may last, and holds up nothing: what else is under way is told instead. */
  readonly isAside?: true;
  readonly findings?: readonly Finding[];
  /** Of its risky action, once it is done. */
  readonly events?: readonly Event[];
  /** Something that no watch tells may change: look again. */
  readonly requeueAfterMs?: number;
  /** Later parts of the plan are left alone in this pass. */
  readonly isLast: boolean;
}

/** How soon the nodes are asked again while something is under way. */
export const POLL_MS = 1000;
/** Of an operation's step. */
export const STEP_LENGTH_MAX = 256;
