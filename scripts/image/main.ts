/** `npm run image`: makes the container image without a container engine. */
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { baseIn, thisMachine } from './base.ts';
import { buildImage, buildRootfs } from './build.ts';

const USAGE = `npm run image -- [options]     the container image as an OCI archive, made without an engine
  --out FILE       default dist/walrus-image.tar
  --name NAME:TAG  what it is called once it is imported, default walrus.local/walrus:VERSION
  --base DIR       the root file system whose Node and libraries it takes, and whose architecture it is for: any one,
                   since nothing in it is run. Default: this machine's libraries and the Node of this checkout
  --rootfs DIR     only its files, into a new directory, one below it for each layer: what the Dockerfile copies

The packages must be those for that architecture: npm ci --cpu=arm64. Import the archive with one of
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
      base: { type: 'string' },
      rootfs: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const base = values.base === undefined ? thisMachine() : baseIn(values.base);
  const source = { root, base, version };
  if (values.rootfs !== undefined) {
    buildRootfs(source, values.rootfs);
  } else {
    const digest = await buildImage({ ...source, out: values.out, name: values.name });
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
