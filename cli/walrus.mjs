#!/usr/bin/env node
// Starts `walrus`: the TypeScript of a checkout or the compiled JavaScript of a package. Plain JavaScript for any
// Node: on one older than 24 it hands over to the Node 24 that npm has installed beside it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import module from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NODE_MAJOR_MIN = 24;
const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.dirname(here);

function runNewer() {
  const newer = path.join(root, 'node_modules', '.bin', 'node');
  if (!existsSync(newer)) {
    process.stderr.write(
      `walrus: it needs Node ${NODE_MAJOR_MIN} or newer, this is ${process.version}: run npm install\n`,
    );
    process.exit(1);
  }
  const child = spawn(newer, process.argv.slice(1), { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('exit', (code, signal) => {
    process.exit(signal === null ? (code ?? 1) : 128 + (constants.signals[signal] ?? 0));
  });
}

if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
  runNewer();
} else {
  // A checkout's TypeScript is stripped and compiled once: later starts take half the time and 20 MiB less. (This file
  // is JavaScript so that they do without the stripper.) Where the cache cannot be written all works without it.
  const modules = path.join(root, 'node_modules');
  if (existsSync(modules)) module.enableCompileCache(path.join(modules, '.cache', 'walrus'));
  const places = ['main.ts', 'main.js', path.join('..', 'dist', 'cli', 'main.js')];
  const main = places.map((name) => path.join(here, name)).find((name) => existsSync(name));
  await import(pathToFileURL(main ?? path.join(here, 'main.js')).href);
}
