/**
 * Snapshot files: `snapshot-` and the index in 16 hex digits. Written under a temporary name, synced, renamed.
 *
 * | offset | bytes | what                                             |
 * |--------|-------|--------------------------------------------------|
 * | 0      | 8     | magic, `WALRSNAP`                                |
 * | 8      | 4     | CRC-32C of bytes 12 to the end of the header      |
 * | 12     | 4     | format version, 1                                |
 * | 16     | 4     | length of the header                             |
 * | 20     | 8     | last included index                              |
 * | 28     | 8     | its term                                         |
 * | 36     | 8     | index of the entry that set the configuration    |
 * | 44     | 8     | length of the data                               |
 * | 52     | 4     | CRC-32C of the data                              |
 * | 56     | ...   | configuration (configuration.ts), then the data  |
 */
import { ByteReader, ByteWriter } from '../../../base/bytes.ts';
import { crc32c } from '../../../base/crc32c.ts';
import type { Disk, DiskFile } from '../../../base/disk.ts';
import { isWalrusError, WalrusError } from '../../../base/errors.ts';
import { logIndex, term } from '../../../base/units.ts';
import type { LogIndex } from '../../../base/units.ts';
import { readConfiguration, writeConfiguration } from '../configuration.ts';
import type { SnapshotInfo } from '../snapshotInfo.ts';
import type { Configuration } from '../types.ts';
import { corrupt } from './format.ts';
import { readWhole } from './segmentScan.ts';
import { SnapshotWriter } from './snapshotWriter.ts';

const MAGIC = 0x50_41_4e_53_52_4c_41_57n; // "WALRSNAP", first byte lowest
const FORMAT_VERSION = 1;
const FIXED_BYTES = 56;
/** Of one that has arrived, and of one that is being taken: the two may meet. */
const TEMPORARY_NAME = 'temporary-snapshot';
const TAKING_NAME = 'temporary-own-snapshot';
const NAME = /^snapshot-([0-9a-f]{16})$/;

function pathOf(directory: string, index: LogIndex): string {
  return `${directory}/snapshot-${index.toString(16).padStart(16, '0')}`;
}

function encodedConfiguration(configuration: Configuration): Uint8Array {
  const writer = new ByteWriter();
  writeConfiguration(writer, configuration);
  return writer.finish();
}

function encodeSnapshotHeader(info: SnapshotInfo): Uint8Array {
  const configuration = encodedConfiguration(info.configuration);
  const writer = new ByteWriter().u64(0).u32(0).u32(FORMAT_VERSION);
  writer
    .u32(FIXED_BYTES + configuration.length)
    .u64(info.index)
    .u64(info.term);
  writer.u64(info.configurationIndex).u64(info.sizeBytes).u32(info.checksum);
  writer.raw(configuration);
  const bytes = writer.finish();
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, MAGIC, true);
  view.setUint32(8, crc32c(bytes.subarray(12)), true);
  return bytes;
}

/** Reads what a snapshot is. @throws {WalrusError} CORRUPT_SEGMENT or UNSUPPORTED_VERSION. */
function decodeSnapshotHeader(bytes: Uint8Array, path: string): SnapshotInfo & { start: number } {
  if (bytes.length < FIXED_BYTES) throw corrupt(path, 'it is too short', 0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = view.getUint32(16, true);
  const isIntact =
    view.getBigUint64(0, true) === MAGIC &&
    start >= FIXED_BYTES &&
    start <= bytes.length &&
    view.getUint32(8, true) === crc32c(bytes.subarray(12, start));
  if (!isIntact) throw corrupt(path, 'its header is damaged', 0);
  const version = view.getUint32(12, true);
  if (version !== FORMAT_VERSION)
    throw new WalrusError(
      'UNSUPPORTED_VERSION',
      `Cannot open ${path}: it has format version ${version}, this build knows ${FORMAT_VERSION}`,
    );
  const reader = new ByteReader(bytes.subarray(20, start), 'Raft snapshot');
  const [index, snapshotTerm] = [logIndex(reader.u64()), term(reader.u64())];
  const [configurationIndex, sizeBytes] = [logIndex(reader.u64()), reader.u64()];
  const checksum = reader.u32();
  const configuration = readConfiguration(reader);
  reader.end();
  return {
    index,
    term: snapshotTerm,
    configuration,
    configurationIndex,
    sizeBytes,
    checksum,
    start,
  };
}

/** The snapshots of one directory. */
export class SnapshotFiles {
  readonly #disk: Disk;
  readonly #directory: string;
  /** The indices for which there is a file, ascending. */
  #indices: LogIndex[] = [];

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
    for (const name of disk.list(directory)) {
      const digits = NAME.exec(name)?.[1];
      if (digits !== undefined) this.#indices.push(logIndex(Number.parseInt(digits, 16)));
    }
    for (const name of [TEMPORARY_NAME, TAKING_NAME]) {
      const path = `${directory}/${name}`;
      if (disk.exists(path)) disk.remove(path);
    }
  }

  /**
   * Reads and verifies the newest snapshot; null when there is none.
   * @throws {WalrusError} CORRUPT_SEGMENT when it is damaged.
   */
  loadNewest(): { readonly info: SnapshotInfo; readonly data: Uint8Array } | null {
    const newest = this.#indices.at(-1);
    if (newest === undefined) return null;
    const path = pathOf(this.#directory, newest);
    const bytes = this.#withFile(newest, readWhole);
    const { start, ...info } = decodeSnapshotHeader(bytes, path);
    const data = bytes.subarray(start);
    if (info.index !== newest) throw corrupt(path, 'it belongs under another name', 20);
    if (data.length !== info.sizeBytes || crc32c(data) !== info.checksum)
      throw corrupt(path, 'its data is not what was written', start);
    return { info, data };
  }

  /** Makes a snapshot durable. */
  save(info: SnapshotInfo, data: Uint8Array): void {
    const temporary = `${this.#directory}/${TEMPORARY_NAME}`;
    try {
      const file = this.#disk.create(temporary);
      try {
        const header = encodeSnapshotHeader(info);
        file.write(header, 0);
        file.write(data, header.length);
        file.sync();
      } finally {
        file.close();
      }
    } catch (error) {
      if (isWalrusError(error, 'DISK_FULL') && this.#disk.exists(temporary))
        this.#disk.remove(temporary);
      throw error;
    }
    this.#keep(temporary, info.index);
  }

  #keep(temporary: string, index: LogIndex): void {
    this.#disk.rename(temporary, pathOf(this.#directory, index));
    this.#disk.syncDirectory(this.#directory);
    this.#indices = [...this.#indices.filter((other) => other !== index), index];
    this.#indices.sort((a, b) => a - b);
  }

  /** Begins a snapshot that is written a slice at a time; one at a time. @throws {WalrusError} DISK_FULL, DISK_FAILED */
  begin(configuration: Configuration): SnapshotWriter {
    const headerBytes = FIXED_BYTES + encodedConfiguration(configuration).length;
    return new SnapshotWriter(this.#disk, `${this.#directory}/${TAKING_NAME}`, headerBytes);
  }

  /** Completes a snapshot; its bytes are durable when `done` is called without an error. @throws {WalrusError} DISK_FULL, DISK_FAILED */
  finish(writer: SnapshotWriter, info: SnapshotInfo, done: (error: Error | null) => void): void {
    writer.finish(encodeSnapshotHeader(info), done);
  }

  /** Puts a snapshot whose sync has succeeded in its place. @throws {WalrusError} DISK_FAILED */
  keepFinished(writer: SnapshotWriter, info: SnapshotInfo): void {
    writer.close();
    this.#keep(writer.path, info.index);
  }

  /** Reads a part of a snapshot's data, to send it. */
  read(info: SnapshotInfo, offset: number, lengthBytes: number): Uint8Array {
    return this.#withFile(info.index, (file) => {
      const part = new Uint8Array(lengthBytes);
      const start = encodeSnapshotHeader(info).length;
      const count = file.read(part, start + offset);
      if (count !== lengthBytes)
        throw corrupt(pathOf(this.#directory, info.index), 'it is too short', start + offset);
      return part;
    });
  }

  /** Removes the snapshots that nobody needs; the newest one stays. */
  removeExcept(inUse: ReadonlySet<LogIndex>): void {
    const newest = this.#indices.at(-1);
    for (const index of this.#indices)
      if (index !== newest && !inUse.has(index)) this.#disk.remove(pathOf(this.#directory, index));
    this.#indices = this.#indices.filter((index) => index === newest || inUse.has(index));
  }

  #withFile<T>(index: LogIndex, use: (file: DiskFile) => T): T {
    const file = this.#disk.open(pathOf(this.#directory, index));
    try {
      return use(file);
    } finally {
      file.close();
    }
  }
}
