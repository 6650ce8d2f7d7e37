/** `npm run image:compare`: whether an engine makes of the Dockerfile what `npm run image` makes without one. */
import fs from 'node:fs';
import process from 'node:process';
import { differences } from './compareImages.ts';
import { readArchive } from './readArchive.ts';

const USAGE = `npm run image:compare -- ONE.tar OTHER.tar     what differs between two images (OCI archives)
An engine writes one by: docker buildx build --output type=oci,dest=ONE.tar .
                     or: podman build --tag NAME . && podman save --format oci-archive --output ONE.tar NAME
`;

/** Compares each image of the first archive that the second has for the same architecture, of which there must be one. */
function main([one, other]: readonly string[]): number {
  if (one === undefined || other === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  const others = readArchive(fs.readFileSync(other));
  const pairs = readArchive(fs.readFileSync(one)).flatMap((image) =>
    others
      .filter(({ architecture }) => architecture === image.architecture)
      .map((same) => ({ image, same })),
  );
  if (pairs.length === 0) throw new Error('they are for different architectures');
  const lines = pairs.flatMap(({ image, same }) => differences(image, same));
  const names = pairs.map(({ image }) => `${image.architecture}, ${image.files.size} files`);
  process.stdout.write(
    [...lines, `${lines.length} differences (${names.join('; ')})`, ''].join('\n'),
  );
  return lines.length === 0 ? 0 : 1;
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
