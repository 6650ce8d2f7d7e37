/**
 * A file through the cluster as a user would send it: `walrus produce` by one node while leaders are killed, then
 * `walrus consume` by another; byte for byte the same.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { SeededRandom, between } from '../../base/random.ts';
import { messageOf } from '../../base/errors.ts';
import type { Cluster } from './cluster.ts';
import type { ChaosOptions } from './options.ts';
import type { NodeProcess } from './nodeProcess.ts';
import { waitFor } from './wait.ts';

const TOPIC = 'chaos-file';
const MB = 1_000_000;
const LINE_BYTES_MAX = 2000;
const WORK_MS_MAX = 600_000;
const KILLS = 2;

export interface FileReport {
  readonly ok: boolean;
  readonly bytes: number;
  readonly produceMs: number;
  readonly consumeMs: number;
  readonly killedNodeIds: readonly number[];
  /** How much was sent at each kill, as a share. */
  readonly killedAt: readonly number[];
  readonly sha256: string;
  readonly problems: readonly string[];
}

export interface FileScenario {
  readonly options: ChaosOptions;
  readonly directory: string;
  /** The arguments of node that make `walrus`. */
  readonly walrus: readonly string[];
}

export async function runFile(
  cluster: Cluster,
  { options, directory, walrus }: FileScenario,
  say: (line: string) => void,
): Promise<FileReport> {
  await cluster.createTopic(TOPIC);
  const source = path.join(directory, 'source.txt');
  const copy = path.join(directory, 'copy.txt');
  const logs = path.join(directory, 'logs');
  const bytes = writeLines(source, options.megabytes * MB, options.seed);
  const sent = await sha256Of(source);
  const [first, second] = cluster.nodes;
  const killedNodeIds: number[] = [];
  const killedAt: number[] = [];
  const problems: string[] = [];
  let [produceMs, consumeMs] = [0, 0];
  let received = '';
  try {
    const startMs = performance.now();
    const producing = run([...walrus, 'produce', TOPIC, '--addr', first?.clientAddress ?? ''], {
      input: source,
      errors: path.join(logs, 'produce.log'),
    });
    for (let i = 1; i <= KILLS; i += 1) {
      const share = i / (KILLS + 1);
      await waitFor('enough of the file is sent', WORK_MS_MAX, () => {
        return producing.isDone() || producing.sentBytes() > share * bytes;
      });
      if (producing.isDone()) throw new Error('walrus produce was done before the leaders died');
      killedAt.push(Math.round((100 * producing.sentBytes()) / bytes) / 100);
      killedNodeIds.push(await killLeader(cluster));
      say(`killed node ${killedNodeIds.at(-1) ?? '?'}, which led ${TOPIC}`);
    }
    problems.push(...(await producing.ended('walrus produce')));
    produceMs = Math.round(performance.now() - startMs);
    const consumeStartMs = performance.now();
    const consuming = run([...walrus, 'consume', TOPIC, '--addr', second?.clientAddress ?? ''], {
      output: copy,
      errors: path.join(logs, 'consume.log'),
    });
    problems.push(...(await consuming.ended('walrus consume')));
    consumeMs = Math.round(performance.now() - consumeStartMs);
    received = await sha256Of(copy);
    const receivedBytes = fs.statSync(copy).size;
    if (received !== sent) {
      problems.push(`what came back differs: ${receivedBytes} bytes of ${bytes}`);
    }
  } catch (error) {
    problems.push(messageOf(error));
  }
  problems.push(...cluster.failures);
  const ok = problems.length === 0;
  return {
    ok,
    bytes,
    produceMs,
    consumeMs,
    killedNodeIds,
    killedAt,
    sha256: sent,
    problems,
  };
}

/** Kills who leads the topic, and starts it again at once. */
async function killLeader(cluster: Cluster): Promise<number> {
  let leader: NodeProcess | null = null;
  await waitFor('the topic has a leader', WORK_MS_MAX, async () => {
    leader = await cluster.leaderOf(TOPIC);
    return leader !== null;
  });
  const victim = leader as NodeProcess | null;
  if (victim === null) throw new Error('the topic has no leader');
  await victim.kill();
  cluster.startNode(victim);
  await cluster.waitUntilReady();
  return victim.nodeId;
}

function writeLines(file: string, sizeBytes: number, seed: number): number {
  const random = new SeededRandom(seed);
  const output = fs.openSync(file, 'w');
  let written = 0;
  for (let line = 0; written < sizeBytes; line += 1) {
    const length = between(random, 0, LINE_BYTES_MAX);
    const text = Buffer.alloc(length, `${line}:${random.uint32().toString(36)} `);
    written += fs.writeSync(output, Buffer.concat([text, Buffer.from('\n')]));
  }
  fs.closeSync(output);
  return written;
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of fs.createReadStream(file)) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

interface Running {
  isDone(): boolean;
  /** How much of the input the program has taken. */
  sentBytes(): number;
  /** Waits for its end. @returns what went wrong. */
  ended(name: string): Promise<string[]>;
}

function run(
  command: readonly string[],
  files: { readonly input?: string; readonly output?: string; readonly errors: string },
): Running {
  const errors = fs.openSync(files.errors, 'w');
  const output = files.output === undefined ? errors : fs.openSync(files.output, 'w');
  const child = spawn(process.execPath, command, { stdio: ['pipe', output, errors] });
  fs.closeSync(errors);
  if (output !== errors) fs.closeSync(output);
  let sentBytes = 0;
  let code: number | null | undefined;
  child.once('exit', (exitCode) => (code = exitCode));
  child.stdin?.on('error', () => undefined); // its exit code says why
  if (files.input === undefined) child.stdin?.end();
  else {
    const input = fs.createReadStream(files.input);
    input.on('data', (chunk) => (sentBytes += chunk.length));
    if (child.stdin !== null) input.pipe(child.stdin);
  }
  return {
    isDone: () => code !== undefined,
    sentBytes: () => sentBytes,
    async ended(name) {
      await waitFor(`${name} ends`, WORK_MS_MAX, () => code !== undefined);
      return code === 0 ? [] : [`${name} ended with ${code ?? 'a signal'}, see ${files.errors}`];
    },
  };
}

/** The report as text. */
export function showFile(report: FileReport): string {
  const rate = (ms: number): string => `${(report.bytes / 1000 / Math.max(1, ms)).toFixed(1)} MB/s`;
  return [
    `file: ${report.bytes} bytes, sent in ${report.produceMs} ms (${rate(report.produceMs)}), ` +
      `received in ${report.consumeMs} ms (${rate(report.consumeMs)})`,
    `  killed while it was sent: node ${report.killedNodeIds.join(', node ')} (at ${report.killedAt.join(', ')} of it)`,
    ...report.problems.map((problem) => `  FAILED: ${problem}`),
    report.ok ? `file: ok, the same bytes (sha256 ${report.sha256})` : 'file: FAILED',
    '',
  ].join('\n');
}
