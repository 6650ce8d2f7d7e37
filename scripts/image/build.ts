/** Makes the image: as an archive, or as the directory that the Dockerfile copies. */
import fs from 'node:fs';
import path from 'node:path';
import { writeArchive } from './archive.ts';
import type { ImageConfig } from './archive.ts';
import { imageLayers } from './files.ts';
import { imageConfig } from './imageConfig.ts';
import type { TarEntry } from './tar.ts';

export interface ImageOptions {
  /** A checkout with its dependencies installed. */
  readonly root: string;
  /** The archive to be written. */
  readonly out: string;
  readonly name: string;
  readonly version: string;
  /** What is to be other than usual, for tests of images that do not work. */
  readonly config?: Partial<ImageConfig>;
}

/** Writes an OCI archive. @returns The digest of the image. */
export async function buildImage(options: ImageOptions): Promise<string> {
  const { root, out, name, version } = options;
  fs.mkdirSync(path.dirname(out), { recursive: true });
  const config = { ...imageConfig(version), ...options.config };
  return writeArchive({ out, name, config, layers: imageLayers(root, version) });
}

/** Writes the files of the image into a directory, which must not be there. */
export function buildRootfs(root: string, out: string, version: string): void {
  fs.mkdirSync(out);
  for (const entry of imageLayers(root, version).flat()) writeEntry(out, entry);
}

function writeEntry(out: string, entry: TarEntry): void {
  const file = path.join(out, entry.path);
  switch (entry.type) {
    case 'directory':
      fs.mkdirSync(file, { recursive: true });
      break;
    case 'file':
      fs.writeFileSync(file, entry.content);
      break;
    case 'link':
      fs.symlinkSync(entry.target, file);
      return;
  }
  if (entry.owner !== undefined && process.getuid?.() === 0)
    fs.chownSync(file, entry.owner, entry.owner);
  fs.chmodSync(file, entry.mode); // whatever the umask is
}
