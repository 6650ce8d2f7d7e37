/** What names and identifiers look like. */
import { MAX_LABEL_LENGTH, MAX_NAME_LENGTH } from '../limits.ts';

/** 32 lower-case hex digits: a cluster id, a disk id or a session token. */
export function isIdentifier(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

/** 16 lower-case hex digits. */
export function isDigest(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}

/** Kafka's rule: 1..249 of [A-Za-z0-9._-], neither "." nor "..". */
export function isTopicName(name: string): boolean {
  if (name.length > MAX_NAME_LENGTH || name === '.' || name === '..') return false;
  return /^[A-Za-z0-9._-]+$/.test(name);
}

/** 1..249 characters, none of them a control character or half of a surrogate pair. */
export function isGroupName(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && /^[^\p{Cc}\p{Cs}]+$/u.test(name);
}

/** Text that people and addresses are made of; may be empty. */
export function isLabel(text: string): boolean {
  return text.length <= MAX_LABEL_LENGTH && /^[^\p{Cc}\p{Cs}]*$/u.test(text);
}
