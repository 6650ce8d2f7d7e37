import { expect, test } from '@jest/globals';
import { WalrusError } from '../../base/errors.ts';
import { offset } from '../../base/units.ts';
import { ProducerStates } from '../replication/producerStates.ts';
import type { ReplicaHost } from '../replication/replicaHost.ts';
import { TestCluster, close, createTopic, places, plan } from '../state/testing/fixture.ts';
import { ProducerLoader } from './producerLoader.ts';

/** A node on which no copy of anything can be read. */
function loaderFor(cluster: TestCluster): ProducerLoader {
  const host = {
    diskId: '',
    producersAt: () => Promise.reject(new WalrusError('REPLICA_UNKNOWN', 'no copy here')),
  } as unknown as ReplicaHost; // a double: the loader asks nothing else of it
  return new ProducerLoader({
    host,
    metadata: () => cluster.state,
    logger: { log: () => undefined },
    rpc: {
      handle: () => undefined,
      call: () => Promise.reject(new WalrusError('CONNECTION_FAILED', 'nobody answers')),
    },
  });
}

test('load() begins with nothing where there never was a segment before', async () => {
  const cluster = new TestCluster(3).ok(createTopic('t', plan(1, 1, 2, 3)));
  const states = await loaderFor(cluster).load(cluster.segment(1));
  expect(states.encode()).toEqual(new ProducerStates().encode());
});

test('load() refuses above 0 when no earlier segment is there (ADR 0111)', async () => {
  const next = { endOffset: offset(150), replicas: places(2, 3, 1), next: plan(3, 3, 1, 2) };
  const cluster = new TestCluster(3).ok(createTopic('t', plan(1, 1, 2, 3)), close(1), {
    ...close(2),
    ...next,
  });
  // What the metadata refuses to do: the earlier segments are gone without a trace.
  cluster.state.topics.get('t')?.partitions[0]?.segments.splice(0, 2);
  const loading = loaderFor(cluster).load(cluster.segment(3));
  await expect(loading).rejects.toMatchObject({ code: 'REPLICA_UNKNOWN' });
});
