/** `npm run image`: makes the container image without a container engine. */
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { buildImage, buildRootfs } from './build.ts';

const USAGE = `npm run image -- [options]     the container image as an OCI archive, made without an engine
  --out FILE       default dist/walrus-image.tar
  --name NAME:TAG  what it is called once it is imported, default walrus.local/walrus:VERSION
  --rootfs DIR     only its files, into a new directory: what the Dockerfile copies

It is for this machine's architecture, with this checkout's Node. Import it with one of
  ctr --namespace k8s.io images import FILE
  kind load image-archive FILE
  podman load --input FILE
`;

const root = path.resolve(import.meta.dirname, '..', '..');

async function main(): Promise<number> {
  const file = path.join(root, 'package.json');
  const { version } = JSON.parse(fs.readFileSync(file, 'utf8')) as { version: string };
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: path.join(root, 'dist', 'walrus-image.tar') },
      name: { type: 'string', default: `walrus.local/walrus:${version}` },
      rootfs: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
  } else if (values.rootfs !== undefined) {
    buildRootfs(root, values.rootfs, version);
  } else {
    const digest = await buildImage({ root, out: values.out, name: values.name, version });
    process.stdout.write(`${values.out}\n${values.name}@${digest}\n`);
  }
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
