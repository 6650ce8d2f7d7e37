/** What callers are told when something does not take place. */
import { assert } from '../../../base/assert.ts';
import { WalrusError } from '../../../base/errors.ts';
import type { Rejection } from '../events.ts';
import type { ServerId } from '../types.ts';

export function shuttingDown(): WalrusError {
  return new WalrusError('SHUTTING_DOWN', 'Cannot go on: this server is stopping');
}

export function overloaded(what: string): WalrusError {
  return new WalrusError('OVERLOADED', `Cannot ${what}; slow down and try again`);
}

/** For certain not proposed; names the leader when it is known. */
export function notLeader(leaderId: ServerId | null): WalrusError {
  return new WalrusError('NOT_LEADER', 'Cannot propose: this server does not lead the metadata', {
    details: leaderId === null ? {} : { leader: leaderId },
  });
}

/** The error of an event that the core has refused. */
export function errorOf(rejection: Rejection | null): WalrusError {
  assert(rejection !== null, 'What was not proposed was rejected');
  const { reason, message, leaderId } = rejection;
  switch (reason) {
    case 'NOT_LEADER':
      return new WalrusError('NOT_LEADER', message, {
        details: leaderId === null ? {} : { leader: leaderId },
      });
    case 'TRANSFERRING':
      return new WalrusError('OVERLOADED', message);
    case 'INVALID_MEMBERSHIP':
    case 'INVALID_TARGET':
      return new WalrusError('INVALID_MEMBERSHIP', message);
  }
}
