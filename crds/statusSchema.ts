/** What the operator writes down of a WalrusCluster. See schema.ts. */
import { Type } from '@sinclair/typebox';
import type { Static, TSchema, TUnsafe } from '@sinclair/typebox';
import { described, object, oneOf } from './fields.ts';

const condition = object({
  type: described(
    'What it is about: see docs/kubernetes-reference.md.',
    Type.String({ maxLength: 64 }),
  ),
  status: described(
    'Whether it holds; Unknown: the nodes cannot be asked.',
    oneOf(['True', 'False', 'Unknown']),
  ),
  reason: described('Why, in one word for programs.', Type.String({ maxLength: 64 })),
  message: described('Why, for people.', Type.String({ maxLength: 1024 })),
  observedGeneration: described('The generation of the spec that it speaks of.', Type.Integer()),
  lastTransitionTime: described(
    'Since when the status is what it is.',
    Type.String({ format: 'date-time' }),
  ),
});

const nodeStatus = object({
  nodeId: described("The node's id, which is its pod's ordinal.", Type.Integer()),
  pod: described('The name of its pod.', Type.String({ maxLength: 253 })),
  phase: Type.Optional(
    described(
      'What the node says that it is doing. Absent: it cannot be asked.',
      Type.String({ maxLength: 32 }),
    ),
  ),
  ready: described('Whether its pod is ready.', Type.Boolean()),
  role: Type.Optional(
    described(
      'Its part in the metadata: Voter, Learner (it is to vote once it has caught up) or None.',
      Type.String({ maxLength: 32 }),
    ),
  ),
  version: Type.Optional(described('What it runs.', Type.String({ maxLength: 128 }))),
  zone: Type.Optional(described('Its failure domain.', Type.String({ maxLength: 128 }))),
  diskId: Type.Optional(
    described(
      'The id of its disk: another one for another volume.',
      Type.String({ maxLength: 32 }),
    ),
  ),
  caughtUp: Type.Optional(
    described('Whether it lacks nothing of what it is to hold.', Type.Boolean()),
  ),
});

const operation = object({
  kind: described('Its kind, in one word.', Type.String({ maxLength: 32 })),
  ordinal: Type.Optional(described('The pod that it is about.', Type.Integer())),
  step: described('What is done now, or waited for.', Type.String({ maxLength: 256 })),
  startedAt: described(
    'Since when it is of this kind, and about this pod.',
    Type.String({ format: 'date-time' }),
  ),
  blockedBy: Type.Optional(described('Why it does not go on.', Type.String({ maxLength: 1024 }))),
});

/** A list of which each item is known by one of its fields. */
function keyed<S extends TSchema>(
  item: S,
  key: string,
  maxItems: number,
): TUnsafe<readonly Static<S>[]> {
  return Type.Unsafe({
    type: 'array',
    maxItems,
    items: item,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': [key],
  });
}

export const status = object({
  observedGeneration: described(
    'The generation of the spec that the operator has looked at.',
    Type.Integer(),
  ),
  replicas: described(
    'Pods that there are to be now: as many as the StatefulSet has.',
    Type.Integer(),
  ),
  readyReplicas: described('Pods that are ready.', Type.Integer()),
  selector: described(
    'Selects the pods, for the scale subresource.',
    Type.String({ maxLength: 1024 }),
  ),
  version: Type.Optional(
    described('What all nodes run; absent while they differ.', Type.String({ maxLength: 128 })),
  ),
  targetVersion: Type.Optional(
    described(
      "The version of `spec.version`, or the operator's own; absent where `spec.image` says what runs.",
      Type.String({ maxLength: 128 }),
    ),
  ),
  clusterId: Type.Optional(
    described(
      'The id of the cluster, which its volumes have, too.',
      Type.String({ maxLength: 32 }),
    ),
  ),
  leader: Type.Optional(described("The metadata leader's pod.", Type.String({ maxLength: 253 }))),
  nodes: described(
    'Each node, as its pod and the nodes themselves say.',
    keyed(nodeStatus, 'nodeId', 99),
  ),
  operation: Type.Optional(
    described('What is going on. For people: nothing depends on it.', operation),
  ),
  conditions: described(
    'What holds of the cluster: Ready, Available, Progressing, Degraded and so on.',
    keyed(condition, 'type', 16),
  ),
});
