/**
 * Tells from a connection's first bytes which protocol it speaks: one port serves them all.
 *
 * | first bytes             | dialect | why nothing else begins like this                                      |
 * |-------------------------|---------|------------------------------------------------------------------------|
 * | `WLR1`                  | BINARY  | as a text length 827,477,079: far above every limit                    |
 * | 16 03 xx xx xx 01       | TLS     | a handshake record with a ClientHello; a command has a letter for 01   |
 * | `GET `, `POST`, `HEAD`… | HTTP    | as a text length over 500 million                                      |
 * | anything else           | TEXT    | a little-endian length, checked against the limit for text frames      |
 */
import { encodeUtf8 } from '../base/bytes.ts';

export type Dialect = 'TEXT' | 'BINARY' | 'TLS' | 'HTTP';

/** What a connection of the binary client protocol begins with. */
export const CLIENT_MAGIC = encodeUtf8('WLR1');
/** The limit for text frames must stay below this, or a length could look like another dialect's beginning. */
export const TEXT_FRAME_LIMIT_BYTES = 16 * 1024 * 1024;

const HTTP_METHODS = new Set(['GET ', 'POST', 'PUT ', 'HEAD', 'OPTI', 'DELE', 'PATC', 'CONN']);
const TLS_HANDSHAKE = 0x16;
const TLS_MAJOR = 0x03;
const TLS_CLIENT_HELLO = 0x01;
/** Bytes that decide in every case. */
export const DIALECT_BYTES_MAX = 6;

/**
 * Tells the dialect.
 * @param first - What has arrived so far; nothing needs to be removed from it afterwards.
 * @returns null when more bytes are needed (never with DIALECT_BYTES_MAX of them).
 */
export function dialectOf(first: Uint8Array): Dialect | null {
  if (first.length < CLIENT_MAGIC.length) return null;
  if (CLIENT_MAGIC.every((byte, index) => first[index] === byte)) return 'BINARY';
  if (first[0] === TLS_HANDSHAKE && first[1] === TLS_MAJOR) {
    if (first.length < DIALECT_BYTES_MAX) return null;
    return first[5] === TLS_CLIENT_HELLO ? 'TLS' : 'TEXT';
  }
  const start = String.fromCharCode(...first.subarray(0, 4));
  return HTTP_METHODS.has(start) ? 'HTTP' : 'TEXT';
}

/** The answer to a request by HTTP on a port that does not speak it. */
export function httpRefusal(message: string): Uint8Array<ArrayBuffer> {
  const sizeBytes = encodeUtf8(message).length + 1;
  return encodeUtf8(
    'HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n' +
      `Content-Length: ${sizeBytes}\r\n\r\n${message}\n`,
  );
}
