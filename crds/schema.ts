/**
 * The WalrusCluster, declared once: its TypeScript types (operator/api/walrusCluster.ts) and its CustomResourceDefinition (crd.ts)
 * both follow from here. A structural schema of OpenAPI v3 as Kubernetes wants it: every list, map and string is
 * bounded, so that the cost of its CEL rules is. No field without a function.
 */
import { Type } from '@sinclair/typebox';
import { duration } from '../node/config/kinds.ts';
import { SETTINGS } from '../node/config/settings.ts';
import {
  amounts,
  annotations,
  asKubernetesHasIt,
  defaulted,
  described,
  imageName,
  labelKey,
  labels,
  listOf,
  namespaceName,
  object,
  objectName,
  oneOf,
  quantity,
  tagName,
} from './fields.ts';
import type { Rule } from './fields.ts';
import { CONFIG_RULES, amount, amountSetting, numberSetting } from './nodeSettings.ts';

const SECOND = 1000;
const HOUR = 3_600_000;
/** Of the operator, but of the same kind as the settings of the nodes. */
const CATCH_UP_TIMEOUT = duration({
  default: HOUR / 6,
  min: 10 * SECOND,
  max: 24 * HOUR,
  description: 'A restarted node that has not caught up within it blocks the roll, visibly.',
});

/** Enough for whatever scrapes, and few enough to be read. */
const NAMESPACES_MAX = 16;

const storage = object(
  {
    storageClassName: Type.Optional(
      described(
        "The StorageClass of the nodes' volumes: local NVMe, best. Absent: the default class.",
        objectName(),
      ),
    ),
    size: described('How much each node asks for.', quantity('10Gi')),
    retention: Type.Optional(
      described(
        'What becomes of the volume claims.',
        object({
          onDelete: described(
            'When the WalrusCluster is deleted.',
            oneOf(['Retain', 'Delete'], 'Retain'),
          ),
        }),
      ),
    ),
  },
  [
    {
      rule: "!isQuantity(self.size) || !quantity(self.size).isLessThan(quantity('256Mi'))",
      message: 'size must be at least 256Mi',
    },
    {
      rule: 'self.size == oldSelf.size',
      message: 'size cannot be changed after the cluster was made',
    },
    {
      rule: 'has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)',
      message: 'storageClassName cannot be changed after the cluster was made',
    },
  ],
);

/** Settings that the cluster takes once, when it begins. */
const AT_THE_BEGINNING = ['maxSegmentEntries', 'maxSegmentBytes', 'maxSegmentAge'] as const;

const config = object(
  {
    maxSegmentEntries: Type.Optional(
      numberSetting(
        'maxSegmentEntries',
        'A segment with so many records is sealed. Taken when the cluster begins.',
      ),
    ),
    maxSegmentBytes: Type.Optional(
      amountSetting('maxSegmentBytes', {
        description: 'The same for the bytes of a segment. Taken when the cluster begins.',
      }),
    ),
    maxSegmentAge: Type.Optional(
      amountSetting('maxSegmentAge', {
        description: 'The same for the age of a segment. Taken when the cluster begins.',
      }),
    ),
    sessionTimeout: Type.Optional(
      amountSetting('sessionTimeout', {
        description: 'A node that is not heard of for so long counts as down.',
      }),
    ),
    requestTimeout: Type.Optional(
      amountSetting('requestTimeout', {
        description: 'A request that is not answered within it fails.',
      }),
    ),
    maxFrameBytes: Type.Optional(
      amountSetting('maxFrameBytes', { description: 'The largest request of a client.' }),
    ),
    maxConnections: Type.Optional(numberSetting('maxConnections', 'Client connections at once.')),
    maxConnectionInFlightBytes: Type.Optional(
      amountSetting('maxConnectionInFlightBytes', {
        description: 'Requests and replies in memory for one connection.',
      }),
    ),
    maxNodeInFlightBytes: Type.Optional(
      amountSetting('maxNodeInFlightBytes', {
        description: 'The same for all connections of a node together.',
      }),
    ),
    maxPeerQueueBytes: Type.Optional(
      amountSetting('maxPeerQueueBytes', { description: 'Messages that wait for one other node.' }),
    ),
    maxFetchBytes: Type.Optional(
      amountSetting('maxFetchBytes', { description: 'The most that one fetch gets.' }),
    ),
    scrubInterval: Type.Optional(
      amountSetting('scrubInterval', {
        description: 'Between two passes of the scrub over the copies on a disk.',
      }),
    ),
    scrubBytesPerSecond: Type.Optional(
      amountSetting('scrubBytesPerSecond', {
        description: 'How much a pass of the scrub reads in a second; 0: no scrub.',
      }),
    ),
    logLevel: Type.Optional(
      described('The least severe log lines.', oneOf(SETTINGS.logLevel.values)),
    ),
  },
  CONFIG_RULES,
);

/** A rule of the whole spec: one of `config` alone would not see it come, or go, as a whole. */
function takenOnce(field: string): Rule {
  const has = (self: string): string => `(has(${self}.config) && has(${self}.config.${field}))`;
  return {
    rule: `${has('self')} == ${has('oldSelf')} && (!${has('self')} || self.config.${field} == oldSelf.config.${field})`,
    message: `${field} is taken when the cluster begins and cannot be changed`,
  };
}

const resources = object(
  {
    requests: Type.Optional(
      described(
        'What a host must have free. Each that is absent has its default: cpu 250m, memory 256Mi, or the limit where that is less.',
        amounts,
      ),
    ),
    limits: Type.Optional(
      described(
        'The most that a node may take. memory: at least 256Mi; absent: 1Gi, or the request where that is more. No limit of cpu unless it is given.',
        amounts,
      ),
    ),
  },
  [
    {
      rule: '!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in self.limits) || !isQuantity(string(self.requests[name])) || !isQuantity(string(self.limits[name])) || !quantity(string(self.requests[name])).isGreaterThan(quantity(string(self.limits[name]))))',
      message: 'requests cannot be more than limits',
    },
    {
      rule: "!has(self.limits) || !('memory' in self.limits) || !isQuantity(string(self.limits['memory'])) || !quantity(string(self.limits['memory'])).isLessThan(quantity('256Mi'))",
      message:
        'limits.memory must be at least 256Mi: with less, a node ends for want of memory, or once a command runs beside it',
    },
  ],
);

const toleration = object({
  key: Type.Optional(
    described(
      'The key of the taint; absent: of any, with operator Exists.',
      Type.String({ maxLength: 316 }),
    ),
  ),
  operator: Type.Optional(
    described(
      'Equal: the taint has this value. Exists: it may have any. Absent: Equal.',
      oneOf(['Exists', 'Equal']),
    ),
  ),
  value: Type.Optional(
    described('The value of the taint, with operator Equal.', Type.String({ maxLength: 63 })),
  ),
  effect: Type.Optional(
    described(
      'The effect of the taint; absent: any.',
      oneOf(['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
    ),
  ),
  tolerationSeconds: Type.Optional(
    described(
      'How long a pod stays on a host that gets a taint with effect NoExecute; absent: for good.',
      Type.Integer({ minimum: 0 }),
    ),
  ),
});

const placement = object({
  topologyKey: described(
    'The label of Kubernetes nodes whose values are failure domains: pods, and the copies of each segment, are spread over them, as far as there is room.',
    labelKey('topology.kubernetes.io/zone'),
  ),
  nodeSelector: Type.Optional(described('Only nodes with these labels.', labels())),
  tolerations: Type.Optional(described('Taints that the pods tolerate.', listOf(toleration, 16))),
  affinity: Type.Optional(
    described(
      'Further affinity, as a pod has it. Two nodes of a cluster never share a host, whatever it says.',
      asKubernetesHasIt(),
    ),
  ),
  allowSharedHosts: described(
    'Let several nodes run on one host: for development, since one host takes several copies with it, and perhaps most of the metadata voters: that they are spread over hosts is not asked for then, and over zones only as far as there is room.',
    Type.Boolean({ default: false }),
  ),
});

export const spec = object(
  {
    replicas: described(
      'Nodes: 1, or 3 and more. Two are no use: losing either would stop the cluster.',
      Type.Integer({ minimum: 1, maximum: 99, default: 3 }),
    ),
    version: Type.Optional(
      described(
        "The version of Walrus: the image's tag, unless `image` is given. Absent: the operator's own version, and, without `image`, its own image.",
        tagName(),
      ),
    ),
    image: Type.Optional(
      described('The whole image, instead of the one by `version`.', imageName()),
    ),
    imagePullPolicy: Type.Optional(
      described('When the image is pulled.', oneOf(['Always', 'IfNotPresent', 'Never'])),
    ),
    imagePullSecrets: Type.Optional(
      described(
        'Secrets by which the image is pulled.',
        listOf(
          object({ name: described('Of a Secret in the namespace of the cluster.', objectName()) }),
          8,
        ),
      ),
    ),
    metadataVoters: Type.Optional(
      described(
        'How many nodes vote on the metadata: three do without one, five without two, seven without three. Absent: 3, and fewer while there are fewer nodes. A change restarts nothing.',
        oneOf(SETTINGS.metadataVoters.values),
      ),
    ),
    storage: described("The nodes' volumes.", defaulted(storage)),
    listeners: Type.Optional(
      described(
        'How clients reach the nodes.',
        object({
          client: described(
            'The Service of the client port.',
            object({
              serviceType: described(
                'The type of the Service.',
                oneOf(['ClusterIP', 'NodePort', 'LoadBalancer'], 'ClusterIP'),
              ),
              annotations: Type.Optional(
                described(
                  'Of the Service: what a load balancer of your cloud wants to be told.',
                  annotations(),
                ),
              ),
            }),
          ),
        }),
      ),
    ),
    config: Type.Optional(
      described('Settings of the nodes. A change restarts them, one after the other.', config),
    ),
    placement: described('Where the nodes run.', defaulted(placement)),
    resources: Type.Optional(described('Of each node.', resources)),
    podTemplate: Type.Optional(
      described(
        'Added to the pods. What Walrus itself sets wins.',
        object({
          labels: Type.Optional(described('Labels of the pods. A change restarts them.', labels())),
          annotations: Type.Optional(
            described('Annotations of the pods. A change restarts them.', annotations()),
          ),
        }),
      ),
    ),
    priorityClassName: Type.Optional(described('The PriorityClass of the pods.', objectName())),
    upgrade: Type.Optional(
      described(
        'How a change reaches the pods.',
        object({
          strategy: described(
            'Rolling: one pod at a time, as the nodes allow. Paused: not at all, until it is Rolling again.',
            oneOf(['Rolling', 'Paused'], 'Rolling'),
          ),
          catchUpTimeout: amount(CATCH_UP_TIMEOUT),
        }),
      ),
    ),
    drainTimeout: amountSetting('shutdownTimeout', {
      description: 'How long a stopping node hands over what it leads.',
      default: '30s',
    }),
    networkPolicy: described(
      'Make a NetworkPolicy: clients from everywhere, peers from the cluster only, the http port from the cluster, the operator, and Prometheus (monitoring.namespaces).',
      Type.Boolean({ default: false }),
    ),
    monitoring: Type.Optional(
      described(
        'Objects for the Prometheus operator, made when the API server has their kinds: see the condition Monitored.',
        object({
          podMonitor: described(
            'Make a PodMonitor, by which Prometheus finds the nodes.',
            Type.Boolean({ default: false }),
          ),
          prometheusRule: described(
            'Make a PrometheusRule with the alerts of docs/operations.md for this cluster.',
            Type.Boolean({ default: false }),
          ),
          namespaces: Type.Optional(
            described(
              "From where pods labelled app.kubernetes.io/name=prometheus may read the http port under networkPolicy, beside the cluster's own namespace. The admin API is on that port: name only namespaces that may use it.",
              listOf(namespaceName(), NAMESPACES_MAX),
            ),
          ),
          labels: Type.Optional(
            described('Labels of both, by which a Prometheus selects them.', labels()),
          ),
        }),
      ),
    ),
    paused: described('The operator leaves the cluster alone.', Type.Boolean({ default: false })),
  },
  [
    {
      rule: 'self.replicas != 2',
      message:
        'replicas must be 1, or 3 and more: with two nodes, the loss of either stops the cluster',
    },
    {
      rule: '!has(self.metadataVoters) || self.metadataVoters <= self.replicas',
      message: 'metadataVoters cannot be more than replicas',
    },
    ...AT_THE_BEGINNING.map(takenOnce),
  ],
);
