/** Everything that a WalrusCluster stands for, as objects. Pure: from the spec alone, never from what is seen. */
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { monitoringObjects } from './monitoring.ts';
import { marked } from './object.ts';
import { disruptionBudget, networkPolicy, serviceAccount } from './policies.ts';
import { adminService, clientService, nodesService } from './services.ts';
import { statefulSet } from './statefulSet.ts';
import type { Desired, DesiredOptions, OperatorDefaults } from './types.ts';

function imageOf({ spec }: WalrusCluster, defaults: OperatorDefaults): string {
  if (spec.image !== undefined) return spec.image;
  if (spec.version === undefined && defaults.image !== undefined) return defaults.image;
  return `${defaults.imageRepository}:${versionOf(spec.version, defaults)}`;
}

function versionOf(version: string | undefined, defaults: OperatorDefaults): string {
  return version ?? defaults.version;
}

export function desired(cluster: WalrusCluster, { defaults }: DesiredOptions): Desired {
  const image = imageOf(cluster, defaults);
  return {
    statefulSet: marked(statefulSet(cluster, image)),
    image,
    version: cluster.spec.image === undefined ? versionOf(cluster.spec.version, defaults) : null,
    others: [
      serviceAccount(cluster),
      nodesService(cluster),
      clientService(cluster),
      adminService(cluster),
      disruptionBudget(cluster),
      ...(cluster.spec.networkPolicy ? [networkPolicy(cluster, defaults)] : []),
      ...monitoringObjects(cluster, defaults),
    ].map(marked),
  };
}
