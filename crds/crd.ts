/** The CustomResourceDefinition of the WalrusCluster, made from its schema. */
import { spec } from './schema.ts';
import { status } from './statusSchema.ts';
import { API_VERSION, GROUP, KIND, PLURAL, VERSION } from '../operator/api/walrusCluster.ts';

const COLUMNS = [
  { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
  { name: 'Status', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].reason' },
  { name: 'Nodes', type: 'integer', jsonPath: '.status.readyReplicas' },
  { name: 'Wanted', type: 'integer', jsonPath: '.spec.replicas' },
  { name: 'Version', type: 'string', jsonPath: '.status.version' },
  { name: 'Leader', type: 'string', jsonPath: '.status.leader', priority: 1 },
  { name: 'Operation', type: 'string', jsonPath: '.status.operation.step', priority: 1 },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
];

/** The names of its Services begin with it, or are it. */
const NAME_RULE = {
  rule: String.raw`self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')`,
  message:
    'metadata.name must be lower-case letters, digits and hyphens, beginning with a letter: Services are named by it',
};

interface Schema {
  readonly default?: unknown;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly [keyword: string]: unknown;
}

/** A field with a default may be left out, and is there for whoever reads the object. */
function withoutDefaultedRequired(schema: Schema): Schema {
  const { required = [], properties, items, ...rest } = schema;
  const needed = required.filter((name) => properties?.[name]?.default === undefined);
  return {
    ...rest,
    ...(needed.length === 0 ? {} : { required: needed }),
    ...(items === undefined ? {} : { items: withoutDefaultedRequired(items) }),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, value]) => [
              name,
              withoutDefaultedRequired(value),
            ]),
          ),
        }),
  };
}

/** TypeBox marks its schemas with keys that JSON does not have. */
function plain(schema: unknown): Schema {
  return JSON.parse(JSON.stringify(schema)) as Schema;
}

export function customResourceDefinition(): unknown {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${PLURAL}.${GROUP}` },
    spec: {
      group: GROUP,
      names: {
        kind: KIND,
        listKind: `${KIND}List`,
        plural: PLURAL,
        singular: 'walruscluster',
        shortNames: ['wc'],
      },
      scope: 'Namespaced',
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.replicas',
              statusReplicasPath: '.status.replicas',
              labelSelectorPath: '.status.selector',
            },
          },
          additionalPrinterColumns: COLUMNS,
          schema: {
            openAPIV3Schema: {
              description: `A cluster of Walrus, a distributed message streaming platform (${API_VERSION}).`,
              type: 'object',
              required: ['spec'],
              'x-kubernetes-validations': [NAME_RULE],
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: {
                  type: 'object',
                  // The name of every pod and Service begins with it, and they are DNS labels.
                  properties: { name: { type: 'string', maxLength: 40 } },
                },
                spec: withoutDefaultedRequired(plain(spec)),
                status: withoutDefaultedRequired(plain(status)),
              },
            },
          },
        },
      ],
    },
  };
}
