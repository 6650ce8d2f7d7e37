/**
 * A Kubernetes with one cluster on it, as far as a plan can see and change it: enough to run the operator through any
 * order of events, and to say whether what it did was safe.
 */
import { API_VERSION, BOOTSTRAP_DISK_ANNOTATION, KIND } from '../../api/walrusCluster.ts';
import type { WalrusCluster } from '../../api/walrusCluster.ts';
import { desired } from '../../desired/desired.ts';
import { claimName, podName } from '../../desired/names.ts';
import type { KubernetesObject } from '../../desired/types.ts';
import type { ChildView, ClaimView, Observed, PodView } from '../../observe/types.ts';
import { keyOf } from '../children.ts';
import { plan } from '../plan.ts';
import { statusOf } from '../status.ts';
import type { Plan, RiskyAction, Write } from '../types.ts';
import { ModelNodes } from './nodes.ts';
import type { Violation } from './nodes.ts';
import { ModelStatefulSet, replicasOf } from './statefulSet.ts';

const DEFAULTS = { imageRepository: 'walrus', version: '1.0.0' };
const MINUTE_MS = 60_000;

interface ModelPod {
  readonly ordinal: number;
  readonly uid: string;
  readonly revision: string;
  readonly image: string;
  readonly clusterId: string;
  readonly createdAtMs: number;
  isStarted: boolean;
  isReady: boolean;
  readyChangedAtMs: number;
}

interface ModelClaim {
  readonly uid: string;
  readonly clusterId: string;
  bootstrapDisk: string | null;
}

export class ModelCluster {
  /** Images that never run. */
  readonly badImages = new Set<string>();
  /** Between two crashes their containers run for a moment, every other second. */
  isFlickering = false;
  /** Images whose containers run and do nothing: in no trouble, and never a node. */
  readonly hangingImages = new Set<string>();
  /** Places whose pods are deleted, on hosts that are gone: nobody ends them, nor answers. */
  readonly terminating = new Set<number>();
  /** Places whose hosts cannot pull any image: what stops there does not start. */
  readonly unpulled = new Set<number>();
  /** Kinds that the API server does not have, and why. */
  readonly unserved = new Map<string, string>();
  /** Images whose nodes serve, and whose pods never get ready. */
  readonly sickImages = new Set<string>();
  /** Places whose pods find no host. */
  readonly hostless = new Set<number>();
  /** The hosts are cut off from the API server and the operator: the nodes serve on. */
  isCutOff = false;
  /** The volume claims are being deleted: they go when the pods are gone. */
  isDroppingVolumes = false;
  nowMs = 1_700_000_000_000;
  readonly #nodes = new ModelNodes();
  #sequence = 0;
  #cluster: WalrusCluster;
  readonly #children = new Map<string, ChildView>();
  #statefulSet: ModelStatefulSet | null = null;
  readonly #pods = new Map<number, ModelPod>();
  readonly #claims = new Map<number, ModelClaim>();

  constructor(replicas: number) {
    this.#cluster = {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: {
        name: 'sea',
        namespace: 'ocean',
        uid: 'u0',
        resourceVersion: '1',
        generation: 1,
        creationTimestamp: new Date(this.nowMs).toISOString(),
      },
      spec: {
        replicas,
        storage: { size: '1Gi' },
        placement: { topologyKey: 'zone', allowSharedHosts: false },
        drainTimeout: '30s',
        networkPolicy: false,
        paused: false,
        image: 'good',
      },
    };
  }

  get nodes(): ModelNodes {
    return this.#nodes;
  }

  get violations(): readonly Violation[] {
    return this.#nodes.violations;
  }

  get spec(): WalrusCluster['spec'] {
    return this.#cluster.spec;
  }

  /** A user's change. */
  change(spec: Partial<WalrusCluster['spec']>): void {
    const { metadata } = this.#cluster;
    this.#cluster = {
      ...this.#cluster,
      metadata: { ...metadata, generation: metadata.generation + 1, resourceVersion: this.#next() },
      spec: { ...this.#cluster.spec, ...spec },
    };
  }

  /** In the foreground: it is there until its children are gone. */
  delete(): void {
    const { metadata } = this.#cluster;
    const deletionTimestamp = new Date(this.nowMs).toISOString();
    this.#cluster = { ...this.#cluster, metadata: { ...metadata, deletionTimestamp } };
  }

  /** The WalrusCluster is deleted and made again; its volumes stay. */
  recreate(): void {
    const { metadata, apiVersion, kind, spec } = this.#cluster;
    for (const ordinal of this.#pods.keys()) this.losePod(ordinal);
    this.#children.clear();
    this.#statefulSet = null;
    const identity = { uid: this.#next(), annotations: {} };
    this.#cluster = { apiVersion, kind, spec, metadata: { ...metadata, ...identity } };
  }

  /** Pods come a step further; the StatefulSet makes missing ones anew. */
  tick(): void {
    this.nowMs += 1000;
    this.#nodes.tick();
    this.#statefulSet?.tick();
    for (const pod of this.#pods.values()) this.#advance(pod);
    const set = this.#statefulSet;
    for (let ordinal = 1; set !== null && ordinal <= set.replicas; ordinal++) {
      if (!this.#pods.has(ordinal)) this.#createPod(set, ordinal);
    }
    const surplus = [...this.#pods.keys()].filter((ordinal) => ordinal > (set?.replicas ?? 0));
    if (set !== null) for (const ordinal of surplus) this.losePod(ordinal);
  }

  /** A pod goes away by itself: an eviction, a crash of its host. */
  losePod(ordinal: number): void {
    this.#pods.delete(ordinal);
    this.#nodes.stop(ordinal);
  }

  /** Its container ends and is started again, in the same pod: out of memory, or killed by hand. */
  restartContainer(ordinal: number): void {
    this.#nodes.stop(ordinal);
  }

  /** An object turns out to be somebody else's. */
  disown(kind: string, name: string): void {
    const view = this.#children.get(keyOf({ kind, name }));
    if (view !== undefined) this.#children.set(keyOf(view), { ...view, isOwned: false });
  }

  loseDisk(ordinal: number): void {
    this.#nodes.loseDisk(ordinal);
    this.#claims.delete(ordinal);
    this.losePod(ordinal);
  }

  /** All claims find new volumes: the old ones are not mounted. */
  wipe(): void {
    for (const ordinal of [...this.#claims.keys()]) {
      this.#nodes.loseDisk(ordinal);
      this.losePod(ordinal);
    }
  }

  /** As a backup has it that was taken too early. */
  forgetBeginning(): void {
    const { metadata } = this.#cluster;
    const annotations = Object.fromEntries(
      Object.entries(metadata.annotations ?? {}).filter(
        ([name]) => name !== BOOTSTRAP_DISK_ANNOTATION,
      ),
    );
    this.#cluster = { ...this.#cluster, metadata: { ...metadata, annotations } };
  }

  /** As an earlier version left the claims. */
  forgetNotes(): void {
    for (const claim of this.#claims.values()) claim.bootstrapDisk = null;
  }

  /** Its volumes are gone, as was wanted. */
  dropVolumes(): void {
    this.#nodes.forget();
    this.#claims.clear();
    this.isDroppingVolumes = false;
  }

  /** Long enough for every time-out. */
  wait(): void {
    this.nowMs += 60 * MINUTE_MS;
  }

  /** One pass; `isCutShort`: the operator dies before its risky action. */
  pass(isCutShort = false): Plan {
    const observed = this.observe();
    const wanted = desired(observed.cluster, { defaults: DEFAULTS });
    const newClusterId = this.#next().padStart(32, '0');
    const result = plan({ desired: wanted, observed, newClusterId });
    this.#checkReady(result);
    for (const write of result.writes) this.#write(write);
    const status = statusOf(wanted, observed, result);
    this.#cluster = { ...this.#cluster, status };
    if (result.risky !== null && !isCutShort) this.#act(result.risky);
    return result;
  }

  observe(): Observed {
    const pods = [...this.#pods.values()];
    const asked = this.isCutOff ? [] : pods.filter((pod) => !this.terminating.has(pod.ordinal));
    const statuses = asked.map(({ ordinal }) => this.#nodes.nodeStatus(ordinal));
    const nodes = new Map(
      statuses.flatMap((status) => (status === null ? [] : [[status.nodeId, status] as const])),
    );
    return {
      nowMs: this.nowMs,
      cluster: this.#cluster,
      statefulSet: this.#statefulSet?.view() ?? null,
      children: this.#children,
      unserved: this.unserved,
      pods: pods.map((pod) => this.#podView(pod)),
      claims: [...this.#claims.keys()].map((ordinal) => this.#claimView(ordinal)),
      admin: {
        nodes,
        canRestart: new Map(
          [...nodes.keys()].map((ordinal) => [ordinal, this.#nodes.verdict(ordinal)]),
        ),
        problem: nodes.size > 0 ? null : 'No node answers',
        cluster: this.isCutOff ? null : this.#nodes.clusterStatus(),
      },
    };
  }

  /** All is as the spec says. */
  get isDone(): boolean {
    const { replicas, image } = this.#cluster.spec;
    const pods = [...this.#pods.values()];
    return (
      pods.length === replicas &&
      pods.every((pod) => pod.image === image && this.#nodes.isCaughtUp(pod.ordinal))
    );
  }

  #next(): string {
    return String(++this.#sequence);
  }

  #podView(pod: ModelPod): PodView {
    return {
      ordinal: pod.ordinal,
      name: podName(this.#cluster, pod.ordinal),
      uid: pod.uid,
      resourceVersion: '1',
      revision: pod.revision,
      phase: pod.isStarted ? 'Running' : 'Pending',
      isReady: this.#isReady(pod),
      isDeleting: this.terminating.has(pod.ordinal),
      nodeName: pod.isStarted ? `host-${pod.ordinal}` : null,
      ip: null,
      trouble: this.#troubleOf(pod),
      restarts: 0,
      createdAtMs: pod.createdAtMs,
      readyChangedAtMs: this.#isReady(pod) === pod.isReady ? pod.readyChangedAtMs : this.nowMs,
    };
  }

  #claimView(ordinal: number): ClaimView {
    const { uid = '', clusterId = null, bootstrapDisk = null } = this.#claims.get(ordinal) ?? {};
    const volumeName = this.#nodes.disks.get(ordinal)?.diskId ?? null;
    return {
      ...{ ordinal, uid, clusterId, bootstrapDisk, volumeName },
      name: claimName(this.#cluster, ordinal),
      phase: volumeName === null ? 'Pending' : 'Bound',
      isDeleting: this.isDroppingVolumes,
    };
  }

  #isReady({ ordinal, image }: ModelPod): boolean {
    return this.#nodes.isUp(ordinal) && !this.sickImages.has(image) && !this.isCutOff;
  }

  #troubleOf({ ordinal, image, isStarted }: ModelPod): string | null {
    if (this.unpulled.has(ordinal) && !this.#nodes.isUp(ordinal)) return 'ImagePullBackOff';
    if (!isStarted) return this.hostless.has(ordinal) ? 'Unschedulable' : null;
    const isBetween = this.isFlickering && (this.nowMs / 1000) % 2 === 0;
    return this.badImages.has(image) && !isBetween ? 'CrashLoopBackOff' : null;
  }

  #isRunning({ image }: ModelPod): boolean {
    return !this.badImages.has(image) && !this.hangingImages.has(image);
  }

  #createPod(set: ModelStatefulSet, ordinal: number): void {
    const { image, clusterId } = imageAndIdOf(set.object);
    if (!this.#claims.has(ordinal))
      this.#claims.set(ordinal, { uid: this.#next(), clusterId, bootstrapDisk: null });
    const pod = { ordinal, uid: this.#next(), revision: set.revision, image, clusterId };
    const { nowMs } = this;
    const times = { createdAtMs: nowMs, readyChangedAtMs: nowMs };
    this.#pods.set(ordinal, { ...pod, ...times, isStarted: false, isReady: false });
  }

  #advance(pod: ModelPod): void {
    if (!pod.isStarted) this.#schedule(pod);
    else if (this.#isRunning(pod) && !this.unpulled.has(pod.ordinal))
      this.#nodes.start(pod.ordinal);
    const isReady = this.#isReady(pod);
    if (isReady !== pod.isReady) Object.assign(pod, { isReady, readyChangedAtMs: this.nowMs });
  }

  /** With a host it gets its volume, too. */
  #schedule(pod: ModelPod): void {
    pod.isStarted = !this.hostless.has(pod.ordinal);
    if (pod.isStarted) this.#nodes.mount(pod.ordinal, pod.clusterId);
  }

  #write(write: Write): void {
    if (write.type === 'Annotate') {
      const { metadata } = this.#cluster;
      if (write.resourceVersion !== metadata.resourceVersion) return;
      const annotations = { ...metadata.annotations, ...write.annotations };
      const resourceVersion = this.#next();
      this.#cluster = { ...this.#cluster, metadata: { ...metadata, annotations, resourceVersion } };
      return;
    }
    if (write.type === 'NoteClaim') {
      for (const claim of this.#claims.values()) {
        if (claim.uid === write.uid) claim.bootstrapDisk = write.bootstrapDisk;
      }
      return;
    }
    if (write.type === 'Delete') {
      this.#children.delete(keyOf(write));
      return;
    }
    this.#apply(write.object);
  }

  #apply(object: KubernetesObject): void {
    const { kind } = object;
    if (kind === 'StatefulSet') {
      this.#applyStatefulSet(object);
      return;
    }
    const { name } = object.metadata;
    const view = { kind, name, uid: this.#next(), resourceVersion: '1', object };
    this.#children.set(keyOf(view), { ...view, isOwned: true, isDeleting: false });
  }

  #applyStatefulSet(object: KubernetesObject): void {
    if (this.#statefulSet === null) {
      this.#statefulSet = new ModelStatefulSet(this.#next(), object);
      return;
    }
    const { replicas } = this.#statefulSet;
    this.#nodes.checkScale(replicas, replicasOf(object) ?? replicas);
    this.#statefulSet.apply(object);
  }

  #act(action: RiskyAction): void {
    switch (action.type) {
      case 'Bootstrap':
        this.#checkNotes();
        this.#nodes.bootstrap(action.ordinal, action);
        break;
      case 'Scale':
        this.#scale(action);
        break;
      case 'TransferLeadership':
        this.#nodes.transferLeadership(action.epoch);
        break;
      case 'SetVoters':
        this.#nodes.setVoters(action.metadataVoters, action.epoch);
        break;
      case 'RestartPod':
        if (this.#pods.get(action.ordinal)?.uid !== action.uid) break;
        if (action.isWithinBudget && this.#isBudgetUsed(action.ordinal)) break;
        this.#nodes.checkRestart(action.ordinal, action.isGated);
        this.#checkMove(action.ordinal);
        this.#checkHost(action.ordinal);
        this.losePod(action.ordinal);
        break;
    }
  }

  /** While a pod is away, one that has never had a host gets its. */
  #checkHost(ordinal: number): void {
    const { disks } = this.#nodes;
    const thief = [...this.#pods.values()].find(
      (pod) => pod.ordinal !== ordinal && !pod.isStarted && !disks.has(pod.ordinal),
    );
    if (thief !== undefined && disks.get(ordinal)?.isMember === true)
      this.#nodes.broken('KeepsItsHost', `node ${thief.ordinal} takes that of node ${ordinal}`);
  }

  /** As a PodDisruptionBudget of one sees it, which lets go who is not ready. */
  #isBudgetUsed(ordinal: number): boolean {
    const ready = [...this.#pods.values()].filter((pod) => this.#isReady(pod));
    const isOne = ready.some((pod) => pod.ordinal === ordinal);
    return isOne && ready.length < (this.#statefulSet?.replicas ?? 0);
  }

  /** Ready, of this generation: scripts go on. */
  #checkReady({ conditions }: Plan): void {
    const isReady = conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
    const old = [...this.#pods.values()].find(({ image }) => image !== this.spec.image);
    if (isReady && old !== undefined)
      this.#nodes.broken('ReadyIsTrue', `node ${old.ordinal} is old`);
  }

  /** What runs, and only starts again, is not moved to what is seen not to run; nobody is while upgrades are paused. */
  #checkMove(ordinal: number): void {
    if (this.spec.upgrade?.strategy === 'Paused') {
      this.#nodes.broken('PausedRestartsNobody', `node ${ordinal}`);
    }
    const moved = this.#pods.get(ordinal);
    const failing = [...this.#pods.values()].find(
      (pod) =>
        pod.revision === this.#statefulSet?.revision && !this.#isRunning(pod) && pod.isStarted,
    );
    if (failing === undefined || moved === undefined || !this.#isRunning(moved)) return;
    this.#nodes.broken('StopsWhereItFails', `node ${ordinal}, while ${failing.ordinal} fails`);
  }

  /** Before the cluster begins: an operator that dies then leaves no claims that look fresh. */
  #checkNotes(): void {
    const bare = [...this.#claims].filter(([, { bootstrapDisk }]) => bootstrapDisk === null);
    if (bare.length > 0) this.#nodes.broken('NotesThatItBegins', `${bare.length} claims`);
  }

  #scale({ from, to }: RiskyAction & { type: 'Scale' }): void {
    if (this.#statefulSet === null) return;
    if (from !== this.#statefulSet.replicas) this.#nodes.broken('ScalesFromWhatIs', `${from}`);
    this.#nodes.checkScale(from, to);
    this.#statefulSet.replicas = to;
  }
}

/** What the pods of a StatefulSet run, and to which cluster their disks belong. */
export function imageAndIdOf(statefulSet: Readonly<Record<string, unknown>> | undefined): {
  readonly image: string;
  readonly clusterId: string;
} {
  const spec = statefulSet?.['spec'] as {
    template: {
      spec: {
        containers: readonly [{ image: string; env: readonly { name: string; value?: string }[] }];
      };
    };
  };
  const [{ image, env }] = spec.template.spec.containers;
  return { image, clusterId: env.find(({ name }) => name === 'WALRUS_CLUSTER_ID')?.value ?? '' };
}
