/** The checkers of a run's history, each with the property that it is named after. */
import type { History } from '../history.ts';
import { checkAcknowledgedNotLost } from './acknowledgedNotLost.ts';
import { checkCommittedReadsOnly } from './committedReadsOnly.ts';
import { checkMetadataLinearizable } from './metadataLinearizable.ts';
import { checkOffsetNeverReused } from './offsetNeverReused.ts';
import { checkOffsetsDense } from './offsetsDense.ts';
import { checkProducerOrder } from './producerOrder.ts';
import { checkSameBytes } from './sameBytes.ts';

/** In an order that names a cause before its consequences. */
export const HISTORY_CHECKERS: readonly ((history: History) => void)[] = [
  checkOffsetNeverReused,
  checkAcknowledgedNotLost,
  checkCommittedReadsOnly,
  checkSameBytes,
  checkOffsetsDense,
  checkProducerOrder,
  checkMetadataLinearizable,
];
