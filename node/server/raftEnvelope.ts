/**
 * A Raft message between nodes: servers are disks, so the sender's server id travels with it.
 *
 * | at | size | field |
 * |---|---|---|
 * | 0 | 1 | message kind = 1 (raft) |
 * | 1 | 8 | node id of the sender, u64 |
 * | 9 | 16 | disk id of the sender |
 * | 25 | 16 | disk id of the server that is meant |
 * | 41 | - | the message, as node/raft encodes it |
 */
import { ByteReader, ByteWriter, fromHex, toHex } from '../../base/bytes.ts';
import { nodeId } from '../../base/units.ts';
import { MESSAGE_KIND } from '../../protocol/peer/envelope.ts';
import { diskOfServer, nodeOfServer, serverId } from '../raft/types.ts';
import type { ServerId } from '../raft/types.ts';

export const RAFT_ENVELOPE_BYTES = 41;
const DISK_ID_BYTES = 16;

/** The header that goes before a Raft message's parts. */
export function encodeRaftEnvelope(from: ServerId, to: ServerId): Uint8Array {
  return new ByteWriter(RAFT_ENVELOPE_BYTES)
    .u8(MESSAGE_KIND.RAFT)
    .u64(nodeOfServer(from))
    .raw(fromHex(diskOfServer(from)))
    .raw(fromHex(diskOfServer(to)))
    .finish();
}

export interface RaftEnvelope {
  readonly from: ServerId;
  /** The disk that the message is for: another one in the same node must not take it (DESIGN I3). */
  readonly toDiskId: string;
  readonly message: Uint8Array;
}

/** @throws {WalrusError} MALFORMED */
export function decodeRaftEnvelope(bytes: Uint8Array): RaftEnvelope {
  const reader = new ByteReader(bytes, 'raft envelope');
  reader.u8();
  const node = reader.u64();
  if (node === 0) reader.fail('its node id is 0');
  const from = serverId(nodeId(node), toHex(reader.raw(DISK_ID_BYTES)));
  const toDiskId = toHex(reader.raw(DISK_ID_BYTES));
  return { from, toDiskId, message: reader.raw(reader.remaining) };
}
