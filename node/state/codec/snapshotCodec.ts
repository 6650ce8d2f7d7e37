/**
 * The whole metadata as bytes. The same state gives the same bytes: everything is in order of its key, and
 * nothing derived is in it.
 *
 * | at      | size | field                                               |
 * |--------:|-----:|-----------------------------------------------------|
 * |       0 |    4 | magic, 0x534d5257 ("WRMS")                          |
 * |       4 |    2 | snapshot version, 2                                 |
 * |       6 |      | sections in order: docs/metadata-format.md          |
 * | end - 4 |    4 | CRC-32C of everything before                        |
 *
 * A place is a u16: the position of its disk in the section of disks. A version that is not known is refused.
 */
import { AssertionError } from '../../../base/assert.ts';
import { ByteReader, ByteWriter, concatBytes } from '../../../base/bytes.ts';
import { crc32c } from '../../../base/crc32c.ts';
import { WalrusError, messageOf } from '../../../base/errors.ts';
import { checkInvariants } from '../invariants.ts';
import { MutableMetadata } from '../mutableMetadata.ts';
import { readSections, sectionSlices } from './snapshotSections.ts';

/** "WRMS", little-endian. */
export const SNAPSHOT_MAGIC = 0x534d5257;
/** The version of the layout above. */
export const SNAPSHOT_VERSION = 2;

const CRC_BYTES = 4;
const HEADER_BYTES = 6;

/** The whole state at the call, as slices that are encoded one by one, so that other work can be done between them. */
export function snapshotSlices(state: MutableMetadata): Generator<Uint8Array> {
  return framed(sectionSlices(state));
}

function* framed(sections: Generator<Uint8Array>): Generator<Uint8Array> {
  const header = new ByteWriter(HEADER_BYTES).u32(SNAPSHOT_MAGIC).u16(SNAPSHOT_VERSION).finish();
  let crc = crc32c(header);
  yield header;
  for (const slice of sections) {
    crc = crc32c(slice, crc);
    yield slice;
  }
  yield new ByteWriter(CRC_BYTES).u32(crc).finish();
}

/** The whole state at once. */
export function encodeSnapshot(state: MutableMetadata): Uint8Array {
  return concatBytes([...snapshotSlices(state)]);
}

/**
 * Reads a whole state, and checks all of its invariants.
 * @throws {WalrusError} UNSUPPORTED_VERSION when its version is not known, MALFORMED when it is damaged.
 */
export function decodeSnapshot(bytes: Uint8Array): MutableMetadata {
  const header = new ByteReader(bytes, 'metadata snapshot');
  if (bytes.length < HEADER_BYTES + CRC_BYTES) header.fail('it is too short');
  if (header.u32() !== SNAPSHOT_MAGIC) header.fail('it does not begin like one');
  const version = header.u16();
  if (version !== SNAPSHOT_VERSION) {
    throw new WalrusError(
      'UNSUPPORTED_VERSION',
      `Cannot read a metadata snapshot of version ${version}: this build knows ` +
        `${SNAPSHOT_VERSION}; run the version that the other nodes run`,
    );
  }
  const end = bytes.length - CRC_BYTES;
  const crc = new ByteReader(bytes.subarray(end), 'metadata snapshot').u32();
  if (crc !== crc32c(bytes.subarray(0, end))) header.fail('its checksum does not match');
  return readState(new ByteReader(bytes.subarray(HEADER_BYTES, end), 'metadata snapshot'));
}

/** A broken invariant in bytes from outside is bad input, not a bug of ours. */
function readState(reader: ByteReader): MutableMetadata {
  const state = new MutableMetadata();
  try {
    readSections(reader, state);
    reader.end();
    checkInvariants(state);
  } catch (error) {
    if (!(error instanceof AssertionError)) throw error;
    throw new WalrusError('MALFORMED', `Cannot read a metadata snapshot: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return state;
}
