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
 * Answer: nodeId u64 and diskId 16 bytes of the one who answers, process 16 bytes as it was asked, optional text: why
 * it refuses.
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

export interface BootResponse {
  readonly nodeId: NodeId;
  readonly diskId: string;
  readonly process: string;
  /** For people; absent when the boot is confirmed. */
  readonly refusal: string | undefined;
}

function writeId(writer: ByteWriter, id: string): ByteWriter {
  return writer.raw(fromHex(id));
}

function readId(reader: ByteReader): string {
  return toHex(reader.raw(ID_BYTES));
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
  },
  readResponse: (r) => ({
    nodeId: readNodeId(r),
    diskId: readId(r),
    process: readId(r),
    refusal: r.optional((item) => item.text()),
  }),
};
