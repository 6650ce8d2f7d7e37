/** The entry of the `walrus` command. */
import process from 'node:process';
import { dispatch } from './dispatch.ts';
import { EXIT } from './output.ts';

const abort = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    if (abort.signal.aborted) process.exit(128 + (name === 'SIGINT' ? 2 : 15)); // asked for twice
    abort.abort();
  });
}
// Whoever reads our output has had enough: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failure);
});
const code = await dispatch(process.argv.slice(2), {
  streams: {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  },
  signal: abort.signal,
});
process.exitCode = code;
// A command that ends before its input does must not wait for it.
if (!process.stdin.isTTY) process.stdin.destroy();
