/** The entry of the `walrus` command. */
import process from 'node:process';

const abort = new AbortController();
// Before anything else is loaded: a signal that comes early must not end the process in another way.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    if (abort.signal.aborted) process.exit(128 + (name === 'SIGINT' ? 2 : 15)); // asked for twice
    abort.abort();
  });
}
const { dispatch } = await import('./dispatch.ts');
const { EXIT, Output, outputFailure } = await import('./output.ts');
const argv = process.argv.slice(2);
const streams = {
  out: (text: string): void => void process.stdout.write(text),
  err: (text: string): void => void process.stderr.write(text),
  isTerminal: process.stdout.isTTY,
};
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Whoever reads our output has had enough: that is no failure.
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  new Output(streams, argv.includes('--json')).error(outputFailure(error));
  process.exit(EXIT.failure);
});
const code = await dispatch(argv, { streams, signal: abort.signal });
process.exitCode = code;
// What it was waiting for does not matter any more.
if (code === EXIT.interrupted) process.exit();
// A command that ends before its input does must not wait for it.
if (!process.stdin.isTTY) process.stdin.destroy();
