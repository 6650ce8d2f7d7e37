/**
 * Does what a plan says, and nothing else. Each write is conditional on what the plan was made of: an object that has
 * changed since refuses it, and the next pass sees why.
 */
import { assert } from '../../base/assert.ts';
import type { Logger } from '../../base/log.ts';
import { API_VERSION, BOOTSTRAP_DISK_ANNOTATION, KIND } from '../api/walrusCluster.ts';
import type { WalrusCluster, WalrusClusterStatus } from '../api/walrusCluster.ts';
import { claimName, namesOf } from '../desired/names.ts';
import type { KubernetesObject } from '../desired/types.ts';
import { APPLY, MERGE, isKubeError, isRefusal } from '../kube/api.ts';
import type { Json, KubeApi, KubeError } from '../kube/api.ts';
import { assertHeld } from '../kube/lease.ts';
import type { Term } from '../kube/lease.ts';
import { kindOf, objectPath } from '../kube/paths.ts';
import { isIdle } from '../observe/types.ts';
import { AdminRefusal } from '../observe/adminClient.ts';
import type { AdminClient } from '../observe/adminClient.ts';
import type { Observed } from '../observe/types.ts';
import { BUSY } from '../plan/refusedAction.ts';
import type { RiskyAction, Write } from '../plan/types.ts';

export const FIELD_MANAGER = 'walrus-operator';
/** Its pod has found a host, and a volume is being made for it: while that takes, neither is told of the other. */
const SELECTED_NODE = 'volume.kubernetes.io/selected-node';
const SCALE_MANAGER = `${FIELD_MANAGER}-scale`;

/** Of a deletion. */
interface Preconditions {
  readonly uid: string;
  readonly resourceVersion?: string;
}

export interface ApplierOptions {
  readonly api: KubeApi;
  readonly admin: AdminClient;
  readonly logger: Logger;
  /** In which all of it was decided. */
  readonly term: Term;
}

export class Applier {
  readonly #options: ApplierOptions;

  constructor(options: ApplierOptions) {
    this.#options = options;
  }

  /** @throws {KubeError} a conflict too: look again, then decide again; {Deposed} */
  async write(cluster: WalrusCluster, write: Write): Promise<void> {
    const { namespace, name } = cluster.metadata;
    switch (write.type) {
      case 'Apply': {
        const { object, kept } = write;
        if (kept !== undefined) await this.#keepReplicas(object, kept);
        await this.#apply(FIELD_MANAGER, object);
        break;
      }
      case 'Delete':
        this.#log('deleting a child', { kind: write.kind, name: write.name });
        await this.#delete(objectPath(kindOf(write.kind), namespace, write.name), {
          uid: write.uid,
        });
        break;
      case 'NoteClaim': {
        const annotations = { [BOOTSTRAP_DISK_ANNOTATION]: write.bootstrapDisk };
        this.#log('noting on a volume claim that the cluster begins', { claim: write.name });
        await this.#request({
          method: 'PATCH',
          path: objectPath(kindOf('PersistentVolumeClaim'), namespace, write.name),
          query: { fieldManager: FIELD_MANAGER },
          contentType: MERGE,
          body: { metadata: { uid: write.uid, annotations } },
        });
        break;
      }
      case 'Annotate': {
        const { annotations, resourceVersion } = write;
        this.#log('writing down', annotations);
        await this.#request({
          method: 'PATCH',
          path: objectPath(kindOf(KIND), namespace, name),
          query: { fieldManager: FIELD_MANAGER },
          contentType: MERGE,
          body: { metadata: { annotations, resourceVersion } },
        });
        break;
      }
    }
  }

  /**
   * @throws {AdminRefusal} a node or the API server says No: it is tried again, and the cluster's other passes go on
   * @throws {KubeError}, {Deposed}
   */
  async act(observed: Observed, action: RiskyAction): Promise<void> {
    assertHeld(this.#options.term);
    try {
      await this.#act(observed, action);
    } catch (error) {
      throw isRefusal(error) ? new AdminRefusal('Refused', error.message, error) : error;
    }
  }

  /** What is done is a line in the log, and nothing that was refused. */
  async #act(observed: Observed, action: RiskyAction): Promise<void> {
    switch (action.type) {
      case 'Bootstrap': {
        const { ordinal, clusterId, diskId } = action;
        await this.#options.admin.bootstrap(hostOf(observed, ordinal), { clusterId, diskId });
        this.#log('the cluster has begun', { ordinal, clusterId, diskId });
        break;
      }
      case 'TransferLeadership': {
        const { from, epoch } = action;
        await this.#options.admin.transferLeadership(hostOf(observed, from), { to: null, epoch });
        this.#log('moved the metadata leadership', { from, epoch });
        break;
      }
      case 'SetVoters': {
        const { leader, metadataVoters, epoch } = action;
        await this.#options.admin.setVoters(hostOf(observed, leader), { metadataVoters, epoch });
        this.#log('changed the number of metadata voters', { metadataVoters, epoch });
        break;
      }
      case 'Scale':
        await this.#scale(observed.cluster, action);
        break;
      case 'RestartPod':
        await this.#restart(observed, action);
        break;
    }
  }

  /** They get an owner of their own first: an apply takes back what nobody else owns and it does not name any more. */
  async #keepReplicas(
    { apiVersion, kind, metadata: { name, namespace } }: KubernetesObject,
    { replicas, resourceVersion }: { replicas: number; resourceVersion: string },
  ): Promise<void> {
    const metadata = { name, namespace, resourceVersion };
    await this.#apply(SCALE_MANAGER, { apiVersion, kind, metadata, spec: { replicas } });
  }

  async #apply(fieldManager: string, object: KubernetesObject): Promise<void> {
    const { kind, metadata } = object;
    this.#log('applying a child', { kind, name: metadata.name });
    await this.#request({
      method: 'PATCH',
      path: objectPath(kindOf(kind), metadata.namespace, metadata.name),
      query: { fieldManager, force: 'true' },
      contentType: APPLY,
      body: object,
    });
  }

  /** The status subresource; the object may have changed elsewhere meanwhile, which is no matter. */
  async writeStatus(cluster: WalrusCluster, status: WalrusClusterStatus): Promise<void> {
    const { namespace, name } = cluster.metadata;
    await this.#request({
      method: 'PATCH',
      path: `${objectPath(kindOf(KIND), namespace, name)}/status`,
      query: { fieldManager: FIELD_MANAGER, force: 'true' },
      contentType: APPLY,
      body: { apiVersion: API_VERSION, kind: KIND, metadata: { name, namespace }, status },
    });
  }

  async #restart(observed: Observed, action: RiskyAction & { type: 'RestartPod' }): Promise<void> {
    const { namespace } = observed.cluster.metadata;
    const { ordinal, name, uid, isGated, isWithinBudget, why } = action;
    // What was said when the pass began may be old by now: writes may take long, and who waited to join may have joined.
    if (isGated) await this.#askAgain(observed, ordinal);
    else await this.#askWhetherItServes(observed, ordinal);
    if (isWithinBudget) await this.#evict({ namespace, name }, uid);
    else await this.#delete(objectPath(kindOf('Pod'), namespace, name), asSeen(observed, uid));
    this.#log('restarted a pod', { pod: name, why });
  }

  /** As a drain of a host does it: of two at once, the PodDisruptionBudget lets one through. */
  async #evict(metadata: { namespace: string; name: string }, uid: string): Promise<void> {
    try {
      await this.#request({
        method: 'POST',
        path: `${objectPath(kindOf('Pod'), metadata.namespace, metadata.name)}/eviction`,
        body: {
          apiVersion: 'policy/v1',
          kind: 'Eviction',
          metadata,
          deleteOptions: { preconditions: { uid } },
        },
      });
    } catch (error) {
      if (isKubeError(error, 404)) return;
      if (!isKubeError(error, 429)) throw error;
      const reason = isBudgetUsedUp(error) ? 'DisruptionBudget' : BUSY;
      throw new AdminRefusal(reason, error.message, error);
    }
  }

  async #askAgain(observed: Observed, ordinal: number): Promise<void> {
    const leader = observed.admin.cluster?.leader.nodeId ?? ordinal;
    const verdict = await this.#options.admin.canRestart(hostOf(observed, leader), ordinal);
    if (verdict === null) throw new AdminRefusal('NoAnswer', 'the nodes do not answer any more');
    if (!verdict.isAllowed) throw new AdminRefusal(verdict.reason, verdict.message);
  }

  async #askWhetherItServes({ pods }: Observed, ordinal: number): Promise<void> {
    const ip = pods.find((pod) => pod.ordinal === ordinal)?.ip ?? null;
    const node = ip === null ? null : await this.#options.admin.node(ip);
    if (node === null || node.nodeId !== ordinal || isIdle(node)) return;
    throw new AdminRefusal('ServesNow', `node ${ordinal} serves by now`);
  }

  async #scale(
    cluster: WalrusCluster,
    { from, to, resourceVersion }: RiskyAction & { type: 'Scale' },
  ): Promise<void> {
    const { namespace } = cluster.metadata;
    const name = namesOf(cluster).statefulSet;
    if (to < from) await this.#askWhetherItIsUnused(cluster, from);
    await this.#request({
      method: 'PUT',
      path: `${objectPath(kindOf('StatefulSet'), namespace, name)}/scale`,
      query: { fieldManager: SCALE_MANAGER },
      body: {
        apiVersion: 'autoscaling/v1',
        kind: 'Scale',
        metadata: { name, namespace, resourceVersion },
        spec: { replicas: to },
      },
    });
    this.#log('changed the number of pods', { from, to });
  }

  /** What the watches have told may be old: a pod that has found a host by now starts once its claim has a volume. */
  async #askWhetherItIsUnused(cluster: WalrusCluster, ordinal: number): Promise<void> {
    const name = claimName(cluster, ordinal);
    const path = objectPath(kindOf('PersistentVolumeClaim'), cluster.metadata.namespace, name);
    try {
      const { metadata, spec } = await this.#request({ method: 'GET', path });
      const isWaiting = (spec as { volumeName?: string }).volumeName === undefined;
      const { annotations = {} } = metadata as { annotations?: Record<string, string> };
      if (isWaiting && annotations[SELECTED_NODE] === undefined) return;
    } catch (error) {
      if (isKubeError(error, 404)) return;
      throw error;
    }
    throw new AdminRefusal('HasVolume', `node ${ordinal} has a volume by now, or is getting one`);
  }

  /** By UID: never another object that has taken the name meanwhile. */
  async #delete(path: string, preconditions: Preconditions): Promise<void> {
    try {
      await this.#request({
        method: 'DELETE',
        path,
        body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions },
      });
    } catch (error) {
      if (!isKubeError(error, 404)) throw error;
    }
  }

  async #request(request: Parameters<KubeApi['request']>[0]): Promise<Json> {
    const { api, term } = this.#options;
    assertHeld(term);
    return api.request({ ...request, signal: term.signal });
  }

  #log(message: string, fields: Readonly<Record<string, string | number>>): void {
    this.#options.logger.log('info', message, fields);
  }
}

/** It serves nothing by what was seen of it, which may be old: one that has come up since is looked at again. */
function asSeen({ pods }: Observed, uid: string): Preconditions {
  const pod = pods.find((candidate) => candidate.uid === uid);
  assert(pod !== undefined, 'a pod that is restarted was seen');
  return { uid, resourceVersion: pod.resourceVersion };
}

/** Other answers of that status ask for a little time: the budget is still being computed, or the server has too much to do. */
function isBudgetUsedUp({ details }: KubeError): boolean {
  const isOfBudget = (details.causes ?? []).some(({ reason }) => reason === 'DisruptionBudget');
  return isOfBudget && (details.retryAfterSeconds ?? 0) === 0;
}

function hostOf({ pods }: Observed, ordinal: number): string {
  const ip = pods.find((pod) => pod.ordinal === ordinal)?.ip;
  if (ip === undefined || ip === null) throw new TypeError(`Pod ${ordinal} has no address`);
  return ip;
}
