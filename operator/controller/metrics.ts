/** The operator's own metrics. */
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';

interface Watched {
  readonly clusterCount: number;
  readonly queueDepth: number;
  readonly isLeading: boolean;
}

export class OperatorMetrics {
  readonly actions: Counter<'action'>;
  readonly failures: Counter<'kind'>;
  readonly passes: Histogram;

  readonly #registers: Registry[];

  constructor(registry: Registry) {
    const registers = [registry];
    this.#registers = registers;
    this.actions = new Counter({
      name: 'walrus_operator_actions_total',
      help: 'Risky actions: one at most in a pass.',
      labelNames: ['action'],
      registers,
    });
    this.failures = new Counter({
      name: 'walrus_operator_failures_total',
      help: 'Passes that did not come to their end; conflicts are looked at again at once.',
      labelNames: ['kind'],
      registers,
    });
    this.passes = new Histogram({
      name: 'walrus_operator_pass_seconds',
      help: 'How long a pass over a cluster takes.',
      buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30],
      registers,
    });
  }

  /** Shows what an operator is doing. */
  observe(operator: Watched): void {
    const show = (name: string, help: string, read: () => number): void =>
      gauge(this.#registers, name, help, read);
    show('walrus_operator_clusters', 'WalrusClusters that are known.', () => operator.clusterCount);
    show(
      'walrus_operator_queue_depth',
      'Clusters that wait for a pass.',
      () => operator.queueDepth,
    );
    show('walrus_operator_leading', '1 while this operator holds the lease.', () =>
      operator.isLeading ? 1 : 0,
    );
  }
}

function gauge(registers: Registry[], name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers,
    collect() {
      this.set(read());
    },
  });
}
