/** Which packages are installed for production, by the lock file: nothing is resolved or fetched again. */

export interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

export interface LockedPackage {
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
}

/** In the words of npm: linux, x64, glibc. */
export interface Platform {
  readonly os: string;
  readonly cpu: string;
  readonly libc: string;
}

/** Their folders, relative to the root. Native parts of other platforms are left out, those of this one are not. */
export function productionPackages(lock: Lock, platform: Platform): string[] {
  return Object.entries(lock.packages)
    .filter(([folder, entry]) => folder !== '' && isProduction(entry) && fits(entry, platform))
    .map(([folder]) => folder)
    .sort();
}

function isProduction({ dev = false, devOptional = false }: LockedPackage): boolean {
  return !dev && !devOptional;
}

function fits({ os, cpu, libc }: LockedPackage, platform: Platform): boolean {
  return matches(os, platform.os) && matches(cpu, platform.cpu) && matches(libc, platform.libc);
}

/** A list of what is meant or, with `!`, of what is not. */
function matches(list: readonly string[] | undefined, value: string): boolean {
  if (list === undefined) return true;
  if (list.includes(`!${value}`)) return false;
  return list.includes(value) || list.every((one) => one.startsWith('!'));
}
