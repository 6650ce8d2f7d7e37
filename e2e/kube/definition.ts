/** The definition of WalrusCluster in the cluster of the tests. */
import { LocalCluster } from './cluster.ts';
import type { KubeCluster } from './cluster.ts';

const DEFINITION = 'walrusclusters.walrus.io';

/**
 * Whether the tests may change the definition, and remove it at their end: every WalrusCluster goes with it. On a cluster of somebody else
 * only where there is none. To be asked before anything is installed.
 */
export async function isDefinitionOurs(cluster: KubeCluster): Promise<boolean> {
  if (cluster instanceof LocalCluster) return true;
  const found = await cluster.kubectl(['get', 'crd', DEFINITION, '--ignore-not-found', '-o=name']);
  return found.trim() === '';
}

export async function removeDefinition(cluster: KubeCluster): Promise<void> {
  await cluster.kubectl(['delete', 'crd', DEFINITION, '--wait']);
}
