/** The command lines of the control plane, which runs as processes in one network namespace: so its ports are fixed. */
import { addressesIn, pathsOf } from './spec.ts';
import type { ClusterSpec } from './spec.ts';

const ETCD_PORT = 2379;
const ETCD_PEER_PORT = 2380;
const API_PORT = 6443;
const CONTROLLER_MANAGER_PORT = 10257;
const SCHEDULER_PORT = 10259;

/** Quick enough for tests: a node that is cut off is NotReady after 8 s. */
const NODE_MONITOR_GRACE = '8s';

export type ControlPlaneProgram =
  'etcd' | 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler' | 'coredns';

export function apiUrl(spec: ClusterSpec): string {
  return `https://${addressesIn(spec).controlPlane}:${API_PORT}`;
}

/** The arguments of one program of the control plane. */
export function argumentsOf(spec: ClusterSpec, program: ControlPlaneProgram): string[] {
  switch (program) {
    case 'etcd':
      return etcd(spec);
    case 'kube-apiserver':
      return apiServer(spec);
    case 'kube-controller-manager':
      return controllerManager(spec);
    case 'kube-scheduler':
      return scheduler(spec);
    case 'coredns':
      return ['-conf', pathsOf(spec.dir).corefile];
  }
}

function etcdUrl(spec: ClusterSpec, port: number): string {
  return `http://${addressesIn(spec).controlPlane}:${port}`;
}

function etcd(spec: ClusterSpec): string[] {
  const client = etcdUrl(spec, ETCD_PORT);
  const peer = etcdUrl(spec, ETCD_PEER_PORT);
  return [
    `--data-dir=${pathsOf(spec.dir).etcd}`,
    '--unsafe-no-fsync', // the cluster does not outlive a power cut of the machine
    '--log-level=warn',
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
  ];
}

function apiServer(spec: ClusterSpec): string[] {
  const { controlPlane, serviceRange } = addressesIn(spec);
  const { pki } = pathsOf(spec.dir);
  return [
    `--etcd-servers=${etcdUrl(spec, ETCD_PORT)}`,
    `--bind-address=${controlPlane}`,
    `--advertise-address=${controlPlane}`,
    `--secure-port=${API_PORT}`,
    `--tls-cert-file=${pki}/apiserver.crt`,
    `--tls-private-key-file=${pki}/apiserver.key`,
    `--client-ca-file=${pki}/ca.crt`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${pki}/sa.pub`,
    `--service-account-signing-key-file=${pki}/sa.key`,
    `--kubelet-client-certificate=${pki}/apiserver-kubelet-client.crt`,
    `--kubelet-client-key=${pki}/apiserver-kubelet-client.key`,
    `--kubelet-certificate-authority=${pki}/ca.crt`,
    '--kubelet-preferred-address-types=InternalIP',
    `--requestheader-client-ca-file=${pki}/ca.crt`,
    '--requestheader-allowed-names=front-proxy-client',
    '--requestheader-username-headers=X-Remote-User',
    '--requestheader-group-headers=X-Remote-Group',
    '--requestheader-extra-headers-prefix=X-Remote-Extra-',
    `--proxy-client-cert-file=${pki}/front-proxy-client.crt`,
    `--proxy-client-key-file=${pki}/front-proxy-client.key`,
    `--service-cluster-ip-range=${serviceRange}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    '--profiling=false',
  ];
}

function controllerManager(spec: ClusterSpec): string[] {
  const { pki } = pathsOf(spec.dir);
  return [
    ...ownServer(spec, 'kube-controller-manager', CONTROLLER_MANAGER_PORT),
    `--service-account-private-key-file=${pki}/sa.key`,
    `--root-ca-file=${pki}/ca.crt`,
    '--use-service-account-credentials=true',
    '--kube-api-qps=500',
    '--kube-api-burst=1000',
    `--cluster-signing-cert-file=${pki}/ca.crt`,
    `--cluster-signing-key-file=${pki}/ca.key`,
    `--flex-volume-plugin-dir=${spec.dir}/flex`,
    '--node-monitor-period=1s',
    `--node-monitor-grace-period=${NODE_MONITOR_GRACE}`,
  ];
}

function scheduler(spec: ClusterSpec): string[] {
  return ownServer(spec, 'kube-scheduler', SCHEDULER_PORT);
}

/** What every client of the API server has that also serves its own state. */
function ownServer(spec: ClusterSpec, user: string, port: number): string[] {
  const kubeconfig = pathsOf(spec.dir).kubeconfigOf(user);
  return [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    `--bind-address=${addressesIn(spec).controlPlane}`,
    `--secure-port=${port}`,
    '--leader-elect=false',
  ];
}

/** Names of pods and services, without a cache: they follow the pods at once. */
export function corefile(spec: ClusterSpec): string {
  return `.:53 {
  bind ${addressesIn(spec).controlPlane}
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ${pathsOf(spec.dir).kubeconfigOf('admin')}
    ttl 1
  }
}
`;
}
