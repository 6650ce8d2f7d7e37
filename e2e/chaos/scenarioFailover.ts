/** Kills the leader of a partition again and again, and measures how long writers go without it. */
import type { Cluster } from './cluster.ts';
import type { Distribution } from '../load/distribution.ts';
import { distributionOf, showDistribution } from '../load/distribution.ts';
import { Load, TOPICS, TOPIC_NAMES } from './load.ts';
import type { ChaosOptions } from './options.ts';
import { verify } from './verify.ts';
import { messageOf } from '../../base/errors.ts';
import { TROUBLES } from '../load/logCheck.ts';
import type { NodeProcess } from './nodeProcess.ts';
import { waitFor } from './wait.ts';

/** The promise of the default settings. */
const SERVED_AGAIN_MS_MAX = 3000;
/** After it a writer counts as never served again. */
const GIVE_UP_MS = 60_000;

export interface FailoverReport {
  readonly ok: boolean;
  /** From the kill to the acknowledgement of a record sent after it, of the slowest of the topic's writers. */
  readonly binary: Distribution;
  /** Of those, where the killed node led the metadata too. */
  readonly binaryWithMetadataLeader: Distribution;
  readonly binaryWithoutMetadataLeader: Distribution;
  readonly problems: readonly string[];
}

export async function runFailover(
  cluster: Cluster,
  options: ChaosOptions,
  say: (line: string) => void,
): Promise<FailoverReport> {
  for (const topic of TOPIC_NAMES) await cluster.createTopic(topic);
  const load = new Load(cluster, options.producers);
  const problems: string[] = [];
  const times: { ms: number; ledMetadata: boolean }[] = [];
  load.start();
  try {
    for (let i = 0; i < options.kills; i += 1) {
      await cluster.waitUntilReady();
      await load.waitUntilServed();
      const time = await killOnce(cluster, load);
      times.push(time);
      say(
        `kill ${i + 1}: served after ${Math.round(time.ms)} ms${time.ledMetadata ? ' (led the metadata)' : ''}`,
      );
    }
    await cluster.waitUntilReady();
    await load.finish();
    const { problems: found, troubles } = await verify(cluster, load);
    problems.push(...found);
    if (TROUBLES.some((name) => troubles[name] > 0)) problems.push(JSON.stringify(troubles));
  } catch (error) {
    problems.push(messageOf(error));
  }
  problems.push(...cluster.failures, ...load.failures);
  const late = times.filter(({ ms }) => ms > SERVED_AGAIN_MS_MAX).length;
  if (late > 0) problems.push(`${late} failovers took longer than ${SERVED_AGAIN_MS_MAX} ms`);
  const of = (some: typeof times): Distribution => distributionOf(some.map(({ ms }) => ms));
  return {
    ok: problems.length === 0,
    binary: of(times),
    binaryWithMetadataLeader: of(times.filter(({ ledMetadata }) => ledMetadata)),
    binaryWithoutMetadataLeader: of(times.filter(({ ledMetadata }) => !ledMetadata)),
    problems,
  };
}

async function killOnce(
  cluster: Cluster,
  load: Load,
): Promise<{ ms: number; ledMetadata: boolean }> {
  let leader: NodeProcess | null = null;
  await waitFor('the partition has a leader', GIVE_UP_MS, async () => {
    leader = await cluster.leaderOf(TOPICS.binary);
    return leader !== null;
  });
  const victim = leader as NodeProcess | null;
  if (victim === null) throw new Error('the partition has no leader');
  const ledMetadata = (await cluster.metadataLeader()) === victim;
  const ledgers = load.ledgers.filter(({ topic }) => topic === TOPICS.binary);
  const killedMs = performance.now();
  await victim.kill();
  await waitFor('the writers are served again', GIVE_UP_MS, () =>
    ledgers.every(({ lastAckedSentMs }) => lastAckedSentMs > killedMs),
  );
  const ms = performance.now() - killedMs;
  cluster.startNode(victim);
  return { ms, ledMetadata };
}

/** The report as text. */
export function showFailover(report: FailoverReport): string {
  return [
    `failover: writers served again after ${showDistribution(report.binary)}`,
    `  where the leader led the metadata too: ${showDistribution(report.binaryWithMetadataLeader)}`,
    `  where it did not: ${showDistribution(report.binaryWithoutMetadataLeader)}`,
    ...report.problems.map((problem) => `  FAILED: ${problem}`),
    report.ok ? 'failover: ok' : 'failover: FAILED',
    '',
  ].join('\n');
}
