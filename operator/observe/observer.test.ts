import { afterEach, describe, expect, test } from '@jest/globals';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ClusterStatus, NodeStatus, Verdict } from '../../protocol/admin/types.ts';
import { Scheduler } from '../../node/sim/scheduler.ts';
import { SimClock, SimProcess } from '../../node/sim/simProcess.ts';
import { CLUSTER_ID_ANNOTATION } from '../api/walrusCluster.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import type { Desired } from '../desired/types.ts';
import { KubeError } from '../kube/api.ts';
import type { KubeApi } from '../kube/api.ts';
import type { Stored } from '../kube/listWatch.ts';
import { HttpAdminClient } from './adminClient.ts';
import type { AdminClient } from './adminClient.ts';
import { Observer } from './observer.ts';
import type { Store, Stores } from './observer.ts';
import type { Observed } from './types.ts';

const ID = 'c'.repeat(32);
const HANG_MS = 2000;
const CLUSTER = {
  metadata: {
    ...{ name: 'sea', namespace: 'ocean', uid: 'u' },
    annotations: { [CLUSTER_ID_ANNOTATION]: ID },
  },
} as unknown as WalrusCluster;

function storeOf(objects: readonly object[]): Store {
  return {
    absence: null,
    objects: new Map(
      (objects as Stored[]).map((object) => [`ocean/${object.metadata.name}`, object]),
    ),
  };
}

function pod(ordinal: number, revision: string): object {
  const labels = { 'controller-revision-hash': revision };
  const metadata = { namespace: 'ocean', name: `sea-${ordinal}`, uid: `p${ordinal}`, labels };
  return { metadata, spec: {}, status: { phase: 'Running', podIP: `10.0.0.${ordinal}` } };
}

function statefulSet(): object {
  const owner = [{ uid: 'u', controller: true }];
  const metadata = { namespace: 'ocean', name: 'sea', uid: 's', ownerReferences: owner };
  return { metadata, spec: { replicas: 3 }, status: { updateRevision: 'new' } };
}

/** Nodes that answer after a millisecond, but for those that hang. */
class Nodes implements AdminClient {
  readonly scheduler = new Scheduler();
  readonly hung = new Set<string>();
  readonly verdictsOf: number[] = [];
  clusterId = ID;
  atOnce = 0;
  mostAtOnce = 0;

  async node(host: string): Promise<NodeStatus | null> {
    const nodeId = Number(host.split('.').at(-1));
    const answer = { nodeId, clusterId: this.clusterId, phase: 'Serving' };
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    const found = await this.#answer(host, answer as unknown as NodeStatus);
    this.atOnce -= 1;
    return found;
  }

  cluster(host: string): Promise<ClusterStatus | null> {
    const leader = { nodeId: 1, isFresh: true };
    const answer = { clusterId: this.clusterId, epoch: 1, leader, nodes: [] };
    return this.#answer(host, answer as unknown as ClusterStatus);
  }

  canRestart(host: string, nodeId: number): Promise<Verdict | null> {
    this.verdictsOf.push(nodeId);
    return this.#answer(host, { isAllowed: true, epoch: 1, message: '' });
  }

  bootstrap(): Promise<void> {
    return Promise.reject(new Error('an observer does nothing'));
  }

  transferLeadership(): Promise<void> {
    return Promise.reject(new Error('an observer does nothing'));
  }

  setVoters(): Promise<void> {
    return Promise.reject(new Error('an observer does nothing'));
  }

  async #answer<T>(host: string, answer: T): Promise<T | null> {
    const isHung = this.hung.has(host);
    await new Promise<void>((resolve) => this.scheduler.schedule(isHung ? HANG_MS : 1, resolve));
    return isHung ? null : answer;
  }
}

const NOTHING: KubeApi = {
  request: () => Promise.reject(new KubeError(404, 'NotFound', 'no')),
  watch: () => {
    throw new Error('an observer does not watch');
  },
};

async function observe(
  nodes: Nodes,
  pods: readonly object[],
  claims: readonly object[] = [],
): Promise<Observed> {
  const stores: Stores = {
    statefulSets: storeOf([statefulSet()]),
    pods: storeOf(pods),
    claims: storeOf(claims),
    others: new Map(),
  };
  const clock = new SimClock(nodes.scheduler, new SimProcess(), { offsetMs: 0 });
  const observer = new Observer({ api: NOTHING, clock, stores, admin: nodes });
  const seen = observer.observe(CLUSTER, { others: [] } as unknown as Desired);
  let isDone = false;
  void seen.finally(() => {
    isDone = true;
  });
  await nodes.scheduler.run(60_000, () => isDone);
  return seen;
}

function pods(count: number, revision = 'new'): readonly object[] {
  return Array.from({ length: count }, (_, index) => pod(index + 1, revision));
}

describe('the observer', () => {
  test('asks many nodes, not all at once', async () => {
    const nodes = new Nodes();
    const { admin } = await observe(nodes, pods(99));
    expect(admin.nodes.size).toBe(99);
    expect(nodes.mostAtOnce).toBe(32);
  });

  test('nodes that hang hold up the pass for their time-out, and are unknown', async () => {
    const nodes = new Nodes();
    for (const ordinal of [2, 5, 77]) nodes.hung.add(`10.0.0.${ordinal}`);
    const { admin } = await observe(nodes, pods(99));
    expect(nodes.scheduler.nowMs).toBeLessThan(HANG_MS + 100);
    expect(admin.nodes.size).toBe(96);
    expect(admin.cluster?.leader.nodeId).toBe(1);
  });

  test('asks only about pods that are outdated whether they can be restarted', async () => {
    const nodes = new Nodes();
    await observe(nodes, [pod(1, 'new'), pod(2, 'old'), pod(3, 'new')]);
    expect(nodes.verdictsOf).toEqual([2]);
  });

  test('does not take the answers of another cluster, whose pod has got the address', async () => {
    const nodes = new Nodes();
    nodes.clusterId = 'd'.repeat(32);
    const { admin } = await observe(nodes, pods(3, 'old'));
    expect([admin.nodes.size, admin.cluster, admin.canRestart.size]).toEqual([0, null, 0]);
  });
});

describe('a volume claim', () => {
  const owner = { kind: 'StatefulSet', name: 'sea', uid: 's' };

  test.each([
    ['belongs to nobody', [], false],
    ['belongs to the StatefulSet', [owner], false],
    ['belongs to one that is gone', [{ ...owner, uid: 'earlier' }], true],
    ['belongs to somebody else as well', [{ ...owner, uid: 'earlier' }, { uid: 'x' }], false],
  ])('%s: is it about to be deleted?', async (_, ownerReferences, isDeleting) => {
    const metadata = { namespace: 'ocean', name: 'data-sea-1', uid: 'c1', ownerReferences };
    const { claims } = await observe(new Nodes(), [], [{ metadata, spec: {} }]);
    expect(claims).toMatchObject([{ ordinal: 1, isDeleting }]);
  });
});

describe('the admin client', () => {
  let server: http.Server | null = null;

  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  async function listen(answer: http.RequestListener): Promise<number> {
    server = http.createServer(answer);
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  test('a node that takes the request and never answers is unknown after the time-out', async () => {
    const port = await listen(() => undefined);
    const client = new HttpAdminClient({ port, askTimeoutMs: 50 });
    expect(await client.node('127.0.0.1')).toBeNull();
  });

  test('so is one that begins an answer and does not end it', async () => {
    const port = await listen((_request, response) => void response.write('{'));
    const client = new HttpAdminClient({ port, askTimeoutMs: 50 });
    expect(await client.cluster('127.0.0.1')).toBeNull();
  });

  test('a refusal to act has its reason', async () => {
    const port = await listen((_request, response) => {
      response.statusCode = 409;
      response.end(JSON.stringify({ code: 'UNSAFE', reason: 'OtherDisk', message: 'no' }));
    });
    const client = new HttpAdminClient({ port });
    const begun = client.bootstrap('127.0.0.1', { clusterId: ID, diskId: 'd' });
    await expect(begun).rejects.toMatchObject({ reason: 'OtherDisk' });
  });
});
