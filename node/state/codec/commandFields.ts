/**
 * What each command consists of on the wire, after the version and type bytes. Table: docs/metadata-format.md.
 * A codec never changes once released; a changed command gets a new type number.
 */
import type { ByteReader, ByteWriter } from '../../../base/bytes.ts';
import { logIndex } from '../../../base/units.ts';
import type { LogIndex } from '../../../base/units.ts';
import type {
  CommandOf,
  CommandType,
  CommittedPosition,
  OpenPlan,
  PositionsCommit,
  SealExpectation,
} from '../commands.ts';
import {
  DIGEST_BYTES,
  readConfig,
  readHex,
  readIdentifier,
  readLossy,
  readNode,
  readNodeId,
  readOffset,
  readPlace,
  readPlaces,
  readReplication,
  readSegmentId,
  writeConfig,
  writeHex,
  writeIdentifier,
  writeLossy,
  writeNode,
  writePlace,
  writePlaces,
  writeReplication,
} from './fields.ts';

/** How one command is written and read. */
export interface FieldCodec<T extends CommandType> {
  write(writer: ByteWriter, command: CommandOf<T>): void;
  read(reader: ByteReader): Omit<CommandOf<T>, 'type'>;
}

const SEAL_FROM_OPEN = 1;
const SEAL_FROM_RECOVERING = 2;

function writePlan(writer: ByteWriter, plan: OpenPlan): void {
  writeIdentifier(writer, plan.token);
  writePlace(writer, plan.leader);
  writer.u64(plan.leaderBootEpoch);
  writePlaces(writer, plan.ensemble);
}

function readPlan(reader: ByteReader): OpenPlan {
  return {
    token: readIdentifier(reader),
    leader: readPlace(reader),
    leaderBootEpoch: reader.u64(),
    ensemble: readPlaces(reader),
  };
}

function writeExpectation(writer: ByteWriter, expected: SealExpectation): void {
  if (expected.state === 'OPEN') {
    writer.u8(SEAL_FROM_OPEN);
    writeIdentifier(writer, expected.token);
  } else {
    writer.u8(SEAL_FROM_RECOVERING).u64(expected.epoch);
  }
}

function readExpectation(reader: ByteReader): SealExpectation {
  const kind = reader.u8();
  if (kind === SEAL_FROM_OPEN) return { state: 'OPEN', token: readIdentifier(reader) };
  if (kind === SEAL_FROM_RECOVERING) return { state: 'RECOVERING', epoch: reader.u64() };
  return reader.fail(`a seal expects state ${kind}`);
}

function writePosition(writer: ByteWriter, position: CommittedPosition): void {
  writer.text(position.topic);
  writer.optional(position.topicId, (w, id) => w.u64(id));
  writer.u32(position.partition).u64(position.offset);
}

function readPosition(reader: ByteReader): CommittedPosition {
  const topic = reader.text();
  const topicId = reader.optional((r) => r.u64());
  const partition = reader.u32();
  const offset = readOffset(reader);
  return { topic, ...(topicId === undefined ? {} : { topicId }), partition, offset };
}

function readLogIndex(reader: ByteReader): LogIndex {
  return logIndex(reader.u64());
}

function writeCommit(writer: ByteWriter, commit: PositionsCommit): void {
  writer.text(commit.group).optional(commit.unchangedSince, (w, index) => w.u64(index));
  writer.list(commit.positions, writePosition);
}

function readCommit(reader: ByteReader): PositionsCommit {
  const group = reader.text();
  const unchangedSince = reader.optional(readLogIndex);
  const positions = reader.list(readPosition);
  return { group, ...(unchangedSince === undefined ? {} : { unchangedSince }), positions };
}

/** Segments and places: PlanCopies and DropCopies. */
const COPIES: FieldCodec<'PlanCopies'> & FieldCodec<'DropCopies'> = {
  write(writer, command) {
    writer.u64(command.segmentId);
    writePlaces(writer, command.places);
  },
  read: (reader) => ({ segmentId: readSegmentId(reader), places: readPlaces(reader) }),
};

const CREATE_TOPIC: FieldCodec<'CreateTopic'> = {
  write(writer, command) {
    writer.text(command.name);
    writeReplication(writer, command.replication);
    writer.list(command.plans, writePlan).u64(command.nowMs);
  },
  read: (reader) => ({
    name: reader.text(),
    replication: readReplication(reader),
    plans: reader.list(readPlan),
    nowMs: reader.u64(),
  }),
};

const SEAL_AND_OPEN: FieldCodec<'SealAndOpen'> = {
  write(writer, command) {
    writer.u64(command.segmentId);
    writeExpectation(writer, command.expected);
    writer.u64(command.endOffset);
    writeHex(writer, command.digest, DIGEST_BYTES);
    writePlaces(writer, command.replicas);
    writeLossy(writer, command.lossy);
    writePlan(writer, command.next);
    writer.u64(command.nowMs);
  },
  read: (reader) => ({
    segmentId: readSegmentId(reader),
    expected: readExpectation(reader),
    endOffset: readOffset(reader),
    digest: readHex(reader, DIGEST_BYTES),
    replicas: readPlaces(reader),
    lossy: readLossy(reader),
    next: readPlan(reader),
    nowMs: reader.u64(),
  }),
};

const REPLACE_REPLICAS: FieldCodec<'ReplaceReplicas'> = {
  write(writer, command) {
    writer.u64(command.segmentId);
    writePlaces(writer, command.expected);
    writePlaces(writer, command.replicas);
  },
  read: (reader) => ({
    segmentId: readSegmentId(reader),
    expected: readPlaces(reader),
    replicas: readPlaces(reader),
  }),
};

const ADVANCE_LOG_START: FieldCodec<'AdvanceLogStart'> = {
  write(writer, command) {
    writer.text(command.topic).u64(command.topicId).u32(command.partition);
    writer.u64(command.logStartOffset);
  },
  read: (reader) => ({
    topic: reader.text(),
    topicId: reader.u64(),
    partition: reader.u32(),
    logStartOffset: readOffset(reader),
  }),
};

/** The fields of every command. */
export const FIELD_CODECS: { readonly [T in CommandType]: FieldCodec<T> } = {
  Bootstrap: {
    write(writer, command) {
      writeIdentifier(writer, command.clusterId);
      writeConfig(writer, command.config);
    },
    read: (reader) => ({ clusterId: readIdentifier(reader), config: readConfig(reader) }),
  },
  RegisterNode: {
    write(writer, command) {
      writeNode(writer, command.node);
      writer.u64(command.bootEpoch);
      writeIdentifier(writer, command.bootNonce);
    },
    read: (reader) => ({
      node: readNode(reader),
      bootEpoch: reader.u64(),
      bootNonce: readIdentifier(reader),
    }),
  },
  MarkDiskLost: {
    write: (writer, command) => writeIdentifier(writer, command.diskId),
    read: (reader) => ({ diskId: readIdentifier(reader) }),
  },
  RemoveNode: {
    write: (writer, command) => void writer.u32(command.nodeId),
    read: (reader) => ({ nodeId: readNodeId(reader) }),
  },
  CreateTopic: CREATE_TOPIC,
  DeleteTopic: {
    write: (writer, command) => void writer.text(command.name).u64(command.topicId),
    read: (reader) => ({ name: reader.text(), topicId: reader.u64() }),
  },
  BeginRecovery: {
    write: (writer, command) => void writer.u64(command.segmentId).u64(command.epoch),
    read: (reader) => ({ segmentId: readSegmentId(reader), epoch: reader.u64() }),
  },
  SealAndOpen: SEAL_AND_OPEN,
  ReplaceReplicas: REPLACE_REPLICAS,
  PlanCopies: COPIES,
  DropCopies: COPIES,
  AdvanceLogStart: ADVANCE_LOG_START,
  ConfirmDeleted: {
    write(writer, command) {
      writer.list(command.segmentIds, (w, id) => w.u64(id));
      writeIdentifier(writer, command.diskId);
    },
    read: (reader) => ({
      segmentIds: reader.list(readSegmentId),
      diskId: readIdentifier(reader),
    }),
  },
  CommitPositions: {
    write: (writer, command) => void writer.list(command.commits, writeCommit),
    read: (reader) => ({ commits: reader.list(readCommit) }),
  },
  DeleteGroup: {
    write: (writer, command) => void writer.text(command.group).u64(command.unchangedSince),
    read: (reader) => ({ group: reader.text(), unchangedSince: readLogIndex(reader) }),
  },
  AllocateProducerIds: {
    write: (writer, command) => void writer.u32(command.count),
    read: (reader) => ({ count: reader.u32() }),
  },
  SetConfig: {
    write: (writer, command) => writeConfig(writer, command.config),
    read: (reader) => ({ config: readConfig(reader) }),
  },
};
