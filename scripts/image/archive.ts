/**
 * An image as one file, without an engine: a tar in the OCI image layout, which `ctr images import`, `podman load` and
 * `kind load image-archive` take. The same layers and configuration give the same bytes.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import { tar } from './tar.ts';
import type { TarEntry } from './tar.ts';

export interface ImageConfig {
  readonly Entrypoint: readonly string[];
  readonly User: string;
  readonly Env?: readonly string[];
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
}

export interface ArchiveOptions {
  /** The file to be written. */
  readonly out: string;
  /** NAME:TAG, as it is called once imported. */
  readonly name: string;
  /** In the words of Node: x64, arm64. */
  readonly cpu: string;
  readonly config: ImageConfig;
  /** From the bottom; what changes most belongs on top. */
  readonly layers: readonly (readonly TarEntry[])[];
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

interface Blob {
  readonly descriptor: Descriptor;
  readonly content: Uint8Array;
}

const OCI = 'application/vnd.oci.image';
/** Names of architectures: those of Go. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
const encoder = new TextEncoder();

/** Writes the archive. @returns The digest of its manifest, which names the image's content. */
export async function writeArchive(options: ArchiveOptions): Promise<string> {
  const architecture = ARCHITECTURES[options.cpu];
  if (architecture === undefined) throw new Error(`no image for the architecture ${options.cpu}`);
  const platform = { architecture, os: 'linux' };
  const layers = options.layers.map((entries) =>
    blob(`${OCI}.layer.v1.tar`, Buffer.concat([...tar(entries)])),
  );
  const config = json(`${OCI}.config.v1+json`, {
    ...platform,
    created: '1970-01-01T00:00:00Z',
    config: options.config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ descriptor }) => descriptor.digest) },
  });
  const manifest = json(`${OCI}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: config.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
  });
  const files = [
    file('oci-layout', encoder.encode('{"imageLayoutVersion":"1.0.0"}')),
    file('index.json', encoder.encode(JSON.stringify(index(options.name, manifest, platform)))),
    ...[...layers, config, manifest].map(({ descriptor, content }) =>
      file(`blobs/sha256/${descriptor.digest.slice('sha256:'.length)}`, content),
    ),
  ];
  const temporary = `${options.out}.${process.pid}`;
  await fs.writeFile(temporary, tar(files));
  await fs.rename(temporary, options.out);
  return manifest.descriptor.digest;
}

function index(name: string, manifest: Blob, platform: object): object {
  const annotations = {
    'io.containerd.image.name': name,
    'org.opencontainers.image.ref.name': name.slice(name.lastIndexOf(':') + 1),
  };
  return { schemaVersion: 2, manifests: [{ ...manifest.descriptor, platform, annotations }] };
}

function file(path: string, content: Uint8Array): TarEntry {
  return { type: 'file', mode: 0o644, path, content };
}

function json(mediaType: string, value: object): Blob {
  return blob(mediaType, encoder.encode(JSON.stringify(value)));
}

function blob(mediaType: string, content: Uint8Array): Blob {
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  return { descriptor: { mediaType, digest, size: content.length }, content };
}
