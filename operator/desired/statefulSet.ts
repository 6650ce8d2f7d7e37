/** The StatefulSet: one pod for each node, its volume, and how it starts, is asked and stops. Without `replicas`: the plan sets them. */
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { CLUSTER_ID_ANNOTATION } from '../api/walrusCluster.ts';
import { durationMs } from './duration.ts';
import { DATA_DIR, environmentOf } from './environment.ts';
import {
  CLIENT_PORT,
  DATA,
  FIRST_ORDINAL,
  HTTP_PORT,
  NODE,
  PEER_PORT,
  labelsOf,
  namesOf,
  selectorOf,
} from './names.ts';
import { child } from './object.ts';
import { resourcesOf } from './resources.ts';
import type { KubernetesObject } from './types.ts';

/** Of the image. */
const USER_ID = 10001;
/** What a stopping node takes beside its drain: closing its disk and its connections. */
const CLOSE_S = 15;
const REVISION_HISTORY = 5;

/** Restarted by its kubelet only when it does not answer at all; taken out of Services when it says that it cannot serve. */
const PROBES = {
  startupProbe: { ...get('/livez'), periodSeconds: 1, timeoutSeconds: 2, failureThreshold: 300 },
  livenessProbe: { ...get('/livez'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
  readinessProbe: { ...get('/readyz'), periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 2 },
};

function get(path: string): object {
  return { httpGet: { path, port: 'http', scheme: 'HTTP' } };
}

function port(name: string, containerPort: number): object {
  return { name, containerPort, protocol: 'TCP' };
}

function container(cluster: WalrusCluster, image: string): object {
  const { spec } = cluster;
  const drainS = Math.ceil(durationMs(spec.drainTimeout) / 1000);
  return {
    name: NODE,
    image,
    ...(spec.imagePullPolicy === undefined ? {} : { imagePullPolicy: spec.imagePullPolicy }),
    args: ['node'],
    env: environmentOf(cluster),
    ports: [port('client', CLIENT_PORT), port('peer', PEER_PORT), port('http', HTTP_PORT)],
    ...PROBES,
    lifecycle: {
      preStop: { exec: { command: ['walrus', 'drain', '--wait', `${drainS}s`] } },
    },
    resources: resourcesOf(cluster),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [{ name: DATA, mountPath: DATA_DIR }],
  };
}

function affinity({ spec, ...cluster }: WalrusCluster): object {
  const { allowSharedHosts, affinity: given = {} } = spec.placement;
  if (allowSharedHosts) return given;
  const pods = (given['podAntiAffinity'] ?? {}) as Readonly<Record<string, unknown>>;
  const required = (pods['requiredDuringSchedulingIgnoredDuringExecution'] ?? []) as object[];
  const ownHost = {
    topologyKey: 'kubernetes.io/hostname',
    labelSelector: { matchLabels: selectorOf({ spec, ...cluster }) },
  };
  return {
    ...given,
    podAntiAffinity: {
      ...pods,
      requiredDuringSchedulingIgnoredDuringExecution: [...required, ownHost],
    },
  };
}

function podSpec(cluster: WalrusCluster, image: string): object {
  const { spec } = cluster;
  const { nodeSelector, tolerations, topologyKey } = spec.placement;
  const drainS = Math.ceil(durationMs(spec.drainTimeout) / 1000);
  return {
    serviceAccountName: namesOf(cluster).serviceAccount,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    // The hook drains, then the node itself has its time, which it hardly needs any more.
    terminationGracePeriodSeconds: 2 * drainS + CLOSE_S,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER_ID,
      runAsGroup: USER_ID,
      fsGroup: USER_ID,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    ...(spec.imagePullSecrets === undefined ? {} : { imagePullSecrets: spec.imagePullSecrets }),
    ...(spec.priorityClassName === undefined ? {} : { priorityClassName: spec.priorityClassName }),
    ...(nodeSelector === undefined ? {} : { nodeSelector }),
    ...(tolerations === undefined ? {} : { tolerations }),
    affinity: affinity(cluster),
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey,
        // A volume binds a pod to its zone: a hard rule would leave pods without a place for good.
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: selectorOf(cluster) },
      },
    ],
    containers: [container(cluster, image)],
  };
}

function template(cluster: WalrusCluster, image: string): object {
  const { labels, annotations } = cluster.spec.podTemplate ?? {};
  return {
    metadata: {
      labels: { ...labels, ...labelsOf(cluster) },
      annotations: {
        ...annotations,
        'prometheus.io/scrape': 'true',
        'prometheus.io/port': String(HTTP_PORT),
        'prometheus.io/path': '/metrics',
      },
    },
    spec: podSpec(cluster, image),
  };
}

export function statefulSet(cluster: WalrusCluster, image: string): KubernetesObject {
  const { storage } = cluster.spec;
  return child(
    cluster,
    ['apps/v1', 'StatefulSet'],
    { name: namesOf(cluster).statefulSet },
    {
      spec: {
        serviceName: namesOf(cluster).nodes,
        podManagementPolicy: 'Parallel',
        updateStrategy: { type: 'OnDelete' },
        ordinals: { start: FIRST_ORDINAL },
        revisionHistoryLimit: REVISION_HISTORY,
        persistentVolumeClaimRetentionPolicy: {
          whenDeleted: storage.retention?.onDelete ?? 'Retain',
          whenScaled: 'Retain',
        },
        selector: { matchLabels: selectorOf(cluster) },
        template: template(cluster, image),
        volumeClaimTemplates: [
          {
            apiVersion: 'v1',
            kind: 'PersistentVolumeClaim',
            metadata: {
              name: DATA,
              labels: labelsOf(cluster),
              // By it a cluster that is made again on these volumes knows who it is.
              annotations: {
                [CLUSTER_ID_ANNOTATION]:
                  cluster.metadata.annotations?.[CLUSTER_ID_ANNOTATION] ?? '',
              },
            },
            spec: {
              accessModes: ['ReadWriteOnce'],
              ...(storage.storageClassName === undefined
                ? {}
                : { storageClassName: storage.storageClassName }),
              resources: { requests: { storage: storage.size } },
            },
          },
        ],
      },
    },
  );
}
