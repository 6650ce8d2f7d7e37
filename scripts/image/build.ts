/** Makes the image: as an archive, or as the directory that the Dockerfile copies. */
import fs from 'node:fs';
import path from 'node:path';
import { writeArchive } from './archive.ts';
import type { ImageConfig } from './archive.ts';
import { imageLayers, LAYERS } from './files.ts';
import type { ImageSource } from './files.ts';
import { imageConfig } from './imageConfig.ts';
import type { TarEntry } from './tar.ts';

export interface ImageOptions extends ImageSource {
  /** The archive to be written. */
  readonly out: string;
  readonly name: string;
  /** What is to be other than usual, for tests of images that do not work. */
  readonly config?: Partial<ImageConfig>;
}

/** Writes an OCI archive. @returns The digest of the image. */
export async function buildImage(options: ImageOptions): Promise<string> {
  const { base, out, name, version } = options;
  fs.mkdirSync(path.dirname(out), { recursive: true });
  const config = { ...imageConfig(version), ...options.config };
  const files = imageLayers(options);
  const layers = LAYERS.map((layer) => files[layer]);
  return writeArchive({ out, name, cpu: base.platform.cpu, config, layers });
}

/** Writes the files of the image into a directory, which must not be there: one below it for each layer. */
export function buildRootfs(source: ImageSource, out: string): void {
  fs.mkdirSync(out);
  const files = imageLayers(source);
  for (const layer of LAYERS) writeLayer(path.join(out, layer), files[layer]);
}

/** The files are of no time, as those of an archive: so that the same files are the same layer again. */
function writeLayer(out: string, entries: readonly TarEntry[]): void {
  fs.mkdirSync(out);
  for (const entry of entries) writeEntry(out, entry);
  for (const entry of entries) fs.lutimesSync(path.join(out, entry.path), 0, 0);
  fs.utimesSync(out, 0, 0);
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
