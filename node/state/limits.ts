/** Named bounds of the metadata: it lives in the memory of every node and in every Raft snapshot. */
import { TOPIC_PARTITIONS_MAX } from '../../base/limits.ts';

export const MAX_NODES = 128;
/** LOST disks are remembered for ever, so that they never come back; each replacement takes one. */
export const MAX_DISKS = 10_000;
export const MAX_TOPICS = 50_000;
export const MAX_PARTITIONS_PER_TOPIC = TOPIC_PARTITIONS_MAX;
/** All segments, deleted ones that wait for confirmation included. */
export const MAX_SEGMENTS = 1_000_000;
export const MAX_SEGMENTS_PER_PARTITION = 100_000;
export const MAX_GROUPS = 10_000;
export const MAX_POSITIONS_PER_GROUP = 100_000;
export const MAX_POSITIONS_PER_COMMAND = 10_000;
export const MAX_SEGMENTS_PER_CONFIRMATION = 10_000;
/** Places outside the ensemble that one segment may have at a time. */
export const MAX_EXTRA_PLACES = 16;
export const MAX_PRODUCER_IDS_PER_BLOCK = 100_000;
/** Topic and group names, in characters. */
export const MAX_NAME_LENGTH = 249;
/** Addresses, zones and versions, in characters. */
export const MAX_LABEL_LENGTH = 300;
