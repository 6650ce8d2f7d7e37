/** What a cluster holds from its start: a StorageClass without provisioner, and the nodes' local disks. */
import { nodeNames } from './spec.ts';
import type { ClusterSpec } from './spec.ts';

export const STORAGE_CLASS = 'local';
/** What a volume says it has; nothing holds it to that. */
export const DISK_SIZE = '20Gi';

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** A List for `kubectl apply`. */
export function listOf(items: readonly KubeObject[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

export function initialObjects(spec: ClusterSpec): KubeObject[] {
  const volumes = nodeNames(spec).flatMap((node) =>
    Array.from({ length: spec.disksPerNode }, (_, disk) => localVolume(node, disk)),
  );
  return [storageClass(), ...volumes];
}

function storageClass(): KubeObject {
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: {
      name: STORAGE_CLASS,
      ...{ annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    },
    provisioner: 'kubernetes.io/no-provisioner',
    volumeBindingMode: 'WaitForFirstConsumer',
    reclaimPolicy: 'Retain',
  };
}

export function volumeName(node: string, disk: number): string {
  return `${node}-d${disk}`;
}

/** The PersistentVolume of one local disk, which the node sees as /mnt/disks/dN. */
function localVolume(node: string, disk: number): KubeObject {
  const isThere = { key: 'kubernetes.io/hostname', operator: 'In', values: [node] };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: volumeName(node, disk) },
    spec: {
      capacity: { storage: DISK_SIZE },
      accessModes: ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: STORAGE_CLASS,
      local: { path: `/mnt/disks/d${disk}` },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [isThere] }] } },
    },
  };
}
