/**
 * A process that writes and syncs: `node bench/main.ts raw-writer FILE BYTES SYNC_BYTES`. It waits for its standard
 * input to end, so that several begin together, and prints how many ms it took.
 */
import { once } from 'node:events';
import fs from 'node:fs';
import process from 'node:process';

/** The first argument of such a process. */
export const RAW_WRITER = 'raw-writer';

/** Does what the arguments after the first say. */
export async function runRawWriter(args: readonly string[]): Promise<void> {
  const [file = '', bytesText = '', syncBytesText = ''] = args;
  const bytes = Number(bytesText);
  const buffer = Buffer.alloc(Number(syncBytesText), 'walrus');
  // A file of an earlier round is written again in place, as the nodes use the blocks of deleted topics again.
  const fd = fs.openSync(file, fs.existsSync(file) ? 'r+' : 'w');
  process.stdout.write('ready\n');
  process.stdin.resume();
  await once(process.stdin, 'end');
  const startMs = performance.now();
  for (let at = 0; at < bytes; at += buffer.length) {
    fs.writeSync(fd, buffer, 0, Math.min(buffer.length, bytes - at), at);
    fs.fdatasyncSync(fd);
  }
  process.stdout.write(`${performance.now() - startMs}\n`);
  fs.closeSync(fd);
}
