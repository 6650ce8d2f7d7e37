/**
 * Who votes and who listens: questions about a configuration, its changes, and its bytes.
 *
 * Payload of a `Configuration` entry, also part of snapshots:
 *
 * | bytes | what                                        |
 * |-------|---------------------------------------------|
 * | 1     | version, 1                                  |
 * | 4     | count of voters                             |
 * | ...   | each: id (u32 length, UTF-8), address (same) |
 * | 4     | count of learners                           |
 * | ...   | the same                                    |
 */
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { WalrusError } from '../../base/errors.ts';
import type {
  Configuration,
  IndexedConfiguration,
  Member,
  MembershipChange,
  ServerId,
} from './types.ts';

const CONFIGURATION_VERSION = 1;
/** More members than any cluster has; bounds what a message can make us allocate. */
const MEMBERS_MAX = 1024;
const SERVER_ID_BYTES_MAX = 128;
const ADDRESS_BYTES_MAX = 512;

/** The configuration of a server that has not heard of its cluster yet. */
export const EMPTY_CONFIGURATION: Configuration = { voters: [], learners: [] };

export function isVoter(configuration: Configuration, id: ServerId): boolean {
  return configuration.voters.some((member) => member.id === id);
}

export function isLearner(configuration: Configuration, id: ServerId): boolean {
  return configuration.learners.some((member) => member.id === id);
}

/** All members, voters first. */
export function membersOf(configuration: Configuration): Member[] {
  return [...configuration.voters, ...configuration.learners];
}

/** Whether a configuration is newer than another one: what a later leader wrote is newer than an older term's. */
export function isNewerConfiguration(a: IndexedConfiguration, b: IndexedConfiguration): boolean {
  return a.term > b.term || (a.term === b.term && a.index > b.index);
}

/** How many of the voters are more than half of them. */
export function majority(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1;
}

/** The largest value that a majority of the voters has reached. */
export function quorumValue(values: readonly number[]): number {
  const descending = [...values].sort((a, b) => b - a);
  return descending[majority(values.length) - 1] ?? 0;
}

/** A configuration with one change made, or why it cannot be made. */
export type ChangeResult =
  | { readonly type: 'Changed'; readonly configuration: Configuration }
  | { readonly type: 'Refused'; readonly message: string };

function refused(message: string): ChangeResult {
  return { type: 'Refused', message };
}

function without(members: readonly Member[], id: ServerId): Member[] {
  return members.filter((member) => member.id !== id);
}

/** Makes one change: at most one voter comes or goes, so old and new majorities overlap (thesis §4.1). */
export function changeConfiguration(
  configuration: Configuration,
  change: MembershipChange,
): ChangeResult {
  const { voters, learners } = configuration;
  switch (change.type) {
    case 'AddLearner': {
      const { id } = change.member;
      if (isVoter(configuration, id) || isLearner(configuration, id))
        return refused(`Cannot add learner ${id}: it is a member already`);
      return changed(voters, [...learners, change.member]);
    }
    case 'PromoteLearner': {
      const member = learners.find((learner) => learner.id === change.id);
      if (member === undefined) return refused(`Cannot promote ${change.id}: it is not a learner`);
      return changed([...voters, member], without(learners, change.id));
    }
    case 'DemoteVoter': {
      const member = voters.find((voter) => voter.id === change.id);
      if (member === undefined) return refused(`Cannot demote ${change.id}: it is not a voter`);
      if (voters.length === 1) return refused(`Cannot demote ${change.id}: it is the only voter`);
      return changed(without(voters, change.id), [...learners, member]);
    }
    case 'RemoveServer':
      return removeServer(configuration, change.id);
  }
}

function removeServer(configuration: Configuration, id: ServerId): ChangeResult {
  const { voters, learners } = configuration;
  if (isLearner(configuration, id)) return changed(voters, without(learners, id));
  if (!isVoter(configuration, id)) return refused(`Cannot remove ${id}: it is not a member`);
  if (voters.length === 1) return refused(`Cannot remove ${id}: it is the only voter`);
  return changed(without(voters, id), learners);
}

function changed(voters: readonly Member[], learners: readonly Member[]): ChangeResult {
  if (voters.length + learners.length > MEMBERS_MAX)
    return refused(`Cannot have more than ${MEMBERS_MAX} members`);
  return { type: 'Changed', configuration: { voters, learners } };
}

function writeMember(writer: ByteWriter, member: Member): void {
  writer.text(member.id).text(member.address);
}

/** Reads a server id, bounded in length. */
export function readServerId(reader: ByteReader): ServerId {
  const id = reader.text();
  if (id.length > SERVER_ID_BYTES_MAX || !/^[1-9][0-9]*\/./.test(id))
    reader.fail('a server id must be nodeId/diskId');
  return id as ServerId;
}

function readMember(reader: ByteReader): Member {
  const id = readServerId(reader);
  const address = reader.text();
  if (address.length > ADDRESS_BYTES_MAX) reader.fail('an address is too long');
  return { id, address };
}

function readMembers(reader: ByteReader): Member[] {
  const members = reader.list(readMember);
  if (members.length > MEMBERS_MAX) reader.fail('it has too many members');
  return members;
}

export function writeConfiguration(writer: ByteWriter, configuration: Configuration): void {
  writer.u8(CONFIGURATION_VERSION);
  writer.list(configuration.voters, writeMember).list(configuration.learners, writeMember);
}

/** @throws {WalrusError} UNSUPPORTED_VERSION or MALFORMED. */
export function readConfiguration(reader: ByteReader): Configuration {
  const version = reader.u8();
  if (version !== CONFIGURATION_VERSION)
    throw new WalrusError(
      'UNSUPPORTED_VERSION',
      `Cannot read a Raft configuration of version ${version}: this build knows ${CONFIGURATION_VERSION}`,
    );
  const voters = readMembers(reader);
  const learners = readMembers(reader);
  const ids = new Set([...voters, ...learners].map((member) => member.id));
  if (ids.size !== voters.length + learners.length) reader.fail('a member is named twice');
  return { voters, learners };
}

/** The payload of a `Configuration` entry. */
export function encodeConfiguration(configuration: Configuration): Uint8Array {
  const writer = new ByteWriter();
  writeConfiguration(writer, configuration);
  return writer.finish();
}

/** @throws {WalrusError} UNSUPPORTED_VERSION or MALFORMED. */
export function decodeConfiguration(payload: Uint8Array): Configuration {
  const reader = new ByteReader(payload, 'Raft configuration');
  const configuration = readConfiguration(reader);
  reader.end();
  return configuration;
}
