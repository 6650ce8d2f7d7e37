/** What all children have in common. */
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { labelsOf } from './names.ts';
import type { KubernetesObject, OwnerReference } from './types.ts';

function ownerOf({ apiVersion, kind, metadata: { name, uid } }: WalrusCluster): OwnerReference {
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** A child that is deleted with its cluster. */
export function child(
  cluster: WalrusCluster,
  [apiVersion, kind]: readonly [apiVersion: string, kind: string],
  metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  },
  content: Readonly<Record<string, unknown>>,
): KubernetesObject {
  const { annotations, labels } = metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      name: metadata.name,
      namespace: cluster.metadata.namespace,
      labels: { ...labels, ...labelsOf(cluster) },
      ...(annotations === undefined ? {} : { annotations }),
      ownerReferences: [ownerOf(cluster)],
    },
    ...content,
  };
}
