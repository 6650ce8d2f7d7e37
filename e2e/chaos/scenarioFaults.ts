/** The main scenario: faults drawn from a seed, one after the other, under load; then everything is read back. */
import { SeededRandom } from '../../base/random.ts';
import { messageOf } from '../../base/errors.ts';
import type { Cluster } from './cluster.ts';
import { WHOLE_MS_MAX } from './cluster.ts';
import { doFault, planFaults } from './faults.ts';
import type { DoneFault } from './faults.ts';
import { Load, TOPIC_NAMES } from './load.ts';
import type { ChaosOptions } from './options.ts';
import { makeReport } from './report.ts';
import type { Report } from './report.ts';
import { verify } from './verify.ts';
import type { Verification } from './verify.ts';
import { pause, waitFor } from './wait.ts';

export async function runFaults(
  cluster: Cluster,
  options: ChaosOptions,
  say: (line: string) => void,
): Promise<Report> {
  for (const topic of TOPIC_NAMES) await cluster.createTopic(topic);
  const load = new Load(cluster, options.producers);
  const faults: DoneFault[] = [];
  const failures: string[] = [];
  let verification: Verification | null = null;
  let segmentsCount = 0;
  const startMs = performance.now();
  let loadMs = 0;
  load.start();
  try {
    await load.waitUntilServed();
    await faultsUntil(startMs + options.seconds * 1000, { cluster, load, options, faults, say });
  } catch (error) {
    failures.push(messageOf(error));
  }
  try {
    loadMs = performance.now() - startMs;
    say('no more faults: reading everything back through every node');
    await cluster.waitUntilReady();
    await load.finish();
    segmentsCount = (await cluster.segments(TOPIC_NAMES))?.count ?? 0;
    verification = await verify(cluster, load);
  } catch (error) {
    failures.push(messageOf(error));
  }
  failures.push(...cluster.failures, ...load.failures);
  const { ledgers, uncertainCount } = load;
  return makeReport({
    options,
    loadMs,
    faults,
    ledgers,
    uncertainCount,
    segmentsCount,
    verification,
    failures,
  });
}

interface Run {
  readonly cluster: Cluster;
  readonly load: Load;
  readonly options: ChaosOptions;
  readonly faults: DoneFault[];
  readonly say: (line: string) => void;
}

async function faultsUntil(endMs: number, run: Run): Promise<void> {
  const { cluster, load, options, faults, say } = run;
  for (const planned of planFaults(new SeededRandom(options.seed))) {
    await pause(planned.restMs);
    if (performance.now() >= endMs) return;
    const fault = await doFault(cluster, TOPIC_NAMES, planned);
    faults.push(fault);
    await cluster.waitUntilReady();
    await load.waitUntilServed();
    // Two disks may be lost one after the other only when the copies were made anew in between.
    if (fault.kind === 'wipeDisk' || fault.kind === 'rot') await waitUntilWhole(cluster);
    const tookMs = Math.round(performance.now() - fault.startMs);
    say(`${fault.kind} of node ${fault.nodeIds.join(', ')}: served and whole after ${tookMs} ms`);
    if (cluster.failures.length + load.failures.length > 0) return;
  }
}

async function waitUntilWhole(cluster: Cluster): Promise<void> {
  await waitFor('every segment has all its copies again', WHOLE_MS_MAX, async () => {
    return (await cluster.segments(TOPIC_NAMES))?.lackingCount === 0;
  });
}
