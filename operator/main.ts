/** The operator as a process: the real API server, clock and nodes, and its http port. */
import { KubeConfig } from '@kubernetes/client-node';
import { Registry } from 'prom-client';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { SOFTWARE_VERSION } from '../base/version.ts';
import { ConsoleLogger } from '../node/io/consoleLogger.ts';
import { startHttpServer } from '../node/io/httpServer.ts';
import type { Check } from '../node/io/httpServer.ts';
import { addProcessMetrics } from '../node/io/metrics.ts';
import { RealClock } from '../node/io/realClock.ts';
import { RealRandom } from '../node/io/realRandom.ts';
import { OperatorMetrics } from './controller/metrics.ts';
import { Operator } from './controller/operator.ts';
import { HTTP_PORT } from './desired/names.ts';
import type { OperatorDefaults } from './desired/types.ts';
import { HttpKubeApi } from './kube/api.ts';
import { loadUsable } from './kube/config.ts';
import { MeasuredKubeApi } from './kube/measuredApi.ts';
import { HttpAdminClient } from './observe/adminClient.ts';
import type { OperatorSettings } from './settings.ts';

export interface RunningOperator {
  readonly port: number;
  /** Ends what is under way and gives the lease back. */
  stop(): Promise<void>;
}

/** @throws {WalrusError} ADDRESS_IN_USE, INVALID_CONFIG */
export async function runOperator(
  settings: OperatorSettings,
  config: KubeConfig = loadUsable(new KubeConfig()),
): Promise<RunningOperator> {
  const logger = new ConsoleLogger({ level: settings.logLevel });
  const registry = new Registry();
  const metrics = new OperatorMetrics(registry);
  const operator = operatorOf(settings, { config, logger, metrics });
  metrics.observe(operator, settings.resyncMs);
  addProcessMetrics(registry);
  const http = await startHttpServer({
    host: settings.host,
    port: settings.port,
    registry,
    logger,
    health: { live: () => ({ isOk: true, reasons: [] }), ready: () => ready(operator) },
  });
  operator.start();
  const namespace = settings.namespace ?? '(all)';
  logger.log('info', 'the operator runs', { version: SOFTWARE_VERSION, namespace });
  return {
    port: http.port,
    async stop() {
      await operator.stop();
      await http.close();
    },
  };
}

function operatorOf(
  settings: OperatorSettings,
  world: { config: KubeConfig; logger: Logger; metrics: OperatorMetrics },
): Operator {
  const { config, logger, metrics } = world;
  const { namespace, leaseNamespace, leaseName, identity, resyncMs } = settings;
  const clock = new RealClock();
  return new Operator({
    ...{ namespace, leaseNamespace, leaseName, identity, resyncMs, logger, clock },
    api: new MeasuredKubeApi(new HttpKubeApi(config), clock, (request) => metrics.asked(request)),
    admin: new HttpAdminClient({ port: settings.nodeHttpPort ?? HTTP_PORT }),
    random: new RealRandom(),
    defaults: defaultsOf(settings),
    onAction: ({ type }) => metrics.acted(type),
    onFailure: (kind) => metrics.failed(kind),
    onPass: (cluster) => metrics.passing(cluster),
    onBroken: (error) => end(logger, error),
  });
}

function defaultsOf(settings: OperatorSettings): OperatorDefaults {
  const { image, imageRepository, podNamespace, runbookUrl } = settings;
  return {
    ...(image === undefined ? {} : { image }),
    ...(podNamespace === undefined ? {} : { operatorNamespace: podNamespace }),
    ...(runbookUrl === undefined ? {} : { runbookUrl }),
    ...{ imageRepository, version: SOFTWARE_VERSION },
  };
}

function ready({ isSynced }: Operator): Check {
  const reasons = isSynced ? [] : ['Not everything has been read from the API server yet'];
  return { isOk: isSynced, reasons };
}

/** What must not end has: Kubernetes starts the process again. */
function end(logger: Logger, error: unknown): void {
  logger.log('error', 'a watch has ended', { reason: messageOf(error) });
  setImmediate(() => {
    throw error;
  });
}
