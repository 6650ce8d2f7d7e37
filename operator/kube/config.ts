/** Which API server the operator talks to, and as whom. */
import type { KubeConfig } from '@kubernetes/client-node';
import { messageOf, WalrusError } from '../../base/errors.ts';

/**
 * Fills the configuration with what kubectl would use. The client library finds out with the first request that it
 * cannot be used, in the middle of a running operator, and without any takes a port of this machine.
 * @throws {WalrusError} INVALID_CONFIG
 */
export function loadUsable<
  Config extends Pick<KubeConfig, 'loadFromDefault' | 'getCurrentCluster'>,
>(config: Config): Config {
  try {
    config.loadFromDefault();
  } catch (error) {
    throw unusable(messageOf(error), error);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw unusable('its current context names no cluster');
  const { server, skipTLSVerify } = cluster;
  if (server.startsWith('http:') && !skipTLSVerify) throw unusable(`${server} is not https`);
  return config;
}

function unusable(why: string, cause?: unknown): WalrusError {
  const message =
    'No API server of Kubernetes is known: this is no pod with a service account, and neither KUBECONFIG nor ' +
    `~/.kube/config leads to one (${why})`;
  return new WalrusError('INVALID_CONFIG', message, { cause });
}
