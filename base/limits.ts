/** Bounds that the clients check before they send, and the metadata checks again. */

/** The most partitions of a topic. */
export const TOPIC_PARTITIONS_MAX = 1000;
