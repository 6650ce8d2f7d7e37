/**
 * Tar archives (POSIX ustar with pax headers for what does not fit), the same bytes for the same entries: no times, no
 * users, no order but the one given.
 *
 * | bytes | field |
 * |---|---|
 * | 0..99 | name |
 * | 100..107, 108..115, 116..123 | mode, user, group: octal, ended by NUL |
 * | 124..135, 136..147 | size, time: octal, ended by NUL |
 * | 148..155 | checksum: the sum of all bytes, these counted as blanks |
 * | 156 | type: 0 file, 2 symbolic link, 5 directory, x pax header of the next entry |
 * | 157..256 | target of a link |
 * | 257..264 | "ustar", NUL, "00" |
 */

export type TarEntry = {
  /** Relative, without a slash at either end. */
  readonly path: string;
  /** 0 when absent, as the group. */
  readonly owner?: number;
} & (
  | { readonly type: 'file'; readonly mode: number; readonly content: Uint8Array }
  | { readonly type: 'directory'; readonly mode: number }
  | { readonly type: 'link'; readonly target: string }
);

export const TAR_BLOCK_BYTES = 512;
const NAME_BYTES_MAX = 100;
const LINK_MODE = 0o777;
const encoder = new TextEncoder();

/** The chunks of an archive, one after the other. */
export function* tar(entries: Iterable<TarEntry>): Generator<Uint8Array> {
  for (const entry of entries) yield* encodeEntry(entry);
  yield new Uint8Array(2 * TAR_BLOCK_BYTES); // the end
}

function* encodeEntry(entry: TarEntry): Generator<Uint8Array> {
  const name = entry.type === 'directory' ? `${entry.path}/` : entry.path;
  const target = entry.type === 'link' ? entry.target : '';
  const records = [paxRecord('path', name), paxRecord('linkpath', target)].join('');
  if (records !== '') {
    const content = encoder.encode(records);
    const pax = { name: 'pax', target: '', mode: 0o644, owner: 0, size: content.length, type: 'x' };
    yield header(pax);
    yield* padded(content);
  }
  const { owner = 0 } = entry;
  const mode = entry.type === 'link' ? LINK_MODE : entry.mode;
  const size = entry.type === 'file' ? entry.content.length : 0;
  const type = { file: '0', link: '2', directory: '5' }[entry.type];
  yield header({ name, target, mode, owner, size, type });
  if (entry.type === 'file') yield* padded(entry.content);
}

/** A pax record, when the value does not fit into the header: its length includes the digits of itself. */
function paxRecord(key: string, value: string): string {
  if (encoder.encode(value).length <= NAME_BYTES_MAX) return '';
  const rest = ` ${key}=${value}\n`;
  const restBytes = encoder.encode(rest).length;
  let length = restBytes + String(restBytes).length;
  if (String(length).length > String(restBytes).length) length += 1;
  return `${length}${rest}`;
}

interface Header {
  readonly name: string;
  readonly target: string;
  readonly mode: number;
  readonly owner: number;
  readonly size: number;
  readonly type: string;
}

function header({ name, target, mode, owner, size, type }: Header): Uint8Array {
  const block = new Uint8Array(TAR_BLOCK_BYTES);
  const put = (offset: number, bytesMax: number, text: string): void => {
    block.set(encoder.encode(text).subarray(0, bytesMax), offset);
  };
  const putOctal = (offset: number, bytes: number, value: number): void =>
    put(offset, bytes, value.toString(8).padStart(bytes - 1, '0'));
  put(0, NAME_BYTES_MAX, name);
  putOctal(100, 8, mode);
  putOctal(108, 8, owner);
  putOctal(116, 8, owner);
  putOctal(124, 12, size);
  putOctal(136, 12, 0);
  put(148, 8, ' '.repeat(8));
  put(156, 1, type);
  put(157, NAME_BYTES_MAX, target);
  put(257, 8, 'ustar\x0000');
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, 8, `${sum.toString(8).padStart(6, '0')}\0 `);
  return block;
}

function* padded(content: Uint8Array): Generator<Uint8Array> {
  yield content;
  const rest = content.length % TAR_BLOCK_BYTES;
  if (rest > 0) yield new Uint8Array(TAR_BLOCK_BYTES - rest);
}
