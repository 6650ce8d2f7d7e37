/** In what two images differ, for whoever runs them: not in times, and not in how files are spread over layers. */
import { createHash } from 'node:crypto';
import type { ArchivedImage } from './readArchive.ts';
import type { TarMember } from './untar.ts';

/** Labels with which engines sign what they have built. */
const SIGNATURES = ['io.buildah.version'];
const TYPES: Readonly<Record<string, string>> = { 0: 'file', 2: 'link', 5: 'directory' };
const HASH_DIGITS = 16;

/** @returns One line for each difference. */
export function differences(one: ArchivedImage, other: ArchivedImage): string[] {
  return [
    ...compare('', facts(one), facts(other)),
    ...compare('/', described(one.files), described(other.files)),
  ];
}

function compare(
  prefix: string,
  one: ReadonlyMap<string, string>,
  other: ReadonlyMap<string, string>,
): string[] {
  const names = [...new Set([...one.keys(), ...other.keys()])].sort();
  return names
    .filter((name) => one.get(name) !== other.get(name))
    .map((name) => `${prefix}${name}: ${one.get(name) ?? 'none'} | ${other.get(name) ?? 'none'}`);
}

function facts({ architecture, os, config }: ArchivedImage): Map<string, string> {
  const labels = Object.entries(config.Labels ?? {}).filter(([key]) => !SIGNATURES.includes(key));
  const values: [string, unknown][] = [
    ['platform', `${os}/${architecture}`],
    ['user', config.User],
    ['entry point', config.Entrypoint],
    ['arguments', config.Cmd ?? []],
    ['directory', config.WorkingDir ?? '/'],
    ['environment', config.Env ?? []],
    ['ports', Object.keys(config.ExposedPorts ?? {}).sort()],
    ['labels', labels.sort(([a], [b]) => (a < b ? -1 : 1))],
  ];
  return new Map(values.map(([name, value]) => [name, JSON.stringify(value)]));
}

function described(files: ReadonlyMap<string, TarMember>): Map<string, string> {
  return new Map(
    [...files].filter(([name]) => name !== '').map(([name, file]) => [name, describe(file)]),
  );
}

function describe({ type, mode, owner, group, target, content }: TarMember): string {
  const kind = TYPES[type] ?? `type ${type}`;
  const whose = `${owner}:${group}`;
  if (kind === 'link') return `${kind} ${whose} to ${target}`;
  const bits = (mode & 0o7777).toString(8).padStart(4, '0');
  if (kind !== 'file') return `${kind} ${bits} ${whose}`;
  const hash = createHash('sha256').update(content).digest('hex').slice(0, HASH_DIGITS);
  return `${kind} ${bits} ${whose} ${content.length} bytes ${hash}`;
}
