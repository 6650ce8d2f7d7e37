/**
 * Clients' batches on their way to a leader on another node. When the partition has moved on to another segment, the
 * old leader may be dead: its answer is waited for only a moment more, so that the client tries again with the new one
 * instead of waiting for its whole time-out.
 */
import type { Timer } from '../../base/clock.ts';
import { WalrusError } from '../../base/errors.ts';
import type { SegmentId } from '../../base/units.ts';
import type { MetadataChange } from '../state/change.ts';
import type { PartitionName, Router } from './router.ts';
import type { ServerContext } from './serverContext.ts';

/** After a partition has changed hands, how long the old leader's answers may still come. */
const LATE_ANSWER_MS = 200;

interface Forwarded {
  readonly name: PartitionName;
  readonly segmentId: SegmentId;
  readonly giveUp: (error: WalrusError) => void;
  timer: Timer | null;
}

export class ForwardedAppends {
  readonly #context: ServerContext;
  readonly #router: Router;
  readonly #underWay = new Map<string, Set<Forwarded>>();

  constructor(context: ServerContext, router: Router) {
    this.#context = context;
    this.#router = router;
    context.parts.metadata.onApplied((change) => this.#onApplied(change));
  }

  /**
   * Watches a batch that was sent to the leader of a segment.
   * @param giveUp - Called at most once, when the answer is not worth waiting for any more.
   * @returns to be called when the answer is there.
   */
  watch(
    name: PartitionName,
    segmentId: SegmentId,
    giveUp: (error: WalrusError) => void,
  ): () => void {
    const forwarded: Forwarded = { name, segmentId, giveUp, timer: null };
    const others = this.#underWay.get(name.topic) ?? new Set();
    this.#underWay.set(name.topic, others);
    others.add(forwarded);
    return () => {
      forwarded.timer?.cancel();
      others.delete(forwarded);
      if (others.size === 0 && this.#underWay.get(name.topic) === others) {
        this.#underWay.delete(name.topic);
      }
    };
  }

  #onApplied(change: MetadataChange): void {
    if (this.#underWay.size === 0) return;
    const touched = change.isRestored ? [...this.#underWay.keys()] : change.topics;
    for (const topic of touched) {
      for (const forwarded of this.#underWay.get(topic) ?? []) this.#look(forwarded);
    }
  }

  #look(forwarded: Forwarded): void {
    const { name, segmentId, giveUp } = forwarded;
    if (forwarded.timer !== null) return;
    if (this.#router.leadership(name)?.segment.segmentId === segmentId) return;
    forwarded.timer = this.#context.clock.setTimer(LATE_ANSWER_MS, () => {
      const what = `The leader of ${name.topic}/${name.partition} has changed`;
      giveUp(new WalrusError('TIMED_OUT', `The outcome is unknown: ${what}`));
    });
  }
}
