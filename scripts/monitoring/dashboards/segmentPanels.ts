/** Panels that more than one dashboard begins with: whether the segments can be written, and have all their copies. */
import { GOOD_AT_ZERO, stat } from './panel.ts';
import type { StatPanel } from './panel.ts';
import { ofCluster } from './selectors.ts';

export function segmentsWithoutQuorum(width: number): StatPanel {
  return stat({
    title: 'Segments without quorum',
    description:
      'Open segments with fewer members up than an append needs: their partitions take no writes.',
    unit: 'none',
    width,
    queries: [{ expr: `max(${ofCluster('walrus_cluster_segments_unavailable')})`, legend: '' }],
    thresholds: GOOD_AT_ZERO,
  });
}

export function segmentsToCopy(width: number): StatPanel {
  return stat({
    title: 'Segments to copy',
    description:
      'Segments with fewer whole copies than their topic asks for. They are copied anew by themselves.',
    unit: 'none',
    width,
    queries: [
      { expr: `max(${ofCluster('walrus_cluster_segments_under_replicated')})`, legend: '' },
    ],
    thresholds: [
      { value: null, color: 'green' },
      { value: 1, color: 'orange' },
    ],
  });
}
