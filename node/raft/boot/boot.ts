/**
 * Which starts of a server count: the compare-and-set of DESIGN I2, at a peer instead of in the metadata, since the
 * metadata need a leader and a leader needs votes (ADR 0121). Pure.
 *
 * A server's boots are numbered, and each has a random nonce. A process asks its peers to confirm its boot; every peer
 * remembers the last one that it has confirmed. A disk that is put back to an earlier state of itself asks again with
 * a number that was used, and with another nonce.
 */

/** One boot of a server. */
export interface Boot {
  /** From 1. */
  readonly epoch: number;
  /** 32 hex digits, random: tells a repeat of a boot from the boot of a copy. */
  readonly nonce: string;
}

/** The boot of this server, as its disk has it. */
export interface OwnBoot extends Boot {
  /** Whether a process of it was admitted, so that it may have promised something. */
  readonly isAdmitted: boolean;
}

/**
 * The boot that a process begins with. It counts up only from an admitted one; any other one is tried again: else a
 * disk that was refused would count up until it is believed (ADR 0101).
 * @param last - What the disk holds; null for a server that never started.
 */
export function nextBoot(last: OwnBoot | null, drawNonce: () => string): OwnBoot {
  if (last?.isAdmitted === false) return last;
  return { epoch: (last?.epoch ?? 0) + 1, nonce: drawNonce(), isAdmitted: false };
}

/** What a peer makes of a boot: to be remembered and then confirmed, to be confirmed again, or refused. */
export type BootVerdict = 'New' | 'Known' | 'Refused';

/**
 * Judges a boot that a peer is asked to confirm.
 * @param heard - The last boot of that server that was confirmed here; undefined when none was.
 */
export function judgeBoot(heard: Boot | undefined, asked: Boot): BootVerdict {
  if (heard === undefined || asked.epoch > heard.epoch) return 'New';
  return asked.epoch === heard.epoch && asked.nonce === heard.nonce ? 'Known' : 'Refused';
}
