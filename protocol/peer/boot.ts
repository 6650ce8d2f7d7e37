/**
 * Boot: a process asks a member to confirm that its disk is in the state that its server has promised by (ADR 0121).
 * Sent to every member before the first promise; the answer names who answers, since a node may have a new disk.
 *
 * | field | type | |
 * |---|---|---|
 * | nodeId | u64 | of the server that asks |
 * | diskId | 16 bytes | |
 * | epoch | u64 | its boot, beside its Raft log |
 * | nonce | 16 bytes | |
 * | diskBootEpoch | u64 | the boot of its disk (ADR 0101), which the metadata may know |
 * | diskBootNonce | 16 bytes | |
 * | process | 16 bytes | of this process only |
 *
 * Answer:
 *
 * | field | type | |
 * |---|---|---|
 * | nodeId | u64 | of the one who answers |
 * | diskId | 16 bytes | |
 * | process | 16 bytes | as it was asked |
 * | refusal | optional text | why it refuses |
 * | configurationTerm | u64 | of the newest configuration that it knows, which need not be committed |
 * | configurationIndex | u64 | 0: it knows none |
 * | voters | list (u64 nodeId, 16 bytes diskId, text address) | addresses as it knows them |
 * | learners | the same | |
 */
import type { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { fromHex, toHex } from '../../base/bytes.ts';
import type { NodeId } from '../../base/units.ts';
import { INTERNAL_API_KEY_MIN } from '../client/apis.ts';
import { readNodeId } from '../client/codec.ts';
import type { Api } from '../client/codec.ts';

export const BOOT_REQUEST_BYTES = 88;
const ID_BYTES = 16;

/** Ids and nonces are 32 hex digits. */
export interface BootRequest {
  readonly nodeId: NodeId;
  readonly diskId: string;
  readonly epoch: number;
  readonly nonce: string;
  readonly diskBootEpoch: number;
  readonly diskBootNonce: string;
  readonly process: string;
}

/** A member of a configuration. */
export interface BootMember {
  readonly nodeId: NodeId;
  readonly diskId: string;
  readonly address: string;
}

export interface BootResponse {
  readonly nodeId: NodeId;
  readonly diskId: string;
  readonly process: string;
  /** For people; absent when the boot is confirmed. */
  readonly refusal: string | undefined;
  readonly configurationTerm: number;
  readonly configurationIndex: number;
  readonly voters: readonly BootMember[];
  readonly learners: readonly BootMember[];
}

function writeId(writer: ByteWriter, id: string): ByteWriter {
  return writer.raw(fromHex(id));
}

function readId(reader: ByteReader): string {
  return toHex(reader.raw(ID_BYTES));
}

function writeMember(writer: ByteWriter, { nodeId, diskId, address }: BootMember): void {
  writeId(writer.u64(nodeId), diskId).text(address);
}

function readMember(reader: ByteReader): BootMember {
  return { nodeId: readNodeId(reader), diskId: readId(reader), address: reader.text() };
}

/** A server that is named twice would count twice. */
function checkMembers(reader: ByteReader, response: BootResponse): BootResponse {
  const members = [...response.voters, ...response.learners];
  const ids = new Set(members.map(({ nodeId, diskId }) => `${nodeId}/${diskId}`));
  if (ids.size !== members.length) reader.fail('a member is named twice');
  return response;
}

export const BOOT: Api<BootRequest, BootResponse> = {
  apiKey: INTERNAL_API_KEY_MIN + 12,
  name: 'Boot',
  minVersion: 0,
  maxVersion: 0,
  writeRequest: (w, request) => {
    writeId(w.u64(request.nodeId), request.diskId).u64(request.epoch);
    writeId(w, request.nonce).u64(request.diskBootEpoch);
    writeId(writeId(w, request.diskBootNonce), request.process);
  },
  readRequest: (r) => ({
    nodeId: readNodeId(r),
    diskId: readId(r),
    epoch: r.u64(),
    nonce: readId(r),
    diskBootEpoch: r.u64(),
    diskBootNonce: readId(r),
    process: readId(r),
  }),
  writeResponse: (w, response) => {
    writeId(writeId(w.u64(response.nodeId), response.diskId), response.process);
    w.optional(response.refusal, (item, text) => item.text(text));
    w.u64(response.configurationTerm).u64(response.configurationIndex);
    w.list(response.voters, writeMember).list(response.learners, writeMember);
  },
  readResponse: (r) =>
    checkMembers(r, {
      nodeId: readNodeId(r),
      diskId: readId(r),
      process: readId(r),
      refusal: r.optional((item) => item.text()),
      configurationTerm: r.u64(),
      configurationIndex: r.u64(),
      voters: r.list(readMember),
      learners: r.list(readMember),
    }),
};
