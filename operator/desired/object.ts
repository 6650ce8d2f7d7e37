/** What all children have in common. */
import { crc32c } from '../../base/crc32c.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { APPLIED_ANNOTATION } from '../api/walrusCluster.ts';
import { labelsOf } from './names.ts';
import type { KubernetesObject, OwnerReference } from './types.ts';

function ownerOf({ apiVersion, kind, metadata: { name, uid } }: WalrusCluster): OwnerReference {
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/**
 * With a mark of all that is wanted of it. What is wanted no longer cannot be told from what others have added; by the mark
 * it is seen that something was taken away, and the apply takes it back. It is never on a pod's template.
 */
export function marked(object: KubernetesObject): KubernetesObject {
  const { metadata } = object;
  const checksum = crc32c(new TextEncoder().encode(JSON.stringify(object)));
  const mark = { [APPLIED_ANNOTATION]: `crc32c-${checksum.toString(16)}` };
  return {
    ...object,
    metadata: { ...metadata, annotations: { ...metadata.annotations, ...mark } },
  };
}

/** As it is made, when it is to be applied once more. */
export function unmarked(object: KubernetesObject): KubernetesObject {
  const { annotations = {}, ...metadata } = object.metadata;
  const others = Object.entries(annotations).filter(([name]) => name !== APPLIED_ANNOTATION);
  return { ...object, metadata: { ...metadata, annotations: Object.fromEntries(others) } };
}

export function isMarked({ metadata }: Readonly<Record<string, unknown>>): boolean {
  const { annotations = {} } = metadata as KubernetesObject['metadata'];
  return annotations[APPLIED_ANNOTATION] !== undefined;
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
