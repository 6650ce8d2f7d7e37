/** What a run may be found to have broken. docs/testing.md says what each means, which a test compares. */
export const PROPERTIES = [
  'AcknowledgedNotLost',
  'OffsetNeverReused',
  'CommittedReadsOnly',
  'SameBytes',
  'OffsetsDense',
  'ProducerOrder',
  'ProducerKnown',
  'SharedCursor',
  'MetadataLinearizable',
  'StateMachineSafety',
  'ElectionSafety',
  'OneCluster',
  'RuinedDiskRefused',
  'LeaseHeld',
  'Library',
  'ConsumerOrder',
  'GroupPositions',
  'CopiesWhole',
  'Assertion',
  'Progress',
] as const;

export type Property = (typeof PROPERTIES)[number];

/** Stands for an error that nobody foresaw, a TypeError for example: it shows nothing about a planted bug. */
export const CRASH = 'Crash';
