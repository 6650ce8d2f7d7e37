/** What a command touched, so that whoever follows the metadata need not look through all of it. */
import type { LogIndex, NodeId, SegmentId } from '../../base/units.ts';

export interface MetadataChange {
  readonly index: LogIndex;
  /** The whole state was replaced by a snapshot's: the sets below are empty, look at everything. */
  readonly isRestored: boolean;
  /** The cluster id or its settings. */
  readonly isConfigChanged: boolean;
  /** Names of topics that were created, deleted, or got other segments. */
  readonly topics: ReadonlySet<string>;
  /** Segments that were opened, changed or removed. */
  readonly segments: ReadonlySet<SegmentId>;
  readonly nodes: ReadonlySet<NodeId>;
  readonly disks: ReadonlySet<string>;
  readonly groups: ReadonlySet<string>;
}

/** Collects what one command touches. */
export class ChangeRecorder {
  isConfigChanged = false;
  readonly topics = new Set<string>();
  readonly segments = new Set<SegmentId>();
  readonly nodes = new Set<NodeId>();
  readonly disks = new Set<string>();
  readonly groups = new Set<string>();

  /** The change so far, as a value of its own. */
  finish(index: LogIndex, isRestored: boolean): MetadataChange {
    return {
      index,
      isRestored,
      isConfigChanged: this.isConfigChanged,
      topics: this.topics,
      segments: this.segments,
      nodes: this.nodes,
      disks: this.disks,
      groups: this.groups,
    };
  }
}
