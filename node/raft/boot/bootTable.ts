/**
 * The durable half of admission (ADR 0121): the boot of this server, and the last boot that it has confirmed of every
 * other one. One file, `boots`, in the directory of the Raft log, with two slots, 32 KiB apart. Little-endian.
 *
 * | offset | bytes | what                                                      |
 * |--------|-------|-----------------------------------------------------------|
 * | 0      | 8     | magic, `WALRBOOT`                                         |
 * | 8      | 4     | CRC-32C of bytes 12 to the end of the table               |
 * | 12     | 4     | format version, 1                                         |
 * | 16     | 4     | length of the table                                       |
 * | 20     | 8     | how often the table was written                           |
 * | 28     | 8     | epoch of this server's boot                               |
 * | 36     | 16    | its nonce                                                 |
 * | 52     | 4     | 1: it was admitted, else 0                                |
 * | 56     | 4     | how many servers were heard of, the oldest news first     |
 * | 60     | ...   | each: id (u32 length, UTF-8), epoch (8), nonce (16)        |
 *
 * A new state goes to the older slot and is synced; then to the other one as well, which the next sync takes along.
 * A torn write leaves the slot that is whole; a slot that is damaged later has a twin. The file is made at its full
 * length, so that a full disk cannot keep a server from confirming.
 */
import { assert } from '../../../base/assert.ts';
import { ByteReader, ByteWriter, fromHex, toHex } from '../../../base/bytes.ts';
import { crc32c } from '../../../base/crc32c.ts';
import type { Disk, DiskFile } from '../../../base/disk.ts';
import { WalrusError } from '../../../base/errors.ts';
import type { ServerId } from '../types.ts';
import type { Boot, OwnBoot } from './boot.ts';

export const BOOT_TABLE_HEADER_BYTES = 60;
export const BOOT_TABLE_SLOT_BYTES = 32 * 1024;
/** Servers that are remembered: more than any cluster has. The oldest news makes room. */
export const HEARD_COUNT_MAX = 200;
/** Of a server id; with the epoch and the nonce, `HEARD_COUNT_MAX` of them fit into a slot. */
const ID_BYTES_MAX = 128;
const NONCE_BYTES = 16;
const MAGIC = 0x54_4f_4f_42_52_4c_41_57n; // "WALRBOOT", first byte lowest
const FORMAT_VERSION = 1;
const NAME = 'boots';
const TEMPORARY_NAME = 'temporary-boots';
/** The files that a server without a table cannot have. */
const LOG_NAME = /^(log|snapshot)-/;

/** What a slot holds. */
export interface BootTableState {
  readonly writes: number;
  readonly own: OwnBoot;
  readonly heard: ReadonlyMap<ServerId, Boot>;
}

/** The bytes of a table. */
export function encodeBootTable({ writes, own, heard }: BootTableState): Uint8Array {
  const writer = new ByteWriter(1024).u64(0).u32(0).u32(FORMAT_VERSION).u32(0);
  writer
    .u64(writes)
    .u64(own.epoch)
    .raw(fromHex(own.nonce))
    .u32(own.isAdmitted ? 1 : 0);
  writer.list([...heard], (entry, [id, boot]) => {
    assert(id.length <= ID_BYTES_MAX, 'A server id fits into the table of boots');
    entry.text(id).u64(boot.epoch).raw(fromHex(boot.nonce));
  });
  const bytes = writer.finish();
  assert(bytes.length <= BOOT_TABLE_SLOT_BYTES, 'A table of boots fits into its slot');
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, MAGIC, true);
  view.setUint32(16, bytes.length, true);
  view.setUint32(8, crc32c(bytes.subarray(12)), true);
  return bytes;
}

/** What a slot holds; null when it is damaged. @throws {WalrusError} UNSUPPORTED_VERSION */
export function decodeBootTable(slot: Uint8Array): BootTableState | null {
  if (slot.length < BOOT_TABLE_HEADER_BYTES) return null;
  const view = new DataView(slot.buffer, slot.byteOffset, slot.byteLength);
  const length = view.getUint32(16, true);
  const isWhole =
    view.getBigUint64(0, true) === MAGIC &&
    length >= BOOT_TABLE_HEADER_BYTES &&
    length <= slot.length &&
    view.getUint32(8, true) === crc32c(slot.subarray(12, length));
  if (!isWhole) return null;
  const version = view.getUint32(12, true);
  if (version !== FORMAT_VERSION)
    throw new WalrusError(
      'UNSUPPORTED_VERSION',
      `Cannot open the table of boots: it has format version ${version}, this build knows ${FORMAT_VERSION}`,
    );
  const reader = new ByteReader(slot.subarray(20, length), 'table of boots');
  const writes = reader.u64();
  const own = { ...readBoot(reader), isAdmitted: reader.u32() === 1 };
  const heard = reader.list((entry) => [entry.text() as ServerId, readBoot(entry)] as const);
  reader.end();
  return { writes, own, heard: new Map(heard) };
}

function readBoot(reader: ByteReader): Boot {
  return { epoch: reader.u64(), nonce: toHex(reader.raw(NONCE_BYTES)) };
}

/** The table of one server. Everything is durable when its call returns; a failure of the disk is final. */
export class BootTable {
  readonly #file: DiskFile;
  #nextSlot: 0 | 1;
  #state: BootTableState;

  private constructor(file: DiskFile, state: BootTableState, nextSlot: 0 | 1) {
    this.#file = file;
    this.#state = state;
    this.#nextSlot = nextSlot;
  }

  /**
   * Opens the table and begins a boot: the next one, or the last one again. Makes the table of a server that never
   * started.
   * @param begin - The boot that follows what the disk holds; null when it holds none.
   * @throws {WalrusError} CORRUPT_SEGMENT when the table is damaged, or is missing beside a log; UNSUPPORTED_VERSION,
   * DISK_FAILED, DISK_FULL.
   */
  static begin(disk: Disk, directory: string, begin: (last: OwnBoot | null) => OwnBoot): BootTable {
    const path = `${directory}/${NAME}`;
    if (!disk.exists(path)) {
      if (disk.list(directory).some((name) => LOG_NAME.test(name)))
        throw damaged(`${path} is missing beside a log`);
      const state = { writes: 1, own: begin(null), heard: new Map() };
      return new BootTable(create(disk, directory, state), state, 1);
    }
    const file = disk.open(path);
    file.sync(); // what is read below counts
    const [first, second] = [readSlot(file, 0), readSlot(file, 1)];
    const newest = (second?.writes ?? -1) > (first?.writes ?? -1) ? second : first;
    if (newest === null) throw damaged(`both halves of ${path} are damaged`);
    const table = new BootTable(file, newest, newest === first ? 1 : 0);
    table.#save({ own: begin(newest.own) });
    return table;
  }

  get own(): OwnBoot {
    return this.#state.own;
  }

  /** The last boot of another server that was confirmed here. */
  heard(id: ServerId): Boot | undefined {
    return this.#state.heard.get(id);
  }

  /** Remembers a boot of another server. */
  hear(id: ServerId, boot: Boot): void {
    const heard = new Map(this.#state.heard);
    heard.delete(id);
    heard.set(id, boot);
    for (const oldest of heard.keys()) {
      if (heard.size <= HEARD_COUNT_MAX) break;
      heard.delete(oldest);
    }
    this.#save({ heard });
  }

  /** Notes that this server's boot was admitted: the next one counts up. */
  noteAdmitted(): void {
    if (!this.#state.own.isAdmitted) this.#save({ own: { ...this.#state.own, isAdmitted: true } });
  }

  close(): void {
    this.#file.close();
  }

  #save(change: Partial<Pick<BootTableState, 'own' | 'heard'>>): void {
    const state = { ...this.#state, ...change, writes: this.#state.writes + 1 };
    const bytes = encodeBootTable(state);
    const slot = this.#nextSlot;
    this.#file.write(bytes, slot * BOOT_TABLE_SLOT_BYTES);
    this.#file.sync();
    this.#file.write(bytes, (1 - slot) * BOOT_TABLE_SLOT_BYTES);
    this.#state = state;
    this.#nextSlot = slot === 0 ? 1 : 0;
  }
}

function create(disk: Disk, directory: string, state: BootTableState): DiskFile {
  disk.makeDirectory(directory);
  const temporary = `${directory}/${TEMPORARY_NAME}`;
  if (disk.exists(temporary)) disk.remove(temporary);
  const file = disk.create(temporary);
  file.write(new Uint8Array(2 * BOOT_TABLE_SLOT_BYTES), 0);
  file.write(encodeBootTable(state), 0);
  file.sync();
  disk.rename(temporary, `${directory}/${NAME}`);
  disk.syncDirectory(directory);
  return file;
}

function readSlot(file: DiskFile, slot: number): BootTableState | null {
  const bytes = new Uint8Array(BOOT_TABLE_SLOT_BYTES);
  const count = file.read(bytes, slot * BOOT_TABLE_SLOT_BYTES);
  return decodeBootTable(bytes.subarray(0, count));
}

function damaged(problem: string): WalrusError {
  return new WalrusError(
    'CORRUPT_SEGMENT',
    `Cannot open the Raft log: ${problem}, so that nobody can tell which starts of other nodes it has ` +
      'confirmed; the disk counts as lost: empty the data directory and start with --replace-disk',
  );
}
