/** A WalrusCluster as it is read from the API server: the types follow from the schema (schema.ts). */
import type { Static } from '@sinclair/typebox';
import type { spec } from '../../crds/schema.ts';
import type { status } from '../../crds/statusSchema.ts';

export const GROUP = 'walrus.io';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;
export const KIND = 'WalrusCluster';
export const PLURAL = 'walrusclusters';

/** With the defaults of the schema, which the API server fills in. */
export type WalrusClusterSpec = Static<typeof spec>;
export type WalrusClusterStatus = Static<typeof status>;

/** The cluster's id, made once (ADR 0150). */
export const CLUSTER_ID_ANNOTATION = `${GROUP}/cluster-id`;
/** The disk on which the cluster begins, or has begun; also on its volume claims, which outlive it. */
export const BOOTSTRAP_DISK_ANNOTATION = `${GROUP}/bootstrap-disk`;
/** Which installation of the operator looks after it: `namespace/name` of its lease (ADR 0151). */
export const OPERATOR_ANNOTATION = `${GROUP}/operator`;

/** On each child: a checksum of what was applied last. */
export const APPLIED_ANNOTATION = `${GROUP}/applied`;

export interface WalrusCluster {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: typeof KIND;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation: number;
    readonly creationTimestamp: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: WalrusClusterSpec;
  readonly status?: WalrusClusterStatus;
}

/** null: nobody looks after it yet. */
export function operatorOf({ metadata }: WalrusCluster): string | null {
  const operator = metadata.annotations?.[OPERATOR_ANNOTATION] ?? '';
  return operator === '' ? null : operator;
}
