/** Names of topics and groups: what may stand in a command, a URL and a file name alike. */
import { WalrusError } from '../base/errors.ts';

export const NAME_MAX_LENGTH = 249;
const NAME = /^[A-Za-z0-9._-]+$/;

/**
 * Says what is wrong with a name of a topic or group.
 * @returns null when it is 1..249 of A-Z, a-z, 0-9, '.', '_' and '-', and neither '.' nor '..'.
 */
export function nameProblem(name: string): string | null {
  if (name.length === 0) return 'it is empty';
  if (name.length > NAME_MAX_LENGTH) return `it is longer than ${NAME_MAX_LENGTH} characters`;
  if (name === '.' || name === '..') return `'.' and '..' are reserved`;
  if (!NAME.test(name)) return `only A-Z, a-z, 0-9, '.', '_' and '-' are allowed`;
  return null;
}

/** @throws {WalrusError} INVALID_TOPIC_NAME */
export function checkTopicName(name: string): void {
  const problem = nameProblem(name);
  if (problem !== null) throw invalidTopicName(name, problem);
}

/** Makes the error for a bad topic name. A long one is cut. */
export function invalidTopicName(name: string, problem: string): WalrusError {
  const shown = name.length > 60 ? `${name.slice(0, 60)}...` : name;
  return new WalrusError('INVALID_TOPIC_NAME', `Invalid topic name "${shown}": ${problem}`);
}
