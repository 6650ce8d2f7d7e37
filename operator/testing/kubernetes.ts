/**
 * What Kubernetes does with the objects of the API server in memory: the StatefulSet controller and the kubelets, once in a
 * tick, over model nodes. Deleted pods end with the next tick.
 */
import { createHash } from 'node:crypto';
import type { FakeApiServer } from '../kube/testing/fakeApiServer.ts';
import type { Stored } from '../kube/listWatch.ts';
import { DATA } from '../desired/names.ts';
import { imageAndIdOf } from '../plan/testing/model.ts';
import { ModelNodes } from '../plan/testing/nodes.ts';

interface Template {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: object;
}

interface SetSpec {
  readonly replicas: number;
  readonly template: Template;
  readonly volumeClaimTemplates: readonly [{ readonly metadata: { readonly name: string } }];
}

/** A pod, and whose it is. */
export interface Place {
  readonly nodes: ModelNodes;
  readonly ordinal: number;
}

export class ModelKubernetes {
  readonly #server: FakeApiServer;
  /** By `namespace/name` of their cluster. They outlive it, as volumes do. */
  readonly #nodes = new Map<string, ModelNodes>();
  readonly #addresses = new Map<string, Place>();
  #addressCount = 0;
  /** Images that never run. */
  readonly badImages = new Set<string>();
  /** Names of pods that find no host. */
  readonly hostless = new Set<string>();
  /** The hosts are cut off: the API server sees pods that are not ready, and they serve on. */
  isCutOff = false;

  constructor(server: FakeApiServer) {
    this.#server = server;
  }

  get clusters(): readonly ModelNodes[] {
    return [...this.#nodes.values()];
  }

  nodesOf(namespace: string, name: string): ModelNodes {
    const key = `${namespace}/${name}`;
    const nodes = this.#nodes.get(key) ?? new ModelNodes();
    this.#nodes.set(key, nodes);
    return nodes;
  }

  /** Who answers at an address. */
  at(ip: string): Place | null {
    return this.isCutOff ? null : (this.#addresses.get(ip) ?? null);
  }

  placeOf({ metadata: { namespace, name } }: Stored): Place {
    const dash = name.lastIndexOf('-');
    const nodes = this.nodesOf(namespace, name.slice(0, dash));
    return { nodes, ordinal: Number(name.slice(dash + 1)) };
  }

  tick(): void {
    for (const nodes of this.#nodes.values()) nodes.tick();
    for (const set of this.#server.all('StatefulSet')) this.#keep(set);
    for (const pod of this.#server.all('Pod')) this.#advance(pod);
  }

  #keep(set: Stored): void {
    const { replicas, template } = set['spec'] as SetSpec;
    const { namespace, name, generation } = set.metadata;
    const updateRevision = createHash('sha1').update(JSON.stringify(template)).digest('hex');
    const status = { updateRevision, observedGeneration: generation };
    this.#server.put({ kind: 'StatefulSet', metadata: { namespace, name }, status });
    for (let ordinal = 1; ordinal <= replicas; ordinal += 1) {
      const pod = this.#server.find('Pod', namespace, `${name}-${ordinal}`);
      if (pod === null) this.#create(set, ordinal, updateRevision);
    }
    for (const pod of this.#server.all('Pod')) {
      const place = this.placeOf(pod);
      if (place.nodes !== this.nodesOf(namespace, name) || place.ordinal <= replicas) continue;
      this.#end(pod);
    }
  }

  #create(set: Stored, ordinal: number, revision: string): void {
    const { namespace, name, uid } = set.metadata;
    const { template, volumeClaimTemplates } = set['spec'] as SetSpec;
    const [claim] = volumeClaimTemplates;
    const claimName = `${claim.metadata.name}-${name}-${ordinal}`;
    if (this.#server.find('PersistentVolumeClaim', namespace, claimName) === null) {
      const metadata = { ...claim.metadata, namespace, name: claimName };
      const status = { phase: 'Pending' };
      this.#server.put({ kind: 'PersistentVolumeClaim', metadata, spec: {}, status });
    }
    const labels = { ...template.metadata.labels, 'controller-revision-hash': revision };
    const ownerReferences = [{ kind: 'StatefulSet', name, uid, controller: true }];
    const metadata = { namespace, name: `${name}-${ordinal}`, labels, ownerReferences };
    this.#server.put({ kind: 'Pod', metadata, spec: template.spec, status: { phase: 'Pending' } });
  }

  #advance(pod: Stored): void {
    const { nodes, ordinal } = this.placeOf(pod);
    if (pod.metadata['deletionTimestamp'] !== undefined) {
      this.#end(pod);
      return;
    }
    const { phase } = pod['status'] as { phase: string };
    if (phase === 'Pending' && !this.#schedule(pod)) return;
    const { image } = imageAndIdOf({ spec: { template: pod } });
    const isBad = this.badImages.has(image);
    if (phase === 'Running' && !isBad) nodes.start(ordinal);
    const isReady = !this.isCutOff && nodes.isUp(ordinal);
    this.#report(pod, { isReady, isBad: isBad && phase === 'Running' });
  }

  /** With a host it gets its volume, too. */
  #schedule(pod: Stored): boolean {
    const { namespace, name } = pod.metadata;
    if (this.hostless.has(name)) {
      const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }];
      const status = { phase: 'Pending', conditions };
      this.#server.put({ kind: 'Pod', metadata: { namespace, name }, status });
      return false;
    }
    const claimName = `${DATA}-${name}`;
    const metadata = { namespace, name: claimName };
    const bound = { spec: { volumeName: claimName }, status: { phase: 'Bound' } };
    this.#server.put({ kind: 'PersistentVolumeClaim', metadata, ...bound });
    const { clusterId } = imageAndIdOf({ spec: { template: pod } });
    const { nodes, ordinal } = this.placeOf(pod);
    nodes.mount(ordinal, clusterId);
    return true;
  }

  #report(pod: Stored, { isReady, isBad }: { isReady: boolean; isBad: boolean }): void {
    const { namespace, name } = pod.metadata;
    const { podIP = this.#address(pod) } = pod['status'] as { podIP?: string };
    const waiting = isBad ? { waiting: { reason: 'CrashLoopBackOff' } } : { running: {} };
    const status = {
      phase: 'Running',
      podIP,
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
      containerStatuses: [{ restartCount: 0, state: waiting }],
    };
    this.#server.put({ kind: 'Pod', metadata: { namespace, name }, status });
  }

  #address(pod: Stored): string {
    this.#addressCount += 1;
    const ip = `10.0.${this.#addressCount >> 8}.${this.#addressCount & 0xff}`;
    this.#addresses.set(ip, this.placeOf(pod));
    return ip;
  }

  #end(pod: Stored): void {
    const { nodes, ordinal } = this.placeOf(pod);
    nodes.stop(ordinal);
    const { podIP } = pod['status'] as { podIP?: string };
    if (podIP !== undefined) this.#addresses.delete(podIP);
    this.#server.remove('Pod', pod.metadata.namespace, pod.metadata.name);
  }
}
