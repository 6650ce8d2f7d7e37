/**
 * Load on a WalrusCluster while something is done to it: producers, text clients and consumers in this process and in a
 * pod. In the end every topic is read through every node and compared with what was acknowledged.
 */
import { useNativeCrc32c } from '../../client/io/system.ts';
import { pause } from '../chaos/wait.ts';
import type { LocalCluster } from '../kube/cluster.ts';
import { addressesIn } from '../kube/spec.ts';
import { LoadClients } from './clients.ts';
import type { ClientsOutcome, ClientsPlan, WriterPlan } from './clients.ts';
import { InsideClients } from './insideClients.ts';
import { latencyOf, longestPauseMs, sampleOf, wallMs } from './latency.ts';
import type { Latency, Sample, Window } from './latency.ts';
import type { Ledger } from './ledger.ts';
import { LogDigest } from './logReader.ts';
import { PodNames } from './podNames.ts';
import { verifyTopic } from './verifyTopic.ts';

const CLIENT_PORT = 9091;
const TOPICS = ['1', '2', '3'];
/** Each topic has an idempotent producer and a text client or two of the former, from both places. */
const OUTSIDE: readonly Omit<WriterPlan, 'topic'>[] = [
  { writer: 0, kind: 'binary' },
  { writer: 1, kind: 'binary' },
  { writer: 2, kind: 'text' },
];
const INSIDE: readonly Omit<WriterPlan, 'topic'>[] = [
  { writer: 3, kind: 'text' },
  { writer: 4, kind: 'binary' },
  { writer: 5, kind: 'binary' },
];

export interface LoadOptions {
  readonly cluster: LocalCluster;
  readonly namespace: string;
  /** Of the WalrusCluster. */
  readonly name: string;
  readonly image: string;
  /** Of this load: part of the names of its topics and its pod. */
  readonly title: string;
  /** The Node of the pod with the clients; any when absent. */
  readonly insideNode?: string;
}

/** What clients saw. Latencies and pauses are of idempotent producers. */
export interface PlaceReport {
  readonly acknowledged: number;
  readonly before: Latency;
  readonly during: Latency;
  readonly longestPauseMs: number;
  readonly failedPuts: number;
}

export interface LoadReport {
  readonly title: string;
  readonly disturbedMs: number;
  readonly outside: PlaceReport;
  readonly inside: PlaceReport;
  /** Records read back through each node. */
  readonly recordsCount: number;
  /** Errors of the client library: none is the promise. */
  readonly errors: readonly string[];
  /** What is lost, twice, out of order or otherwise wrong. */
  readonly problems: readonly string[];
}

/** What became of the clients of one place. */
interface Side {
  readonly ledgers: readonly Ledger[];
  readonly samples: readonly Sample[];
  readonly outcome: ClientsOutcome;
}

export class VerifiedLoad {
  readonly #options: LoadOptions;
  readonly #names: PodNames;
  readonly #outside: LoadClients;
  readonly #samples: Sample[];
  readonly #inside: InsideClients;
  readonly #startMs = wallMs();
  #disturbance: Window | null = null;

  private constructor(
    options: LoadOptions,
    parts: {
      readonly names: PodNames;
      readonly outside: LoadClients;
      readonly samples: Sample[];
      readonly inside: InsideClients;
    },
  ) {
    this.#options = options;
    this.#names = parts.names;
    this.#outside = parts.outside;
    this.#samples = parts.samples;
    this.#inside = parts.inside;
  }

  /** Returns when every writer has been served. @param hosts - How many nodes there are, or will be. */
  static async start(options: LoadOptions, hosts = 3): Promise<VerifiedLoad> {
    const { cluster, namespace, name, image, title } = options;
    await useNativeCrc32c();
    const names = new PodNames(addressesIn(cluster.spec).controlPlane);
    const nodeHosts = Array.from({ length: hosts }, (_, index) => nodeHost(options, index + 1));
    await names.start(nodeHosts);
    const samples: Sample[] = [];
    const topics = TOPICS.map((topic) => `${title}-${topic}`);
    const planOf = (addresses: string[], writers: typeof OUTSIDE): ClientsPlan => {
      const all = writers.map((each, index) => ({ ...each, topic: topics[index] ?? '' }));
      return { addresses, topics, writers: all };
    };
    const place = {
      cluster,
      namespace,
      image,
      name: `load-${title}`,
      nodeName: options.insideNode,
    };
    const addresses = nodeHosts.map((host) => `${host}:${CLIENT_PORT}`);
    const outside = new LoadClients(names.world(), planOf(addresses, OUTSIDE), (writer, ack) =>
      samples.push(sampleOf(writer, ack)),
    );
    try {
      await outside.createTopics();
      outside.start();
      await outside.served();
      const plan = planOf([`${name}:${CLIENT_PORT}`], INSIDE);
      const inside = await InsideClients.start(place, plan);
      return new VerifiedLoad(options, { names, outside, samples, inside });
    } catch (error) {
      outside.abort();
      await names.stop();
      throw error;
    }
  }

  /** Load alone for a while, for comparison. */
  async steady(ms: number): Promise<void> {
    await pause(ms);
  }

  /** Does something to the cluster; what clients see meanwhile is reported apart. */
  async during(disturb: () => Promise<void>): Promise<void> {
    const fromMs = wallMs();
    await disturb();
    await this.#outside.served();
    this.#disturbance = { fromMs, toMs: wallMs() };
  }

  /** Ends all clients and reads everything back. */
  async finish(): Promise<LoadReport> {
    await this.#outside.stopWriting();
    const inside = await this.#inside.finish();
    const outcome = await this.#outside.stopReading();
    await this.#names.stop();
    const outside: Side = { ledgers: this.#outside.ledgers, samples: this.#samples, outcome };
    return this.#report(outside, { ...inside, outcome: inside.outcome ?? outcome });
  }

  /** Ends all clients after a failure. */
  async abandon(): Promise<void> {
    this.#outside.abort();
    await this.#names.stop();
    await this.#inside.remove();
  }

  async #report(outside: Side, inside: Side): Promise<LoadReport> {
    const found = await this.#verify([outside, inside]);
    const during = this.#disturbance ?? { fromMs: wallMs(), toMs: wallMs() };
    const before = { fromMs: this.#startMs, toMs: during.fromMs };
    return {
      title: this.#options.title,
      disturbedMs: Math.round(during.toMs - during.fromMs),
      outside: placeReport(outside, before, during),
      inside: placeReport(inside, before, during),
      recordsCount: found.recordsCount,
      errors: [...outside.outcome.failures, ...inside.outcome.failures],
      problems: found.problems,
    };
  }

  async #verify(sides: readonly Side[]): Promise<{ recordsCount: number; problems: string[] }> {
    const nodes = await nodePlaces(this.#options);
    const problems: string[] = [];
    let recordsCount = 0;
    for (const topic of this.#outside.plan.topics) {
      const digest = new LogDigest();
      const ledgers = sides.flatMap((side) => side.ledgers).filter((each) => each.topic === topic);
      const found = await verifyTopic({
        topic,
        nodes,
        ledgers,
        onRecord: ({ node, offset, value }) => {
          if (node === nodes[0]) digest.add(offset, value);
        },
      });
      problems.push(...found.problems);
      recordsCount += found.recordsCount;
      const readers = sides.flatMap(({ outcome }) => outcome.readers);
      for (const reader of readers.filter((each) => each.topic === topic))
        if (reader.nextOffset !== found.endOffset || reader.digest !== digest.hex())
          problems.push(
            `a consumer of ${topic} got other records up to ${reader.nextOffset} than the log has up to ${found.endOffset}`,
          );
    }
    if (recordsCount === 0) problems.push('nothing was read back');
    return { recordsCount, problems };
  }
}

function nodeHost({ name, namespace }: LoadOptions, ordinal: number): string {
  return `${name}-${ordinal}.${name}-nodes.${namespace}.svc`;
}

interface PodItem {
  readonly metadata: { readonly name: string };
  readonly status: { readonly podIP?: string };
}

/** The nodes by the addresses of their pods. */
async function nodePlaces({ cluster, namespace, name }: LoadOptions) {
  const selector = `app.kubernetes.io/instance=${name}`;
  const { items } = (await cluster.get(['pods', '-n', namespace, '-l', selector])) as {
    items: readonly PodItem[];
  };
  return items.map(({ metadata, status }) => {
    return { name: metadata.name, address: `${status.podIP ?? ''}:${CLIENT_PORT}` };
  });
}

function placeReport({ ledgers, samples, outcome }: Side, before: Window, during: Window) {
  const library = ledgers.filter(({ delivery }) => delivery === 'exactlyOnce');
  const ofLibrary = samples.filter((sample) =>
    library.some(({ writer }) => writer === sample.writer),
  );
  return {
    acknowledged: ledgers.reduce((sum, { acknowledgedCount }) => sum + acknowledgedCount, 0),
    before: latencyOf(ofLibrary, before),
    during: latencyOf(ofLibrary, during),
    longestPauseMs: longestPauseMs(ofLibrary, during),
    failedPuts: outcome.failedPuts,
  };
}

/** The report in a few lines. */
export function showReport(report: LoadReport): string {
  const line = (where: string, place: PlaceReport): string => {
    const { before, during, acknowledged, failedPuts } = place;
    const times = `p50 ${before.p50Ms} -> ${during.p50Ms} ms, p99 ${before.p99Ms} -> ${during.p99Ms} ms`;
    return `  ${where}: ${acknowledged} acknowledged, ${times}, longest pause ${place.longestPauseMs} ms, ${failedPuts} PUTs failed`;
  };
  return [
    `${report.title}: disturbed for ${report.disturbedMs} ms; ${report.recordsCount} records read back; ${report.errors.length} errors`,
    line('outside', report.outside),
    line('inside', report.inside),
    ...[...report.errors, ...report.problems].map((problem) => `  FAILED: ${problem}`),
    '',
  ].join('\n');
}
