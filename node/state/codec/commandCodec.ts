/**
 * Commands as bytes in the Raft log.
 *
 * | at | size | field                                         |
 * |---:|-----:|-----------------------------------------------|
 * |  0 |    1 | command version, 1                            |
 * |  1 |    1 | type: see COMMAND_NUMBERS                     |
 * |  2 |      | the command's fields: docs/metadata-format.md |
 *
 * Nothing may follow. The Raft log checksums its entries, so there is no checksum here. A version or type that
 * is not known is refused, never guessed: a node that skipped it would go on with another state than its peers.
 * Whatever `encodeCommand` takes, `decodeCommand` reads: what cannot be read never gets into the log.
 */
import { ByteReader, ByteWriter } from '../../../base/bytes.ts';
import { WalrusError } from '../../../base/errors.ts';
import type { Command, CommandType } from '../commands.ts';
import { FIELD_CODECS } from './commandFields.ts';
import type { FieldCodec } from './commandFields.ts';

/** The version of the layout above. */
export const COMMAND_VERSION = 1;

/**
 * The type byte of each command. Persisted: never changed, never reused (6 was an earlier DeleteTopic, 14 and 18 a
 * CommitPositions, 15 a DeleteGroup).
 */
export const COMMAND_NUMBERS = {
  Bootstrap: 1,
  RegisterNode: 2,
  MarkDiskLost: 3,
  RemoveNode: 4,
  CreateTopic: 5,
  BeginRecovery: 7,
  SealAndOpen: 8,
  ReplaceReplicas: 9,
  PlanCopies: 10,
  DropCopies: 11,
  AdvanceLogStart: 12,
  ConfirmDeleted: 13,
  AllocateProducerIds: 16,
  SetConfig: 17,
  CommitPositions: 19,
  DeleteGroup: 20,
  DeleteTopic: 21,
} as const satisfies Record<CommandType, number>;

const TYPES_BY_NUMBER: ReadonlyMap<number, CommandType> = new Map(
  (Object.keys(COMMAND_NUMBERS) as CommandType[]).map((type) => [COMMAND_NUMBERS[type], type]),
);

/** The codec of a type that is known only at run time: `write` then takes a command of that same type. */
function codecOf(type: CommandType): FieldCodec<CommandType> {
  return FIELD_CODECS[type] as unknown as FieldCodec<CommandType>;
}

/**
 * Writes a command for the Raft log.
 * @throws {WalrusError} MALFORMED when an identifier or digest is not hex of its length.
 */
export function encodeCommand(command: Command): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  writer.u8(COMMAND_VERSION).u8(COMMAND_NUMBERS[command.type]);
  codecOf(command.type).write(writer, command);
  return writer.finish();
}

/**
 * Reads a command from the Raft log.
 * @throws {WalrusError} UNSUPPORTED_VERSION when its version or type is not known, MALFORMED when it is damaged.
 */
export function decodeCommand(bytes: Uint8Array): Command {
  const reader = new ByteReader(bytes, 'metadata command');
  const version = reader.u8();
  if (version !== COMMAND_VERSION) {
    throw new WalrusError(
      'UNSUPPORTED_VERSION',
      `Cannot read a metadata command of version ${version}: this build knows ` +
        `${COMMAND_VERSION}; run the version that the other nodes run`,
    );
  }
  const number = reader.u8();
  const type = TYPES_BY_NUMBER.get(number);
  if (type === undefined) {
    throw new WalrusError(
      'UNSUPPORTED_VERSION',
      `Cannot read a metadata command of type ${number}: this build does not know it; ` +
        'run the version that the other nodes run',
    );
  }
  const command = { type, ...codecOf(type).read(reader) } as Command;
  reader.end();
  return command;
}
