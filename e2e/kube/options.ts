/** The command line of `npm run e2e:up`, `e2e:image` and `e2e:down`. */
import { parseArgs } from 'node:util';
import { NODE_COUNT_MAX } from './addresses.ts';
import { DEFAULTS, DEFAULT_NAME, NAME } from './spec.ts';
import type { ClusterOptions } from './spec.ts';

export type Options =
  | { readonly command: 'up'; readonly cluster: ClusterOptions }
  | { readonly command: 'image'; readonly name: string }
  | { readonly command: 'down'; readonly name: string; readonly isAll: boolean };

export const USAGE = `npm run e2e:up -- [options]     a Kubernetes on this machine, made of its namespaces
  --name NAME     several stand side by side, default ${DEFAULT_NAME}
  --nodes N       1 to ${NODE_COUNT_MAX}, default ${DEFAULTS.nodeCount}
  --disks N       local PersistentVolumes of each node, 1 to 16, default ${DEFAULTS.disksPerNode}
  --zones N       1 to ${NODE_COUNT_MAX}, default ${DEFAULTS.zoneCount}
  --monitoring    with the definitions of PodMonitor, ServiceMonitor and PrometheusRule

npm run e2e:image -- [options]  makes the image of this checkout and gives it to all nodes
  --name NAME     of which cluster, default ${DEFAULT_NAME}

npm run e2e:down -- [options]   removes it and all that it has written
  --name NAME     which, default ${DEFAULT_NAME}
  --all           all of them

With E2E_KUBECONFIG=FILE another cluster is used: all of them only check that it answers.
`;

const DISKS_MAX = 16;

/** Reads the arguments; a string is what to tell the user instead. */
export function parseOptions(argv: readonly string[]): Options | string {
  let values, positionals;
  try {
    ({ values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        name: { type: 'string', default: DEFAULT_NAME },
        nodes: { type: 'string', default: String(DEFAULTS.nodeCount) },
        disks: { type: 'string', default: String(DEFAULTS.disksPerNode) },
        zones: { type: 'string', default: String(DEFAULTS.zoneCount) },
        monitoring: { type: 'boolean', default: false },
        all: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    return `${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`;
  }
  const [command, ...rest] = positionals;
  if (values.help || rest.length > 0) return USAGE;
  const { name } = values;
  const problems = NAME.test(name) ? [] : [`--name must match ${NAME.source}`];
  if (command === 'up') return upOptions(values, problems);
  if (problems.length > 0) return `${problems.join('\n')}\n`;
  if (command === 'down') return { command, name, isAll: values.all };
  return command === 'image' ? { command, name } : USAGE;
}

interface UpValues {
  readonly name: string;
  readonly nodes: string;
  readonly disks: string;
  readonly zones: string;
  readonly monitoring: boolean;
}

function upOptions(values: UpValues, problems: string[]): Options | string {
  const whole = (name: string, given: string, max: number): number => {
    const value = Number(given);
    if (Number.isInteger(value) && value >= 1 && value <= max) return value;
    problems.push(`--${name} must be a whole number in 1..${max}, not "${given}"`);
    return 1;
  };
  const cluster: ClusterOptions = {
    name: values.name,
    nodeCount: whole('nodes', values.nodes, NODE_COUNT_MAX),
    disksPerNode: whole('disks', values.disks, DISKS_MAX),
    zoneCount: whole('zones', values.zones, NODE_COUNT_MAX),
    hasMonitoringCrds: values.monitoring,
  };
  return problems.length === 0 ? { command: 'up', cluster } : `${problems.join('\n')}\n`;
}
