// Runs a command of this project with everything it needs: installs the dependencies when they are
// missing or out of date, and puts node_modules/.bin (with Node 24) first on the PATH.
// Plain JavaScript for a stock Node 20 with nothing installed. Usage: node scripts/run.mjs COMMAND [ARGS...]
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';

const root = path.resolve(
  import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname),
  '..',
);
const modules = path.join(root, 'node_modules');

/** The packages of a lock file by their places; null when there is none, or none that can be read. */
function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return null;
  }
}

// npm writes down last what it has installed: who did, and whether by this script, does not matter.
function isInstalled() {
  const installed = packagesOf(path.join(modules, '.package-lock.json'));
  const wanted = packagesOf(path.join(root, 'package-lock.json'));
  if (installed === null || wanted === null) return false;
  return Object.entries(wanted).every(([place, { version, integrity, optional, devOptional }]) => {
    const found = installed[place];
    // The project itself; and what is optional is left out on other platforms.
    if (place === '' || found === undefined)
      return place === '' || Boolean(optional ?? devOptional);
    return found.version === version && found.integrity === integrity;
  });
}

function install() {
  if (isInstalled()) return;
  process.stderr.write('walrus: installing dependencies (npm ci), this takes a minute\n');
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env: withoutNpmState(),
  });
  if (npm.error !== undefined || npm.status !== 0) {
    process.stderr.write(
      `walrus: npm ci failed (${npm.error?.message ?? `exit code ${npm.status}`}); ` +
        'it needs npm on the PATH and access to a package registry\n',
    );
    process.exit(1);
  }
}

// What the outer npm passes on would make the inner one behave as if called from a script of its own.
function withoutNpmState() {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(lifecycle|package|command)/.test(name)),
  );
}

const [command, ...args] = process.argv.slice(2);
if (command === undefined) {
  process.stderr.write('usage: node scripts/run.mjs COMMAND [ARGS...]\n');
  process.exit(2);
}
install();
const child = spawn(command, args, {
  cwd: root,
  stdio: 'inherit',
  env: {
    ...process.env,
    PATH: `${path.join(modules, '.bin')}${path.delimiter}${process.env.PATH}`,
  },
});
// A terminal's Ctrl-C reaches the child by itself; a signal sent to this process alone is passed on.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  });
}
child.on('error', (error) => {
  process.stderr.write(`walrus: cannot run ${command}: ${error.message}\n`);
  process.exit(127);
});
child.on('exit', (code, signal) => {
  process.exit(signal === null ? (code ?? 1) : 128 + (constants.signals[signal] ?? 0));
});
