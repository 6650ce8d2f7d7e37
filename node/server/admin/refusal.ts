/** Refusals of the admin API: a failure with a reason in its details, which crosses the peer protocol with it. */
import { WalrusError } from '../../../base/errors.ts';
import type { ErrorCode } from '../../../base/errors.ts';
import { REFUSAL_REASONS } from '../../../protocol/admin/types.ts';
import type { AdminError, RefusalReason } from '../../../protocol/admin/types.ts';

/** What each reason is as a failure, and as the status of an http answer. */
const REASONS: Readonly<
  Record<RefusalReason, { readonly code: ErrorCode; readonly status: number }>
> = {
  NoLeader: { code: 'METADATA_UNAVAILABLE', status: 503 },
  StaleEpoch: { code: 'CONFLICT', status: 409 },
  UnknownNode: { code: 'INVALID_MEMBERSHIP', status: 404 },
  MetadataQuorum: { code: 'CONFLICT', status: 409 },
  SegmentQuorum: { code: 'CONFLICT', status: 409 },
  AnotherNodeIsDown: { code: 'CONFLICT', status: 409 },
  LastWholeCopy: { code: 'CONFLICT', status: 409 },
  StillLeading: { code: 'TIMED_OUT', status: 503 },
  NotEnoughNodes: { code: 'INVALID_MEMBERSHIP', status: 409 },
  AlreadyBootstrapped: { code: 'WRONG_CLUSTER', status: 409 },
  OtherDisk: { code: 'DISK_REFUSED', status: 409 },
};

const BAD_REQUEST = 400;
const CONFLICT = 409;
const UNAVAILABLE = 503;

/** A refusal for a reason. */
export function refusal(reason: RefusalReason, message: string, cause?: unknown): WalrusError {
  return new WalrusError(REASONS[reason].code, message, { details: { reason }, cause });
}

/** A failure as an http answer. */
export function answerOf(error: WalrusError): {
  readonly status: number;
  readonly body: AdminError;
} {
  const { code, message } = error;
  const named = error.details['reason'];
  const reason = REFUSAL_REASONS.find((each) => each === named) ?? reasonOf(code);
  return { status: statusOf(error, reason), body: { code, reason, message } };
}

function reasonOf(code: ErrorCode): RefusalReason | null {
  return code === 'METADATA_UNAVAILABLE' || code === 'NOT_LEADER' ? 'NoLeader' : null;
}

function statusOf({ code, retriable }: WalrusError, reason: RefusalReason | null): number {
  if (reason !== null) return REASONS[reason].status;
  if (code === 'MALFORMED') return BAD_REQUEST;
  return retriable && code !== 'CONFLICT' ? UNAVAILABLE : CONFLICT;
}
