/** A real Prometheus that reads the given targets every second. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { freePorts } from '../chaos/ports.ts';
import { waitFor } from '../chaos/wait.ts';
import { ROOT } from '../kube/root.ts';
import { prometheusDir } from './prometheus.ts';

const START_MS_MAX = 60_000;

export interface Target {
  /** `host:port` with `/metrics`. */
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What an instant query gives: the value of each series. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A line over time. */
export interface Line {
  readonly metric: Readonly<Record<string, string>>;
  readonly points: readonly (readonly [seconds: number, value: number])[];
}

export class PrometheusProcess {
  readonly #url: string;
  readonly #child: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.#url = url;
    this.#child = child;
  }

  /** @param folder - For its configuration and its data. */
  static async start(folder: string, targets: readonly Target[]): Promise<PrometheusProcess> {
    const [port = 0] = await freePorts(1);
    const file = path.join(folder, 'prometheus.yaml');
    await fs.mkdir(folder, { recursive: true });
    await fs.writeFile(file, configuration(targets));
    const log = await fs.open(path.join(folder, 'prometheus.log'), 'a');
    const child = spawn(
      path.join(await prometheusDir(), 'prometheus'),
      [
        `--config.file=${file}`,
        `--storage.tsdb.path=${path.join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: ['ignore', log.fd, log.fd] },
    );
    await log.close();
    const started = new PrometheusProcess(`http://127.0.0.1:${port}`, child);
    await waitFor('Prometheus is ready', START_MS_MAX, () => started.#isReady());
    return started;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    await ended;
  }

  async query(expr: string): Promise<readonly Sample[]> {
    const { result } = (await this.get('query', { query: expr })) as {
      result: readonly { metric: Sample['metric']; value: readonly [number, string] }[];
    };
    return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  }

  async queryRange(
    expr: string,
    [start, end, step]: readonly [start: number, end: number, step: number],
  ): Promise<readonly Line[]> {
    const range = { start: String(start), end: String(end), step: String(step) };
    const { result } = (await this.get('query_range', { query: expr, ...range })) as {
      result: readonly {
        metric: Line['metric'];
        values: readonly (readonly [number, string])[];
      }[];
    };
    return result.map(({ metric, values }) => ({
      metric,
      points: values.map(([seconds, value]) => [seconds, Number(value)] as const),
    }));
  }

  /** `data` of an answer of the HTTP API. */
  async get(what: string, query: Readonly<Record<string, string>> = {}): Promise<unknown> {
    const url = new URL(`/api/v1/${what}`, this.#url);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const response = await fetch(url);
    const body = (await response.json()) as { status: string; data: unknown; error?: string };
    if (body.status !== 'success') throw new Error(`${url.search}: ${body.error}`);
    return body.data;
  }

  async #isReady(): Promise<boolean> {
    if (this.#child.exitCode !== null) throw new Error('Prometheus has ended: see its log');
    return fetch(`${this.#url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  }
}

function configuration(targets: readonly Target[]): string {
  return stringify({
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [path.join(ROOT, 'helm', 'walrus-alerts.yaml')],
    scrape_configs: [
      {
        job_name: 'walrus',
        honor_labels: true,
        static_configs: targets.map(({ address, labels }) => ({ targets: [address], labels })),
      },
    ],
  });
}
