/**
 * A Kubernetes with one cluster on it, as far as a plan can see and change it: enough to run the operator through any
 * order of events, and to say whether what it did was safe. Nodes answer as the real ones do (protocol/admin).
 */
import type { NodePhase, Verdict } from '../../../protocol/admin/types.ts';
import { API_VERSION, KIND } from '../../api/walrusCluster.ts';
import type { WalrusCluster } from '../../api/walrusCluster.ts';
import { desired } from '../../desired/desired.ts';
import { claimName, podName } from '../../desired/names.ts';
import type { KubernetesObject } from '../../desired/types.ts';
import type { ChildView, Observed, PodView, StatefulSetView } from '../../observe/types.ts';
import { keyOf } from '../children.ts';
import { plan } from '../plan.ts';
import type { Plan, RiskyAction, Write } from '../types.ts';

const DEFAULTS = { imageRepository: 'walrus', version: '1.0.0' };
const MINUTE_MS = 60_000;

/** How far a pod has come. */
type Progress = 'Pending' | 'Running' | 'Ready';

interface ModelPod {
  readonly ordinal: number;
  readonly uid: string;
  readonly revision: string;
  readonly image: string;
  readonly createdAtMs: number;
  progress: Progress;
  isCaughtUp: boolean;
}

interface ModelDisk {
  readonly diskId: string;
  readonly clusterId: string;
  isMember: boolean;
}

/** What went wrong, if anything: each is a broken promise of the operator. */
export interface Violation {
  readonly property: string;
  readonly detail: string;
}

export class ModelCluster {
  readonly violations: Violation[] = [];
  /** Images that never run. */
  readonly badImages = new Set<string>();
  /** The nodes refuse every restart, for a reason of their own: a segment would lose its quorum. */
  isRefusing = false;
  /** Kinds that the API server does not have, and why. */
  readonly unserved = new Map<string, string>();
  nowMs = 1_700_000_000_000;
  #sequence = 0;
  #cluster: WalrusCluster;
  readonly #children = new Map<string, ChildView>();
  #statefulSet: {
    replicas: number;
    object: KubernetesObject;
    uid: string;
    version: number;
  } | null = null;
  readonly #pods = new Map<number, ModelPod>();
  readonly #disks = new Map<number, ModelDisk>();
  /** Disks on which the cluster was begun: never more than one. */
  readonly #begunOn = new Set<string>();
  #leader: number | null = null;
  #epoch = 0;

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

  /** The WalrusCluster is deleted and made again; its volumes stay. */
  recreate(): void {
    const { metadata, ...cluster } = this.#cluster;
    this.#pods.clear();
    this.#children.clear();
    this.#statefulSet = null;
    this.#cluster = {
      ...cluster,
      metadata: { ...metadata, uid: this.#next(), annotations: {} },
    };
    this.#elect();
  }

  /** Pods come a step further; the StatefulSet makes missing ones anew. */
  tick(): void {
    this.nowMs += 1000;
    for (const pod of this.#pods.values()) this.#advance(pod);
    for (let ordinal = 1; ordinal <= (this.#statefulSet?.replicas ?? 0); ordinal++) {
      if (!this.#pods.has(ordinal)) this.#createPod(ordinal);
    }
    this.#elect();
  }

  /** A pod goes away by itself: an eviction, a crash of its host. */
  losePod(ordinal: number): void {
    this.#pods.delete(ordinal);
    this.#elect();
  }

  /** An object turns out to be somebody else's. */
  disown(kind: string, name: string): void {
    const view = this.#children.get(keyOf({ kind, name }));
    if (view !== undefined) this.#children.set(keyOf(view), { ...view, isOwned: false });
  }

  loseDisk(ordinal: number): void {
    this.#disks.delete(ordinal);
    this.losePod(ordinal);
  }

  /** One pass; `isCutOff`: the operator dies before its risky action. */
  pass(isCutOff = false): Plan {
    const observed = this.observe();
    const wanted = desired(observed.cluster, {
      defaults: DEFAULTS,
    });
    const result = plan({
      desired: wanted,
      observed,
      newClusterId: this.#next().padStart(32, '0'),
    });
    for (const write of result.writes) this.#write(write);
    if (result.risky !== null && !isCutOff) this.#act(result.risky);
    return result;
  }

  observe(): Observed {
    const members = [...this.#disks].filter(([, disk]) => disk.isMember);
    const reachable = [...this.#pods.values()].filter(({ progress }) => progress === 'Ready');
    const knows = reachable.some(({ ordinal }) => this.#disks.get(ordinal)?.isMember === true);
    return {
      nowMs: this.nowMs,
      cluster: this.#cluster,
      statefulSet: this.#statefulSetView(),
      children: this.#children,
      unserved: this.unserved,
      pods: [...this.#pods.values()].map((pod) => this.#podView(pod)),
      claims: [...this.#disks].map(([ordinal, disk]) => ({
        ordinal,
        name: claimName(this.#cluster, ordinal),
        uid: disk.diskId,
        phase: 'Bound',
        volumeName: disk.diskId,
        clusterId: disk.clusterId,
      })),
      admin: {
        nodes: new Map(reachable.map((pod) => [pod.ordinal, this.#nodeStatus(pod)])),
        canRestart: new Map(members.map(([ordinal]) => [ordinal, this.#verdict(ordinal)])),
        problem: reachable.length > 0 ? null : 'No node answers',
        cluster: knows
          ? {
              clusterId: this.#disks.values().next().value?.clusterId ?? '',
              epoch: this.#epoch,
              leader: { nodeId: this.#leader, isFresh: this.#leader !== null },
              metadataVoters: 3,
              topics: 0,
              segments: { open: 0, recovering: 0, sealed: 0, underReplicated: 0, unavailable: 0 },
              nodes: members.map(([nodeId, { diskId }]) => ({
                nodeId,
                diskId,
                zone: '',
                version: '1',
                peerAddress: '',
                clientAddress: '',
                httpAddress: '',
                isAlive: this.#isUp(nodeId),
                isDraining: false,
                isDiskWritable: true,
                role: 'Voter',
                isCaughtUp: this.#pods.get(nodeId)?.isCaughtUp === true,
                ledSegments: 0,
                replicas: 0,
                incompleteReplicas: 0,
              })),
            }
          : null,
      },
    };
  }

  /** All is as the spec says. */
  get isDone(): boolean {
    const { replicas, image } = this.#cluster.spec;
    const pods = [...this.#pods.values()];
    return (
      pods.length === replicas &&
      pods.every(
        (pod) =>
          pod.image === image && pod.progress === 'Ready' && pod.isCaughtUp && this.#isMember(pod),
      )
    );
  }

  #next(): string {
    return String(++this.#sequence);
  }

  #broken(property: string, detail: string): void {
    this.violations.push({ property, detail });
  }

  #isMember({ ordinal }: ModelPod): boolean {
    return this.#disks.get(ordinal)?.isMember === true;
  }

  #isUp(ordinal: number): boolean {
    const pod = this.#pods.get(ordinal);
    return pod?.progress === 'Ready' && this.#isMember(pod);
  }

  #members(): readonly number[] {
    return [...this.#disks].filter(([, disk]) => disk.isMember).map(([ordinal]) => ordinal);
  }

  #elect(): void {
    const members = this.#members();
    const up = members.filter((ordinal) => this.#isUp(ordinal));
    const hasQuorum = up.length * 2 > members.length;
    if (!hasQuorum) this.#leader = null;
    else if (this.#leader === null || !up.includes(this.#leader)) {
      this.#leader = up[0] ?? null;
      this.#epoch++;
    }
  }

  /** As the nodes decide it: everybody else must be there. */
  #verdict(ordinal: number): Verdict {
    const others = this.#members().filter((member) => member !== ordinal);
    const epoch = this.#epoch;
    const isAllowed = others.every(
      (other) => this.#isUp(other) && this.#pods.get(other)?.isCaughtUp === true,
    );
    if (this.#leader !== null && isAllowed && !this.isRefusing)
      return { isAllowed: true, epoch, message: '' };
    return { isAllowed: false, epoch, reason: 'AnotherNodeIsDown', message: 'another is down' };
  }

  #nodeStatus({
    ordinal,
  }: ModelPod): Observed['admin']['nodes'] extends ReadonlyMap<number, infer S> ? S : never {
    const disk = this.#disks.get(ordinal);
    const phase: NodePhase = disk?.isMember === true ? 'Serving' : 'Joining';
    return {
      nodeId: ordinal,
      diskId: disk?.diskId ?? null,
      clusterId: disk?.clusterId ?? '',
      version: '1',
      phase,
      isDiskReadOnly: false,
      startedAtMs: 0,
    };
  }

  #podView(pod: ModelPod): PodView {
    const isReady = pod.progress === 'Ready' && this.#isMember(pod);
    return {
      ordinal: pod.ordinal,
      name: podName(this.#cluster, pod.ordinal),
      uid: pod.uid,
      revision: pod.revision,
      phase: pod.progress === 'Pending' ? 'Pending' : 'Running',
      isReady,
      isDeleting: false,
      nodeName: null,
      ip: null,
      trouble: this.badImages.has(pod.image) ? 'CrashLoopBackOff' : null,
      restarts: 0,
      createdAtMs: pod.createdAtMs,
      readyChangedAtMs: null,
    };
  }

  #revision(): string {
    return String(this.#statefulSet?.version ?? 0);
  }

  #statefulSetView(): StatefulSetView | null {
    if (this.#statefulSet === null) return null;
    const { replicas, object, uid, version } = this.#statefulSet;
    return {
      kind: 'StatefulSet',
      name: object.metadata.name,
      uid,
      resourceVersion: String(version),
      object,
      isOwned: true,
      isDeleting: false,
      replicas,
      updateRevision: this.#revision(),
      observedGeneration: version,
      generation: version,
    };
  }

  #createPod(ordinal: number): void {
    const object = this.#statefulSet?.object;
    const spec = object?.['spec'] as {
      template: {
        spec: {
          containers: readonly [
            { image: string; env: readonly { name: string; value?: string }[] },
          ];
        };
      };
    };
    const [{ image, env }] = spec.template.spec.containers;
    const clusterId = env.find(({ name }) => name === 'WALRUS_CLUSTER_ID')?.value ?? '';
    if (!this.#disks.has(ordinal)) {
      this.#disks.set(ordinal, { diskId: `disk-${this.#next()}`, clusterId, isMember: false });
    }
    if (this.#disks.get(ordinal)?.clusterId !== clusterId) {
      this.#broken('a volume is never given to another cluster', `node ${ordinal}`);
    }
    this.#pods.set(ordinal, {
      ordinal,
      uid: this.#next(),
      revision: this.#revision(),
      image,
      createdAtMs: this.nowMs,
      progress: 'Pending',
      isCaughtUp: false,
    });
  }

  #advance(pod: ModelPod): void {
    if (pod.progress === 'Pending') pod.progress = 'Running';
    else if (this.badImages.has(pod.image)) return;
    else if (pod.progress === 'Running') pod.progress = 'Ready';
    else if (this.#isMember(pod)) pod.isCaughtUp = this.#leader !== null;
    else if (this.#leader !== null) this.#join(pod.ordinal);
  }

  #join(ordinal: number): void {
    const disk = this.#disks.get(ordinal);
    if (disk !== undefined) disk.isMember = true;
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
    if (write.type === 'Delete') {
      this.#children.delete(keyOf(write));
      return;
    }
    const { object } = write;
    if (object.kind === 'StatefulSet') {
      const { replicas = 1, uid = this.#next(), version = 0 } = this.#statefulSet ?? {};
      this.#statefulSet = { object, replicas, uid, version: version + 1 };
      return;
    }
    const { kind } = object;
    const { name } = object.metadata;
    const view = { kind, name, uid: this.#next(), resourceVersion: '1', object };
    this.#children.set(keyOf(view), { ...view, isOwned: true, isDeleting: false });
  }

  #act(action: RiskyAction): void {
    switch (action.type) {
      case 'Bootstrap':
        this.#begin(action);
        break;
      case 'Scale':
        this.#scale(action);
        break;
      case 'TransferLeadership': {
        const up = this.#members().filter(
          (ordinal) => this.#isUp(ordinal) && ordinal !== action.from,
        );
        this.#leader = up[0] ?? this.#leader;
        this.#epoch++;
        break;
      }
      case 'RestartPod':
        this.#restart(action);
        break;
    }
  }

  #begin({ ordinal, clusterId, diskId }: RiskyAction & { type: 'Bootstrap' }): void {
    const disk = this.#disks.get(ordinal);
    if (disk?.diskId !== diskId || disk.clusterId !== clusterId) return; // the node refuses
    this.#begunOn.add(diskId);
    if (this.#begunOn.size > 1) {
      this.#broken('a cluster begins once', `on ${[...this.#begunOn].join(' and ')}`);
    }
    this.#join(ordinal);
  }

  #scale({ from, to }: RiskyAction & { type: 'Scale' }): void {
    if (this.#statefulSet === null) return;
    if (from !== this.#statefulSet.replicas) this.#broken('scale from what is there', `${from}`);
    if (to <= from) this.#broken('nodes are never taken away', `${from} to ${to}`);
    const isWhole = this.#members().every((ordinal) => this.#isUp(ordinal));
    const hasBegun = this.#members().length > 0;
    const isOnVolumes = this.#disks.has(to);
    if (hasBegun && !isOnVolumes && (to !== from + 1 || !isWhole)) {
      this.#broken('nodes are added one at a time', `${from} to ${to}`);
    }
    this.#statefulSet = { ...this.#statefulSet, replicas: to };
  }

  #restart({ ordinal, uid, isGated }: RiskyAction & { type: 'RestartPod' }): void {
    const pod = this.#pods.get(ordinal);
    if (pod?.uid !== uid) return;
    const isUp = this.#isUp(ordinal);
    if (!isGated && isUp) this.#broken('a node that serves is not restarted unasked', `${ordinal}`);
    if (isUp && !this.#verdict(ordinal).isAllowed) {
      this.#broken('no restart that the nodes refuse', `${ordinal}`);
    }
    if (isUp && ordinal === this.#leader && this.#members().length > 1) {
      this.#broken('the metadata leader moves away first', `${ordinal}`);
    }
    this.losePod(ordinal);
  }

  /** Long enough for every time-out. */
  wait(): void {
    this.nowMs += 60 * MINUTE_MS;
  }
}
