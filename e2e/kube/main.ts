/** `npm run e2e:up`, `e2e:image` and `e2e:down`: a Kubernetes for tests, and for trying Walrus out. */
import process from 'node:process';
import { SOFTWARE_VERSION } from '../../base/version.ts';
import { loadSuiteImage } from '../image.ts';
import { ForeignCluster, openCluster } from './cluster.ts';
import { clusterNames, down, up } from './lifecycle.ts';
import { USAGE, parseOptions } from './options.ts';
import type { Options } from './options.ts';
import { pathsOf } from './spec.ts';
import type { ClusterSpec } from './spec.ts';

const startedMs = performance.now();

function say(line: string): void {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(6);
  process.stderr.write(`${seconds} s  ${line}\n`);
}

function howToUse(spec: ClusterSpec): string {
  const { kubeconfig, bin } = pathsOf(spec.dir);
  const name = spec.name === 'default' ? '' : ` -- --name ${spec.name}`;
  return `
export KUBECONFIG=${kubeconfig} PATH=${bin}:$PATH
npm run e2e:image${name}                 # gives the nodes walrus.local/walrus:${SOFTWARE_VERSION}, made of this checkout
kubectl get nodes                 # helm is there, too; pods are reached from here by their addresses
npm run e2e:down${name}
`;
}

async function checkForeign(kubeconfig: string): Promise<void> {
  const nodes = await new ForeignCluster(kubeconfig).kubectl(['get', 'nodes']);
  process.stdout.write(`E2E_KUBECONFIG: ${kubeconfig} answers\n${nodes}`);
}

async function removeClusters(options: Options & { command: 'down' }): Promise<void> {
  const names = options.isAll ? await clusterNames(process.env) : [options.name];
  for (const name of names)
    say((await down(name, process.env)) ? `${name} is removed` : `there is no cluster ${name}`);
}

/** As it is called in docs/kubernetes.md, where REGISTRY is `walrus.local`. */
async function loadImage(name: string): Promise<number> {
  const cluster = await openCluster(name);
  if (cluster === undefined) {
    process.stderr.write(`there is no cluster ${name}: run npm run e2e:up\n`);
    return 1;
  }
  const image = `walrus.local/walrus:${SOFTWARE_VERSION}`;
  say('making the image, where anything in it has changed');
  await cluster.tagImage(await loadSuiteImage(cluster), image);
  say(`all nodes have ${image}`);
  return 0;
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (typeof options === 'string') {
    process.stderr.write(options);
    return options === USAGE ? 0 : 2;
  }
  const foreign = process.env['E2E_KUBECONFIG'];
  if (foreign !== undefined && foreign !== '') await checkForeign(foreign);
  else if (options.command === 'image') return await loadImage(options.name);
  else if (options.command === 'down') await removeClusters(options);
  else process.stdout.write(howToUse(await up(options.cluster, process.env, say)));
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
