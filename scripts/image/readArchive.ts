/** Reads an image from an OCI archive, whoever wrote it: its configuration, and its files with all layers applied. */
import { createHash } from 'node:crypto';
import zlib from 'node:zlib';
import type { ImageConfig } from './archive.ts';
import { untar } from './untar.ts';
import type { TarMember } from './untar.ts';

export interface ArchivedImage {
  /** In the words of Go: amd64, arm64. */
  readonly architecture: string;
  readonly os: string;
  readonly config: Partial<ImageConfig> & { readonly Cmd?: readonly string[] | null };
  readonly files: ReadonlyMap<string, TarMember>;
}

interface Descriptor {
  readonly mediaType?: string;
  readonly digest: string;
  readonly platform?: { readonly architecture: string };
}

type Blobs = (descriptor: Descriptor) => Buffer;
/** What a layer is packed with, by the end of its type. */
const UNPACK: Readonly<Record<string, (packed: Buffer) => Buffer>> = {
  tar: (packed) => packed,
  'tar+gzip': (packed) => zlib.gunzipSync(packed),
  'tar+zstd': (packed) => zlib.zstdDecompressSync(packed),
};

/** All images of the archive: one for each architecture. */
export function readArchive(archive: Buffer): ArchivedImage[] {
  const files = new Map(untar(archive).map((one) => [one.path, one.content]));
  const blobs: Blobs = ({ digest }) => {
    const content = files.get(`blobs/${digest.replace(':', '/')}`);
    if (content === undefined) throw new Error(`the archive lacks ${digest}`);
    const hash = createHash('sha256').update(content).digest('hex');
    if (digest !== `sha256:${hash}`) throw new Error(`what is called ${digest} is ${hash}`);
    return content;
  };
  const index = files.get('index.json');
  if (index === undefined) throw new Error('no OCI archive: it lacks index.json');
  return readIndex(index, blobs);
}

function readIndex(content: Buffer, blobs: Blobs): ArchivedImage[] {
  const { manifests } = JSON.parse(content.toString()) as { manifests: Descriptor[] };
  return manifests.flatMap((one) => {
    if (one.platform?.architecture === 'unknown') return []; // how an engine has built it, which is no image
    const isIndex = one.mediaType?.includes('.index.') === true;
    return isIndex ? readIndex(blobs(one), blobs) : [readImage(blobs(one), blobs)];
  });
}

function readImage(manifest: Buffer, blobs: Blobs): ArchivedImage {
  const { config, layers } = JSON.parse(manifest.toString()) as {
    config: Descriptor;
    layers: Descriptor[];
  };
  const image = JSON.parse(blobs(config).toString()) as Omit<ArchivedImage, 'files'>;
  const files = new Map<string, TarMember>();
  for (const layer of layers)
    for (const member of untar(unpacked(layer, blobs))) {
      if (/(?:^|\/)\.wh\./.test(member.path)) throw new Error(`${member.path} removes files`);
      files.set(member.path, member);
    }
  return { architecture: image.architecture, os: image.os, config: image.config, files };
}

function unpacked(layer: Descriptor, blobs: Blobs): Buffer {
  const kind = layer.mediaType?.split('.').at(-1) ?? '';
  const unpack = UNPACK[kind];
  if (unpack === undefined) throw new Error(`a layer of the type ${layer.mediaType ?? kind}`);
  return unpack(blobs(layer));
}
