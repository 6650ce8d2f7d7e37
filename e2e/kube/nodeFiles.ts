/** The configuration of one node: containerd, its network, kubelet and kube-proxy. JSON is YAML, too. */
import { nodeAddress, podRangeOf } from './addresses.ts';
import { addressesIn, cgroupOf, nodeNumber, pathsOf, zoneOf } from './spec.ts';
import type { ClusterSpec } from './spec.ts';

export const PAUSE_IMAGE = 'walrus.local/pause:e2e';

const PODS_PER_NODE_MAX = 60;

/** All files of a node with their content. */
export function nodeFiles(spec: ClusterSpec, node: string, cniBin: string): Record<string, string> {
  const paths = pathsOf(spec.dir).node(node);
  return {
    [paths.containerdConfig]: containerd(spec, node, cniBin),
    [paths.cniConfig]: JSON.stringify(podNetwork(spec, node)),
    [paths.kubeletConfig]: JSON.stringify(kubelet(spec, node)),
    [paths.proxyConfig]: JSON.stringify(proxy(spec, node)),
    [paths.resolvConf]: '',
  };
}

/** Read by kubelet when it registers its node. */
export function nodeLabels(spec: ClusterSpec, node: string): string {
  return `topology.kubernetes.io/region=region-1,topology.kubernetes.io/zone=${zoneOf(spec, node)}`;
}

function containerd(spec: ClusterSpec, node: string, cniBin: string): string {
  const paths = pathsOf(spec.dir).node(node);
  // restrict_oom_score_adj: without CAP_SYS_RESOURCE runc may not lower it, and fails.
  return `version = 2
root = "${paths.dir}/containerd"
state = "/run/containerd"
[grpc]
address = "${paths.socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "${paths.dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${PAUSE_IMAGE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "${cniBin}"
conf_dir = "${paths.dir}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
`;
}

function podNetwork(spec: ClusterSpec, node: string): unknown {
  const subnet = podRangeOf(addressesIn(spec), nodeNumber(node));
  const ranges = [[{ subnet }]];
  const routes = [{ dst: '0.0.0.0/0' }];
  const ipam = { type: 'host-local', dataDir: '/run/cni-ipam', ranges, routes };
  const bridge = { type: 'bridge', bridge: 'cni0', isGateway: true, hairpinMode: true, ipam };
  return { cniVersion: '1.0.0', name: 'pods', plugins: [bridge] };
}

function kubelet(spec: ClusterSpec, node: string): unknown {
  const { pki, node: nodeOf } = pathsOf(spec.dir);
  const paths = nodeOf(node);
  const addresses = addressesIn(spec);
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: nodeAddress(addresses, nodeNumber(node)),
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: `${pki}/ca.crt` },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: `${pki}/${node}.crt`,
    tlsPrivateKeyFile: `${pki}/${node}.key`,
    containerRuntimeEndpoint: `unix://${paths.socket}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroupOf(spec.name)}/${node}`,
    failCgroupV1: false,
    failSwapOn: false,
    clusterDNS: [addresses.controlPlane],
    clusterDomain: 'cluster.local',
    resolvConf: paths.resolvConf,
    healthzBindAddress: '127.0.0.1',
    volumePluginDir: `${paths.dir}/flex`,
    // All nodes share one disk and one memory: theirs do not tell how full a node is.
    evictionHard: {
      'nodefs.available': '1%',
      'imagefs.available': '1%',
      'memory.available': '50Mi',
    },
    imageGCHighThresholdPercent: 100,
    nodeStatusUpdateFrequency: '2s',
    nodeLeaseDurationSeconds: 10,
    maxPods: PODS_PER_NODE_MAX,
    crashLoopBackOff: { maxContainerRestartPeriod: '1s' },
  };
}

function proxy(spec: ClusterSpec, node: string): unknown {
  const addresses = addressesIn(spec);
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clientConnection: { kubeconfig: pathsOf(spec.dir).kubeconfigOf(`${node}-proxy`) },
    hostnameOverride: node,
    clusterCIDR: addresses.podRange,
    bindAddress: nodeAddress(addresses, nodeNumber(node)),
    healthzBindAddress: '127.0.0.1:10256',
    metricsBindAddress: '127.0.0.1:10249',
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  };
}
