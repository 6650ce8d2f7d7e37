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
import { PrometheusApi } from './prometheusApi.ts';

const START_MS_MAX = 60_000;

export interface Target {
  /** `host:port` with `/metrics`. */
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
}

export class PrometheusProcess {
  readonly api: PrometheusApi;
  readonly #child: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.api = new PrometheusApi(url);
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

  async #isReady(): Promise<boolean> {
    if (this.#child.exitCode !== null) throw new Error('Prometheus has ended: see its log');
    return fetch(`${this.api.url}/-/ready`).then(
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
