/** The admin API of model nodes, as one operator reaches it. */
import type {
  BootstrapRequest,
  ClusterStatus,
  LeadershipRequest,
  NodeStatus,
  RefusalReason,
  Verdict,
  VotersRequest,
} from '../../protocol/admin/types.ts';
import type { SimProcess } from '../../node/sim/simProcess.ts';
import type { Scheduler } from '../../node/sim/scheduler.ts';
import { isIdle } from '../observe/types.ts';
import { AdminRefusal } from '../observe/adminClient.ts';
import type { AdminClient } from '../observe/adminClient.ts';
import type { ModelNodes } from '../plan/testing/nodes.ts';
import type { ModelKubernetes, Place } from './kubernetes.ts';

const WAY_MS = 3;
const TIMEOUT_MS = 2000;
/** An answer counts for so long. */
const VERDICT_MS_MAX = 1000;

export interface ModelAdminOptions {
  readonly kubernetes: ModelKubernetes;
  readonly scheduler: Scheduler;
  readonly process: SimProcess;
  /** Before a node does what it is asked for. */
  readonly onAct: (what: string, nodes: ModelNodes) => void;
}

export class ModelAdmin implements AdminClient {
  readonly #options: ModelAdminOptions;
  /** When each was last said to be safe to restart. */
  readonly #allowedAtMs = new Map<string, number>();
  /** What nodes of an earlier version do not know, and how often they were asked for it. */
  readonly unknown = new Map<string, number>();
  /** Called when a node has done what it was asked for, before the answer is on its way. */
  onActed: () => void = () => undefined;

  constructor(options: ModelAdminOptions) {
    this.#options = options;
  }

  node(host: string): Promise<NodeStatus | null> {
    return this.#ask(host, ({ nodes, ordinal }) => {
      const status = nodes.nodeStatus(ordinal);
      // Who serves nothing may be restarted, by its own word.
      if (status !== null && isIdle(status)) this.#note(host, ordinal);
      return status;
    });
  }

  cluster(host: string): Promise<ClusterStatus | null> {
    return this.#ask(host, ({ nodes, ordinal }) =>
      nodes.isUp(ordinal) ? nodes.clusterStatus() : null,
    );
  }

  canRestart(host: string, nodeId: number): Promise<Verdict | null> {
    return this.#ask(host, ({ nodes, ordinal }) => {
      if (!nodes.isUp(ordinal)) return null;
      const verdict = nodes.verdict(nodeId);
      this.#allowedAtMs.delete(`${host} ${nodeId}`);
      if (verdict.isAllowed) this.#note(host, nodeId);
      return verdict;
    });
  }

  async bootstrap(host: string, request: BootstrapRequest): Promise<void> {
    await this.#act('bootstrap', host, ({ nodes, ordinal }) => nodes.bootstrap(ordinal, request));
  }

  async transferLeadership(host: string, { epoch }: LeadershipRequest): Promise<void> {
    await this.#act('leadership', host, ({ nodes }) => nodes.transferLeadership(epoch));
  }

  async setVoters(host: string, { metadataVoters, epoch }: VotersRequest): Promise<void> {
    await this.#act('voters', host, ({ nodes }) => nodes.setVoters(metadataVoters, epoch));
  }

  /** Whether this operator was told, lately, that it may be restarted. */
  isAllowed(wanted: Place): boolean {
    const { scheduler, kubernetes } = this.#options;
    return [...this.#allowedAtMs].some(([key, atMs]) => {
      const [host = '', nodeId] = key.split(' ');
      const isOf = kubernetes.at(host)?.nodes === wanted.nodes && Number(nodeId) === wanted.ordinal;
      return isOf && scheduler.nowMs - atMs <= VERDICT_MS_MAX;
    });
  }

  #note(host: string, ordinal: number): void {
    this.#allowedAtMs.set(`${host} ${ordinal}`, this.#options.scheduler.nowMs);
  }

  async #ask<T>(host: string, answer: (place: Place) => T | null): Promise<T | null> {
    await this.#sleep(WAY_MS);
    const place = this.#options.kubernetes.at(host);
    const found = place === null ? null : answer(place);
    await this.#sleep(place === null ? TIMEOUT_MS : WAY_MS);
    return found;
  }

  async #act(
    what: string,
    host: string,
    action: (place: Place) => RefusalReason | null,
  ): Promise<void> {
    await this.#sleep(WAY_MS);
    const { kubernetes, onAct } = this.#options;
    const place = kubernetes.at(host);
    const isRunning = place?.nodes.nodeStatus(place.ordinal) ?? null;
    if (place === null || isRunning === null) throw new AdminRefusal('NoAnswer', 'no answer');
    const count = this.unknown.get(what);
    if (count !== undefined) {
      this.unknown.set(what, count + 1);
      throw new AdminRefusal('NotSupported', `POST /admin/v1/${what} is not known`);
    }
    onAct(what, place.nodes);
    const refusal = action(place);
    this.onActed();
    await this.#sleep(WAY_MS);
    if (refusal !== null) throw new AdminRefusal(refusal, 'it is refused');
  }

  async #sleep(delayMs: number): Promise<void> {
    const { scheduler, process } = this.#options;
    await new Promise<void>((resolve) => {
      scheduler.schedule(delayMs, () => process.enter(resolve));
    });
  }
}
