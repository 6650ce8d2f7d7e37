import { describe, expect, test } from '@jest/globals';
import { addressesOf, freeSlots, nodeAddress, podRangeOf, SLOT_COUNT } from './addresses.ts';
import { cacheDir, cacheKey, kubernetesVersion } from './cache.ts';
import { ForeignCluster, LocalCluster } from './cluster.ts';
import { argumentsOf } from './controlPlane.ts';
import { isDefinitionOurs } from './definition.ts';
import { initialObjects } from './manifests.ts';
import { nodeFiles, nodeLabels } from './nodeFiles.ts';
import { parseOptions } from './options.ts';
import { complaint, missing, packagesOf, requirements } from './requirements.ts';
import type { Machine } from './requirements.ts';
import { cacheRoot, DEFAULTS, NAME, stateRoot } from './spec.ts';
import type { ClusterSpec } from './spec.ts';

const SPEC: ClusterSpec = { ...DEFAULTS, slot: 3, dir: '/state/c', cache: '/cache/c' };

describe('addresses', () => {
  test('no two slots share a network', () => {
    const ranges = Array.from({ length: SLOT_COUNT }, (_, slot) => addressesOf(slot)).flatMap(
      ({ nodeRange, podRange, serviceRange }) => [nodeRange, podRange, serviceRange],
    );
    expect(new Set(ranges).size).toBe(3 * SLOT_COUNT);
    expect(nodeAddress(addressesOf(3), 2)).toBe('10.77.3.12');
    expect(podRangeOf(addressesOf(3), 2)).toBe('10.83.2.0/24');
  });

  test('gives an image to one cluster of several', () => {
    expect(parseOptions(['image', '--name', 'five'])).toEqual({ command: 'image', name: 'five' });
    expect(parseOptions(['image', '--name', '../five'])).toMatch(/--name must match/);
  });

  test.each([
    ['nothing else', ['default', '192.0.2.0/24', 'fd00::/64'], [], 0],
    ['another cluster of ours', ['10.77.0.0/24', '10.80.0.0/16'], ['walrus-kube0'], 1],
    ['a cable that is being plugged in', [], ['lo', 'walrus-kube0'], 1],
    ['a stranger that has one address of it', ['10.77.0.200'], [], 1],
    ['a stranger in the range of services', ['10.100.7.0/24'], [], 1],
    ['a stranger beside it', ['10.76.0.0/16', '10.79.0.0/16'], [], 0],
    ['a stranger that has all', ['10.0.0.0/8'], [], undefined],
  ])('freeSlots() beside %s', (_, routes, interfaces, first) => {
    expect(freeSlots(routes, interfaces)[0]).toBe(first);
  });
});

describe('parseOptions()', () => {
  test('has defaults', () => {
    expect(parseOptions(['up'])).toEqual({ command: 'up', cluster: DEFAULTS });
    expect(parseOptions(['image'])).toEqual({ command: 'image', name: 'default' });
    expect(parseOptions(['down'])).toEqual({ command: 'down', name: 'default', isAll: false });
  });

  test('reads every option', () => {
    const argv = 'up --name five --nodes 5 --disks 2 --zones 1 --monitoring'.split(' ');
    expect(parseOptions(argv)).toEqual({
      command: 'up',
      cluster: {
        name: 'five',
        nodeCount: 5,
        disksPerNode: 2,
        zoneCount: 1,
        hasMonitoringCrds: true,
      },
    });
  });

  test.each([
    [['up', '--nodes', '0'], /--nodes must be a whole number in 1\.\.9/],
    [['up', '--name', 'A/B'], /--name must match/],
    [['down', '--name', '..'], /--name must match/],
    [['up', '--what'], /--what/],
    [['sideways'], /npm run e2e:up/],
    [[], /npm run e2e:up/],
  ])('refuses %j', (argv, message) => {
    expect(parseOptions(argv)).toMatch(message);
  });

  test('names never lead out of the state directory', () => {
    for (const name of ['', '.', '..', 'a/b', 'a.b', '-a', 'a'.repeat(21)])
      expect(NAME.test(name)).toBe(false);
  });
});

describe('requirements', () => {
  const machine = (...programs: readonly string[]): Machine => ({
    platform: 'linux',
    isRoot: true,
    has: (name) => programs.includes(name),
  });
  const everything = requirements(false).map(({ anyOf }) => anyOf[0] ?? '');

  test('complaint() has nothing to say about a machine with everything', () => {
    const whole = machine(...everything);
    expect(complaint(whole, missing(whole, requirements(false)))).toBeUndefined();
  });

  test('Go is needed to build only', () => {
    const withoutGo = machine(...everything.filter((name) => name !== 'go'));
    expect(missing(withoutGo, requirements(true))).toEqual([]);
    expect(complaint(withoutGo, missing(withoutGo, requirements(false)))).toMatch(/go\.dev\/dl/);
  });

  test('complaint() names what is missing, how to get it, and the way around', () => {
    const bare: Machine = { ...machine(), isRoot: false };
    const text = complaint(bare, missing(bare, requirements(false))) ?? '';
    expect(text).toMatch(/root, .*sudo/);
    expect(text).toMatch(/apt-get install containernetworking-plugins/);
    expect(text).toMatch(/E2E_KUBECONFIG/);
    expect(complaint({ ...bare, platform: 'darwin' }, [])).toMatch(/Linux/);
  });

  test('packagesOf() names each package once', () => {
    const packages = packagesOf(missing(machine(), requirements(false)));
    expect(new Set(packages).size).toBe(packages.length);
    expect(packages).toEqual(expect.arrayContaining(['containerd', 'runc', 'nftables']));
  });
});

describe('the cache of binaries', () => {
  test('cacheKey() tells any two inputs apart', () => {
    const keys = [['ab', 'c'], ['a', 'bc'], ['abc'], ['ab', 'd']].map((inputs) =>
      cacheKey('v1.2.3', inputs),
    );
    expect(new Set(keys).size).toBe(4);
    expect(keys[0]).toMatch(/^v1\.2\.3-[0-9a-f]{12}$/);
  });

  test('cacheDir() is the same each time, and names the version', async () => {
    const dir = await cacheDir('/root-of-caches');
    expect(dir).toMatch(/^\/root-of-caches\/e2e-v1\.\d+\.\d+-[0-9a-f]{12}$/);
    expect(await cacheDir('/root-of-caches')).toBe(dir);
    expect(() => kubernetesVersion('module x\n')).toThrow(/does not require/);
  });

  test('cache and state are outside of the checkout', () => {
    expect(cacheRoot({ HOME: '/home/u' })).toBe('/home/u/.cache/walrus');
    expect(stateRoot({ HOME: '/home/u' })).toBe('/home/u/.local/state/walrus/kube');
    expect(cacheRoot({ XDG_CACHE_HOME: '/c' })).toBe('/c/walrus');
    expect(stateRoot({ XDG_STATE_HOME: '/s' })).toBe('/s/walrus/kube');
  });
});

describe('configuration', () => {
  test('every node has disks of its own, and a zone', () => {
    const volumes = initialObjects(SPEC).filter(({ kind }) => kind === 'PersistentVolume');
    const names = volumes.map(({ metadata }) => metadata.name);
    expect(names).toHaveLength(12);
    expect(names).toEqual(expect.arrayContaining(['n1-d0', 'n3-d3']));
    const zones = ['n1', 'n2', 'n3', 'n4'].map((node) => nodeLabels(SPEC, node));
    expect(new Set(zones).size).toBe(3);
    expect(zones[3]).toBe(zones[0]);
  });

  test('nothing listens outside of the slot, and nothing is written outside of the directory', () => {
    const programs = [
      'etcd',
      'kube-apiserver',
      'kube-controller-manager',
      'kube-scheduler',
    ] as const;
    for (const program of programs) {
      const line = argumentsOf(SPEC, program).join('\n');
      expect(line).not.toMatch(/=0\.0\.0\.0|=::/);
      expect(line.match(/10\.77\.\d+\.\d+/g)?.every((ip) => ip === '10.77.3.1')).toBe(true);
    }
    for (const [file, content] of Object.entries(nodeFiles(SPEC, 'n2', '/cni'))) {
      expect(file.startsWith('/state/c/n2/')).toBe(true);
      expect(content).not.toMatch(/undefined|NaN/);
    }
  });
});

describe('the definition of WalrusCluster', () => {
  class Answering extends ForeignCluster {
    readonly #answer: string;

    constructor(answer: string) {
      super('/nowhere');
      this.#answer = answer;
    }

    override async kubectl(): Promise<string> {
      return Promise.resolve(this.#answer);
    }
  }

  test('of a cluster of somebody else is ours only when there was none: all clusters would go with it', async () => {
    const there = 'customresourcedefinition.apiextensions.k8s.io/walrusclusters.walrus.io\n';
    expect(await isDefinitionOurs(new Answering(there))).toBe(false);
    expect(await isDefinitionOurs(new Answering(''))).toBe(true);
  });

  test('of a cluster of this machine is ours, whatever an earlier run has left', async () => {
    expect(await isDefinitionOurs(new LocalCluster(SPEC))).toBe(true);
  });
});
