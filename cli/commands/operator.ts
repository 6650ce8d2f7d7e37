/** `walrus operator`: looks after the WalrusClusters of a Kubernetes. */
import os from 'node:os';
import process from 'node:process';
import type { Command, Given } from '../command.ts';
import { integerOf, textOf } from '../command.ts';
import { UsageError } from '../usageError.ts';

const DEFAULTS = {
  leaseName: 'walrus-operator',
  imageRepository: 'walrus/walrus',
  host: '0.0.0.0',
  port: 8080,
  /** The status is at most so old; it costs questions to nodes, and none to the API server. */
  resyncS: 15,
} as const;
const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

export const operator: Command = {
  name: 'operator',
  endsBySignal: true,
  summary: 'Looks after the WalrusClusters of a Kubernetes.',
  args: [],
  flags: {
    namespace: {
      kind: 'text',
      value: 'NAMESPACE',
      description: 'Looks after the clusters of this namespace only.',
      default: 'all namespaces',
    },
    'lease-namespace': {
      kind: 'text',
      value: 'NAMESPACE',
      description: 'Where the lease is by which several operators agree on who acts.',
      default: 'POD_NAMESPACE, or default',
    },
    'lease-name': {
      kind: 'text',
      value: 'NAME',
      description: 'The lease: one for all operators that look after the same clusters.',
      default: DEFAULTS.leaseName,
    },
    image: {
      kind: 'text',
      value: 'IMAGE',
      description: 'The image of clusters that name neither an image nor a version.',
      default: 'that of --image-repository with the version of this operator',
    },
    'image-repository': {
      kind: 'text',
      value: 'IMAGE',
      description: 'The image, without its tag, of clusters that name a version and no image.',
      default: DEFAULTS.imageRepository,
    },
    'runbook-url': {
      kind: 'text',
      value: 'URL',
      description:
        'Where docs/operations.md is on the web: alerts of clusters lead to their entries.',
      default: 'they have no link',
    },
    host: {
      kind: 'text',
      value: 'HOST',
      description: 'The interface of the http port (/livez, /readyz, /metrics).',
      default: DEFAULTS.host,
    },
    port: {
      kind: 'integer',
      value: 'N',
      description: 'The http port; 0: any free one.',
      default: String(DEFAULTS.port),
    },
    resync: {
      kind: 'integer',
      value: 'SECONDS',
      description: 'A cluster in which nothing changes is looked at again after so long.',
      default: String(DEFAULTS.resyncS),
    },
    'log-level': {
      kind: 'text',
      value: 'LEVEL',
      choices: LEVELS,
      description: 'The least severe log lines that are written.',
      default: 'info',
    },
  },
  notes: [
    'It finds the API server as kubectl does: KUBECONFIG, ~/.kube/config, or the service account of its pod.',
  ],
  async run(context) {
    // Only this command needs the Kubernetes client.
    const { runOperator } = await import('../../operator/main.ts');
    const running = await runOperator(settingsOf(context));
    context.output.note(`walrus operator: http port ${running.port}`);
    await new Promise<void>((resolve) => {
      if (context.signal.aborted) resolve();
      context.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await running.stop();
    return undefined;
  },
};

function settingsOf(given: Given) {
  const level = LEVELS.find((candidate) => candidate === (textOf(given, 'log-level') ?? 'info'));
  const resyncS = integerOf(given, 'resync') ?? DEFAULTS.resyncS;
  if (level === undefined) throw new UsageError(`--log-level is one of ${LEVELS.join(', ')}`);
  const podNamespace = process.env['POD_NAMESPACE'];
  if (resyncS < 1) throw new UsageError('--resync is at least 1 second');
  return {
    namespace: textOf(given, 'namespace') ?? null,
    leaseNamespace: textOf(given, 'lease-namespace') ?? podNamespace ?? 'default',
    ...(podNamespace === undefined ? {} : { podNamespace }),
    leaseName: textOr(given, 'lease-name', DEFAULTS.leaseName),
    identity: process.env['POD_NAME'] ?? os.hostname(),
    ...textIfGiven(given, 'image', 'image'),
    ...textIfGiven(given, 'runbook-url', 'runbookUrl'),
    imageRepository: textOr(given, 'image-repository', DEFAULTS.imageRepository),
    host: textOr(given, 'host', DEFAULTS.host),
    port: integerOf(given, 'port') ?? DEFAULTS.port,
    logLevel: level,
    resyncMs: resyncS * 1000,
  };
}

function textOr(given: Given, flag: string, otherwise: string): string {
  return textOf(given, flag) ?? otherwise;
}

function textIfGiven<K extends string>(given: Given, flag: string, as: K): { [P in K]?: string } {
  const text = textOf(given, flag);
  return text === undefined ? {} : ({ [as]: text } as { [P in K]: string });
}
