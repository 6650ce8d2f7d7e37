/** Connections to a scripted cluster: handshake, versions, back-off, other nodes. */
import { describe, expect, test } from '@jest/globals';
import { WalrusError } from '../base/errors.ts';
import { APIS } from '../protocol/client/apis.ts';
import { FakeCluster } from './testing/fakeCluster.ts';
import { bytesOf } from './testing/records.ts';

describe('the failure that is told', () => {
  test('is what a node answered, not that another one is down', async () => {
    const cluster = new FakeCluster(3);
    cluster.addTopic('t');
    for (const index of [1, 2]) cluster.crash(index);
    cluster.onRequest = ({ call }) =>
      call.name === 'ListOffsets' ? new WalrusError('NOT_LEADER', 'Scripted') : undefined;
    const asking = cluster.client().admin.offsetAt('t', 0, { type: 'latest' });
    await expect(cluster.until(asking)).rejects.toMatchObject({ message: 'Scripted' });
  });

  test('is what a node answered, not that a later question got no answer', async () => {
    const cluster = new FakeCluster(1);
    cluster.addTopic('t');
    let isFirst = true;
    cluster.onRequest = ({ call }) => {
      if (call.name !== 'ListOffsets') return undefined;
      const fate = isFirst ? new WalrusError('NOT_LEADER', 'Scripted') : 'Silence';
      isFirst = false;
      return fate;
    };
    const asking = cluster.client().admin.offsetAt('t', 0, { type: 'latest' });
    await expect(cluster.until(asking)).rejects.toMatchObject({ message: 'Scripted' });
  });

  test('names all nodes when none answers', async () => {
    const cluster = new FakeCluster(2);
    for (const index of [0, 1]) cluster.crash(index);
    await expect(cluster.until(cluster.client().admin.listTopics())).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
      message: expect.stringContaining('None of the nodes answers (node1:9091, node2:9091)'),
    });
  });
});

describe('the handshake', () => {
  test('comes first, and what was asked before it follows in order', async () => {
    const cluster = new FakeCluster(1);
    const client = cluster.client({ clientName: 'tests' });
    await cluster.until(
      Promise.all([client.admin.listTopics(), client.admin.createTopic({ name: 't' })]),
    );
    expect(cluster.seen.map(({ call }) => call.name)).toEqual([
      'Handshake',
      'Metadata',
      'CreateTopic',
    ]);
    expect(cluster.seen[0]?.call.request).toMatchObject({ clientName: 'tests' });
    expect(cluster.node(0).connectionsCount).toBe(1);
  });

  test('a node that does not speak a request says so, at once', async () => {
    const cluster = new FakeCluster(1);
    const node = cluster.node(0);
    node.apis = node.apis.map((api) =>
      api.apiKey === APIS.Metadata.apiKey ? { ...api, minVersion: 7, maxVersion: 8 } : api,
    );
    const listing = cluster.client().admin.listTopics();
    await expect(cluster.until(listing, 100)).rejects.toMatchObject({
      code: 'UNSUPPORTED_VERSION',
      message: `Cannot send Metadata in version 0 to ${node.address}: the node speaks 7 to 8`,
    });
  });

  test('what is no node at all is told from one that is down', async () => {
    const cluster = new FakeCluster(1);
    Object.assign(cluster.node(0), { id: 0 }); // no node has it: the answer cannot be read
    await expect(cluster.until(cluster.client().admin.listTopics(), 100)).rejects.toMatchObject({
      code: 'MALFORMED',
    });
  });

  test('a refused handshake is the failure of what was asked', async () => {
    const cluster = new FakeCluster(1);
    cluster.onRequest = () => new WalrusError('UNSUPPORTED_VERSION', 'Too old');
    await expect(cluster.until(cluster.client().admin.listTopics(), 100)).rejects.toMatchObject({
      code: 'UNSUPPORTED_VERSION',
    });
  });

  test('nodes of two clusters are not mixed', async () => {
    const cluster = new FakeCluster(2);
    cluster.addTopic('t');
    cluster.node(1).clusterId = 'd'.repeat(32);
    cluster.setLeader('t', 0, 1);
    const client = cluster.client({ addresses: [cluster.node(0).address] });
    const producer = await cluster.until(client.producer({ topic: 't' }));
    const sending = producer.deliver({ value: bytesOf('0') });
    await expect(cluster.until(sending)).rejects.toMatchObject({ code: 'WRONG_CLUSTER' });
    expect(cluster.log('t').values()).toEqual([]);
  });
});

describe('a cluster that never answered', () => {
  test('is looked for as long as was asked for; one that did, for the time of a request', async () => {
    const cluster = new FakeCluster(1);
    cluster.crash(0);
    const client = cluster.client({ firstContactMs: 500 });
    await expect(cluster.until(client.admin.listTopics(), 600)).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
    });
    cluster.node(0).isUp = true;
    await cluster.until(client.admin.listTopics(), 1000);
    cluster.crash(0);
    const listing = client.admin.listTopics();
    await cluster.run(2000);
    cluster.node(0).isUp = true;
    await cluster.until(listing, 5000);
  });
});

describe('several addresses', () => {
  test('nodes that are down are passed by', async () => {
    for (let seed = 0; seed < 10; seed += 1) {
      const cluster = new FakeCluster(3, seed);
      cluster.crash(0);
      cluster.crash(2);
      await cluster.until(cluster.client().admin.listTopics(), 1000);
      expect(cluster.seen.every(({ node }) => node.id === 2)).toBe(true);
    }
  });

  test('clients begin at different nodes', async () => {
    const first = new Set<string>();
    for (let seed = 0; seed < 20; seed += 1) {
      const cluster = new FakeCluster(3, seed);
      await cluster.until(cluster.client().admin.listTopics());
      first.add(cluster.seen[0]?.node.address ?? '');
    }
    expect(first.size).toBe(3);
  });

  test('with all of them down the attempts become rarer, and the failure comes in time', async () => {
    const cluster = new FakeCluster(3);
    for (const index of [0, 1, 2]) cluster.crash(index);
    let connects = 0;
    const { connect } = cluster.world.network;
    const world = {
      ...cluster.world,
      network: {
        connect: (...args: Parameters<typeof connect>) => {
          connects += 1;
          return connect(...args);
        },
      },
    };
    Object.assign(cluster, { world });
    const listing = cluster.client({ requestTimeoutMs: 10_000 }).admin.listTopics();
    await expect(cluster.until(listing, 10_100)).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
    });
    expect(connects).toBeGreaterThan(8);
    expect(connects).toBeLessThan(30);
  });

  test('a node that hangs does not get all the time', async () => {
    const cluster = new FakeCluster(3);
    const client = cluster.client({ requestTimeoutMs: 10_000 });
    await cluster.until(client.admin.listTopics());
    const hanging = cluster.seen.at(-1)?.node;
    cluster.onRequest = ({ node }) => (node === hanging ? 'Silence' : undefined);
    await cluster.until(client.admin.listTopics(), 9000);
  });

  test('a node that comes back is used again', async () => {
    const cluster = new FakeCluster(1);
    const client = cluster.client();
    await cluster.until(client.admin.listTopics());
    cluster.crash(0);
    const listing = client.admin.listTopics();
    await cluster.run(1500);
    cluster.node(0).isUp = true;
    await cluster.until(listing, 2000);
  });
});

describe('an answer that was lost', () => {
  test('the topic that is there was created by the lost attempt', async () => {
    const cluster = new FakeCluster(1);
    let isFirst = true;
    cluster.onRequest = ({ call }) => {
      if (call.name !== 'CreateTopic' || !isFirst) return undefined;
      isFirst = false;
      return 'CloseAfter';
    };
    await cluster.until(cluster.client().admin.createTopic({ name: 't' }));
    expect(cluster.count('CreateTopic')).toBe(2);
  });

  test('a topic that was there before is still a failure', async () => {
    const cluster = new FakeCluster(1);
    cluster.addTopic('t');
    const creating = cluster.client().admin.createTopic({ name: 't' });
    await expect(cluster.until(creating)).rejects.toMatchObject({ code: 'TOPIC_EXISTS' });
  });
});

test('a closed client fails what waits and takes nothing more', async () => {
  const cluster = new FakeCluster(1);
  cluster.addTopic('t');
  const client = cluster.client();
  const producer = await cluster.until(client.producer({ topic: 't' }));
  cluster.onRequest = () => 'Silence';
  const sending = producer.deliver({ value: bytesOf('0') });
  client.abort();
  await expect(cluster.until(sending, 10)).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  expect(() => producer.sendValue(bytesOf('1'))).toThrow(/closed/);
});
