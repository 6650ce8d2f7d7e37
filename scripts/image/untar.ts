/** Reads tar archives as image layers have them: those of tar.ts, of Go and of GNU without its own long names. The fields: tar.ts. */
import { TAR_BLOCK_BYTES } from './tar.ts';

export interface TarMember {
  /** Without `./` and slashes at the ends; the root is empty. */
  readonly path: string;
  /** As tar has it: 0 file, 1 hard link, 2 symbolic link, 5 directory. */
  readonly type: string;
  readonly mode: number;
  readonly owner: number;
  readonly group: number;
  /** Of a link. */
  readonly target: string;
  readonly content: Buffer;
}

const USTAR = 'ustar';

export function untar(archive: Buffer): TarMember[] {
  const members: TarMember[] = [];
  let records: ReadonlyMap<string, string> = new Map();
  for (let at = 0; archive[at] !== undefined && archive[at] !== 0;) {
    const header = archive.subarray(at, at + TAR_BLOCK_BYTES);
    if (text(header, 257, 5) !== USTAR) throw new Error(`not a tar archive at byte ${at}`);
    const type = text(header, 156, 1) || '0';
    const bytes = Number(records.get('size') ?? octal(header, 124, 12));
    const start = at + TAR_BLOCK_BYTES;
    const content = archive.subarray(start, start + bytes);
    at = start + Math.ceil(bytes / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
    if (type === 'x') {
      records = readRecords(content);
    } else {
      if (!/[0125]/.test(type)) throw new Error(`a tar archive with an entry of the type ${type}`);
      members.push({ ...readHeader(header, records), type, content });
      records = new Map();
    }
  }
  return members;
}

function readHeader(
  header: Buffer,
  records: ReadonlyMap<string, string>,
): Omit<TarMember, 'type' | 'content'> {
  const prefix = text(header, 345, 155);
  const name = text(header, 0, 100);
  const whole = records.get('path') ?? (prefix === '' ? name : `${prefix}/${name}`);
  return {
    path: whole.replace(/^(\.?\/)+|^\.$/, '').replace(/\/+$/, ''),
    mode: octal(header, 100, 8),
    owner: Number(records.get('uid') ?? octal(header, 108, 8)),
    group: Number(records.get('gid') ?? octal(header, 116, 8)),
    target: records.get('linkpath') ?? text(header, 157, 100),
  };
}

/** Of a pax header: `LENGTH KEY=VALUE\n`, one after the other, where the length is that of all of it. */
function readRecords(content: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < content.length;) {
    const length = Number.parseInt(content.toString('latin1', at), 10);
    if (!(length > 0)) throw new Error('a pax header without a length');
    const record = content.toString('utf8', at, at + length - 1);
    const [, key = '', value = ''] = /^\d+ ([^=]+)=(.*)$/s.exec(record) ?? [];
    records.set(key, value);
    at += length;
  }
  return records;
}

function text(header: Buffer, offset: number, bytes: number): string {
  return header.toString('utf8', offset, offset + bytes).replace(/\0.*$/s, '');
}

function octal(header: Buffer, offset: number, bytes: number): number {
  const digits = text(header, offset, bytes).trim();
  if (!/^[0-7]*$/.test(digits)) throw new Error('a tar header with a number that is not octal');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}
