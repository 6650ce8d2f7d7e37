import { beforeEach, describe, expect, test } from '@jest/globals';
import { SILENT } from '../../base/log.ts';
import type { Verdict } from '../../protocol/admin/types.ts';
import { Scheduler } from '../../node/sim/scheduler.ts';
import { SimClock, SimProcess } from '../../node/sim/simProcess.ts';
import { API_VERSION, KIND } from '../api/walrusCluster.ts';
import type { WalrusCluster, WalrusClusterStatus } from '../api/walrusCluster.ts';
import type { KubernetesObject } from '../desired/types.ts';
import { KubeError } from '../kube/api.ts';
import type { StatusDetails } from '../kube/api.ts';
import type { Stored } from '../kube/listWatch.ts';
import { Deposed } from '../kube/lease.ts';
import { FakeApiServer } from '../kube/testing/fakeApiServer.ts';
import { FakeClient } from '../kube/testing/fakeClient.ts';
import { AdminRefusal } from '../observe/adminClient.ts';
import type { AdminClient } from '../observe/adminClient.ts';
import type { Observed } from '../observe/types.ts';
import type { RiskyAction, Write } from '../plan/types.ts';
import { Applier } from './applier.ts';
import { EventRecorder } from './events.ts';

const NAMESPACE = 'ocean';
const ALLOWED: Verdict = { isAllowed: true, epoch: 1, message: '' };

let scheduler: Scheduler;
let server: FakeApiServer;
let client: FakeClient;
let term: { isHeld: boolean; signal: AbortSignal };
let verdict: Verdict | null;
/** Pods as the watch has told of them. */
let seen: { ordinal: number; uid: string; resourceVersion: string }[];
/** What nodes were asked to do, or about. */
let asked: string[];

const admin: AdminClient = {
  node: () => Promise.resolve(null),
  cluster: () => Promise.resolve(null),
  canRestart: (host, nodeId) => {
    asked.push(`canRestart ${nodeId} of ${host}`);
    return Promise.resolve(verdict);
  },
  bootstrap: () => Promise.resolve(void asked.push('bootstrap')),
  transferLeadership: () => Promise.resolve(void asked.push('transferLeadership')),
  setVoters: () => Promise.resolve(void asked.push('setVoters')),
};

beforeEach(() => {
  scheduler = new Scheduler();
  server = new FakeApiServer(() => scheduler.nowMs);
  client = new FakeClient({ server, scheduler, process: new SimProcess(), user: 'a' });
  term = { isHeld: true, signal: new AbortController().signal };
  verdict = ALLOWED;
  asked = [];
  seen = [];
});

function cluster(): WalrusCluster {
  const metadata = { namespace: NAMESPACE, name: 'sea' };
  const found = server.find(KIND, NAMESPACE, 'sea');
  return (found ??
    server.put({
      apiVersion: API_VERSION,
      kind: KIND,
      metadata,
      spec: {},
    })) as unknown as WalrusCluster;
}

function statefulSet(image: string): KubernetesObject {
  const metadata = { namespace: NAMESPACE, name: 'sea' };
  return { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, spec: { image } };
}

function specOf(kind: string): unknown {
  return server.find(kind, NAMESPACE, 'sea')?.['spec'];
}

/** What comes of it: 'done', or the error. */
async function outcome(action: (applier: Applier) => Promise<void>): Promise<unknown> {
  const applier = new Applier({ api: client, admin, logger: SILENT, term });
  const ended = action(applier).then(
    () => 'done',
    (error: unknown) => error,
  );
  await scheduler.run(scheduler.nowMs + 100);
  return ended;
}

function write(given: Write): Promise<unknown> {
  return outcome((applier) => applier.write(cluster(), given));
}

function act(action: RiskyAction): Promise<unknown> {
  const pods = [{ ordinal: 1, ip: '10.0.0.1' }, ...seen];
  const observed = { cluster: cluster(), pods, admin: { cluster: { leader: { nodeId: 1 } } } };
  return outcome((applier) => applier.act(observed as unknown as Observed, action));
}

function scale(to: number): RiskyAction {
  const { uid, resourceVersion } = server.find('StatefulSet', NAMESPACE, 'sea')?.metadata ?? {
    uid: '',
    resourceVersion: '',
  };
  return { type: 'Scale', from: 1, to, uid, resourceVersion };
}

function restart(uid: string): RiskyAction {
  const gate = { isGated: true, isWithinBudget: true, epoch: 1, why: 'a test' };
  return { type: 'RestartPod', ordinal: 2, name: 'sea-2', uid, ...gate };
}

describe('the applier', () => {
  test('sets what it owns, and neither the replicas nor what others have set', async () => {
    expect(await write({ type: 'Apply', object: statefulSet('one') })).toBe('done');
    expect(await act(scale(5))).toBe('done');
    const metadata = { namespace: NAMESPACE, name: 'sea' };
    server.put({
      kind: 'StatefulSet',
      metadata,
      spec: { image: 'one', replicas: 5, note: 'mine' },
    });
    expect(await write({ type: 'Apply', object: statefulSet('two') })).toBe('done');
    expect(specOf('StatefulSet')).toEqual({ image: 'two', replicas: 5, note: 'mine' });
  });

  test('leaves the replicas with which it has made it, once it does not set them any more', async () => {
    const { spec, ...object } = statefulSet('one');
    await write({
      type: 'Apply',
      object: { ...object, spec: { ...(spec as object), replicas: 3 } },
    });
    const old = { replicas: 2, resourceVersion: '0' };
    expect(await write({ type: 'Apply', object: statefulSet('two'), kept: old })).toMatchObject({
      status: 409,
    });
    const { resourceVersion = '' } = server.find('StatefulSet', NAMESPACE, 'sea')?.metadata ?? {};
    const kept = { replicas: 3, resourceVersion };
    expect(await write({ type: 'Apply', object: statefulSet('two'), kept })).toBe('done');
    expect(await write({ type: 'Apply', object: statefulSet('one') })).toBe('done');
    expect(specOf('StatefulSet')).toEqual({ image: 'one', replicas: 3 });
  });

  test('takes back what it does not set any more', async () => {
    const { spec, ...object } = statefulSet('one');
    const before = { ...object, spec: { ...(spec as object), extra: { deep: true } } };
    await write({ type: 'Apply', object: before });
    await write({ type: 'Apply', object: statefulSet('one') });
    expect(specOf('StatefulSet')).toEqual({ image: 'one', replicas: 1 });
  });

  test('scales and annotates only what has not changed since', async () => {
    await write({ type: 'Apply', object: statefulSet('one') });
    const old = scale(3);
    await write({ type: 'Apply', object: statefulSet('two') });
    expect(await act(old)).toMatchObject({ status: 409 });
    expect(specOf('StatefulSet')).toEqual({ image: 'two', replicas: 1 });
    const note: Write = { type: 'Annotate', annotations: { a: 'b' }, resourceVersion: '1' };
    expect(await write(note)).toMatchObject({ status: 409 });
    const { resourceVersion } = cluster().metadata;
    expect(await write({ ...note, resourceVersion })).toBe('done');
    expect(cluster().metadata.annotations).toEqual({ a: 'b' });
  });

  test('deletes by UID: not what has taken the name, and what is gone is gone', async () => {
    const metadata = { namespace: NAMESPACE, name: 'sea-2' };
    const { uid } = server.put({ kind: 'Pod', metadata, spec: {} }).metadata;
    expect(await act(restart('another'))).toMatchObject({ status: 409 });
    expect(server.find('Pod', NAMESPACE, 'sea-2')?.metadata['deletionTimestamp']).toBeUndefined();
    expect(await act(restart(uid))).toBe('done');
    expect(server.find('Pod', NAMESPACE, 'sea-2')?.metadata['deletionTimestamp']).toBeDefined();
    server.remove('Pod', NAMESPACE, 'sea-2');
    expect(await act(restart(uid))).toBe('done');
  });

  test('deletes a pod that serves nothing only as it was seen: it may serve by now', async () => {
    const metadata = { namespace: NAMESPACE, name: 'sea-2' };
    const { uid, resourceVersion } = server.put({ kind: 'Pod', metadata, spec: {} }).metadata;
    const ungated = { ...restart(uid), isGated: false, isWithinBudget: false } as RiskyAction;
    seen = [{ ordinal: 2, uid, resourceVersion }];
    server.put({ kind: 'Pod', metadata, status: { phase: 'Running' } });
    expect(await act(ungated)).toMatchObject({ status: 409 });
    const pod = (): Stored['metadata'] | undefined =>
      server.find('Pod', NAMESPACE, 'sea-2')?.metadata;
    expect(pod()?.['deletionTimestamp']).toBeUndefined();
    seen = [{ ordinal: 2, uid, resourceVersion: pod()?.resourceVersion ?? '' }];
    expect(await act(ungated)).toBe('done');
    expect(pod()?.['deletionTimestamp']).toBeDefined();
  });

  test('takes no place back whose volume is there, or being made', async () => {
    await write({ type: 'Apply', object: statefulSet('one') });
    await act(scale(5));
    const metadata = { namespace: NAMESPACE, name: 'data-sea-5' };
    const kind = 'PersistentVolumeClaim';
    const takenBack = (): RiskyAction => ({ ...scale(4), from: 5 }) as RiskyAction;
    const chosen = { 'volume.kubernetes.io/selected-node': 'host-1' };
    for (const [annotations, spec] of [
      [chosen, {}],
      [{}, { volumeName: 'v' }],
    ]) {
      const claimed = { ...metadata, annotations };
      server.put({ kind, metadata: claimed, spec });
      expect(await act(takenBack())).toMatchObject({ reason: 'HasVolume' });
    }
    server.put({ kind, metadata, spec: {} });
    expect(await act(takenBack())).toBe('done');
  });

  test('restarts by eviction, and takes the No of a PodDisruptionBudget for No', async () => {
    const labels = { app: 'sea' };
    const status = { conditions: [{ type: 'Ready', status: 'True' }] };
    const uids = [1, 2, 3].map((ordinal) => {
      const metadata = { namespace: NAMESPACE, name: `sea-${ordinal}`, labels };
      return server.put({ kind: 'Pod', metadata, spec: {}, status }).metadata.uid;
    });
    const metadata = { namespace: NAMESPACE, name: 'sea' };
    const spec = { maxUnavailable: 1, selector: { matchLabels: labels } };
    server.put({ kind: 'PodDisruptionBudget', metadata, spec });
    server.request('user', {
      method: 'DELETE',
      path: `/api/v1/namespaces/${NAMESPACE}/pods/sea-1`,
    });
    expect(await act(restart(uids[1] ?? ''))).toMatchObject({ reason: 'DisruptionBudget' });
    server.remove('Pod', NAMESPACE, 'sea-1');
    expect(await act(restart(uids[1] ?? ''))).toBe('done');
    expect(server.asked.filter(({ verb }) => verb === 'delete')).toHaveLength(1);
    expect(server.find('Pod', NAMESPACE, 'sea-2')?.metadata['deletionTimestamp']).toBeDefined();
  });

  test.each([400, 403, 422, 500])(
    'takes an eviction that is answered with %i for refused, not for a failure of the pass',
    async (status) => {
      const metadata = { namespace: NAMESPACE, name: 'sea-2' };
      const { uid } = server.put({ kind: 'Pod', metadata, spec: {} }).metadata;
      const why = 'This pod has more than one PodDisruptionBudget';
      server.onRequest = ({ resource }) => {
        if (resource === 'pods/eviction') throw new KubeError(status, '', why);
      };
      const refused = await act(restart(uid));
      expect(refused).toBeInstanceOf(AdminRefusal);
      expect(refused).toMatchObject({ reason: 'Refused', message: why });
    },
  );

  test.each<[string, StatusDetails]>([
    ['has too much to do', {}],
    [
      'computes the budget',
      { causes: [{ reason: 'DisruptionBudget', message: 'm' }], retryAfterSeconds: 10 },
    ],
  ])('takes no No of a budget for it while the API server %s', async (_, details) => {
    const metadata = { namespace: NAMESPACE, name: 'sea-2' };
    const { uid } = server.put({ kind: 'Pod', metadata, spec: {} }).metadata;
    server.onRequest = ({ resource }) => {
      if (resource === 'pods/eviction')
        throw new KubeError(429, 'TooManyRequests', 'm', { details });
    };
    expect(await act(restart(uid))).toMatchObject({ name: 'AdminRefusal', reason: 'Busy' });
  });

  test('asks the leader once more before a restart, and takes No and silence for No', async () => {
    const metadata = { namespace: NAMESPACE, name: 'sea-2' };
    const { uid } = server.put({ kind: 'Pod', metadata, spec: {} }).metadata;
    verdict = { isAllowed: false, epoch: 1, reason: 'SegmentQuorum', message: 'no' };
    expect(await act(restart(uid))).toEqual(new AdminRefusal('SegmentQuorum', 'no'));
    verdict = null;
    expect(await act(restart(uid))).toBeInstanceOf(AdminRefusal);
    expect(asked).toEqual(Array(2).fill('canRestart 2 of 10.0.0.1'));
    expect(server.find('Pod', NAMESPACE, 'sea-2')?.metadata['deletionTimestamp']).toBeUndefined();
  });

  test('does nothing at all once its term has ended, neither at the API server nor at nodes', async () => {
    await write({ type: 'Apply', object: statefulSet('one') });
    const actions: RiskyAction[] = [
      scale(3),
      restart('uid'),
      { type: 'Bootstrap', ordinal: 1, clusterId: 'c', diskId: 'd' },
      { type: 'TransferLeadership', from: 1, epoch: 1 },
      { type: 'SetVoters', leader: 1, metadataVoters: 5, epoch: 1 },
    ];
    term.isHeld = false;
    const before = server.asked.length;
    for (const action of actions) expect(await act(action)).toBeInstanceOf(Deposed);
    expect(await write({ type: 'Apply', object: statefulSet('two') })).toBeInstanceOf(Deposed);
    const events = new EventRecorder({
      ...{ api: client, logger: SILENT, term, identity: 'a' },
      clock: new SimClock(scheduler, new SimProcess(), { offsetMs: 0 }),
    });
    const event = { type: 'Normal' as const, reason: 'R', message: 'm' };
    await expect(events.record(cluster(), event)).rejects.toBeInstanceOf(Deposed);
    expect([server.asked.length, asked]).toEqual([before, []]);
  });
});

test('whatever it asks of the API server ends with its term', async () => {
  const signals: (AbortSignal | undefined)[] = [];
  client.onWritten = ({ signal }) => signals.push(signal);
  await write({ type: 'Apply', object: statefulSet('one') });
  await act(scale(3));
  const { resourceVersion = '' } = server.find('StatefulSet', NAMESPACE, 'sea')?.metadata ?? {};
  const kept = { replicas: 3, resourceVersion };
  await write({ type: 'Apply', object: statefulSet('two'), kept });
  await write({
    type: 'Annotate',
    annotations: {},
    resourceVersion: cluster().metadata.resourceVersion,
  });
  await outcome((applier) => applier.writeStatus(cluster(), {} as WalrusClusterStatus));
  const events = new EventRecorder({
    ...{ api: client, logger: SILENT, term, identity: 'a' },
    clock: new SimClock(scheduler, new SimProcess(), { offsetMs: 0 }),
  });
  void events.record(cluster(), { type: 'Normal', reason: 'R', message: 'm' });
  await scheduler.run(scheduler.nowMs + 100);
  expect(signals).toEqual(Array(7).fill(term.signal));
});

describe('the recorder of events', () => {
  function recorder(): EventRecorder {
    return new EventRecorder({
      ...{ api: client, logger: SILENT, term, identity: 'a' },
      clock: new SimClock(scheduler, new SimProcess(), { offsetMs: 0 }),
    });
  }

  async function record(events: EventRecorder, message: string, subject?: string): Promise<void> {
    const about = subject === undefined ? {} : { subject };
    const told = events.record(cluster(), { type: 'Normal', reason: 'Rolled', message, ...about });
    await scheduler.run(scheduler.nowMs + 100);
    await told;
  }

  test('tells the same once in a while, and again after it', async () => {
    const events = recorder();
    await record(events, 'one');
    await record(events, 'one');
    await record(events, 'two');
    expect(server.all('Event').map((event) => event['message'])).toEqual(['one', 'two']);
    await scheduler.run(scheduler.nowMs + 601_000);
    const metadata = { namespace: NAMESPACE, name: 'sea', labels: { a: 'b' } };
    server.put({ kind: KIND, metadata });
    await record(events, 'one');
    expect(server.all('Event')).toHaveLength(3);
  });

  test('tells the same of another generation, or of another pod, at once', async () => {
    const events = recorder();
    await record(events, 'one');
    server.put({ kind: KIND, metadata: { namespace: NAMESPACE, name: 'sea' }, spec: { a: 1 } });
    await record(events, 'one');
    await record(events, 'one', 'uid-1');
    await record(events, 'one', 'uid-1');
    await record(events, 'one', 'uid-2');
    expect(server.all('Event')).toHaveLength(4);
  });

  test('has the times by which kubectl sorts', async () => {
    await scheduler.run(5000);
    await record(recorder(), 'one');
    const time = '1970-01-01T00:00:05.000Z';
    expect(server.all('Event')).toMatchObject([
      {
        firstTimestamp: time,
        lastTimestamp: time,
        eventTime: '1970-01-01T00:00:05.000000Z',
        count: 1,
      },
    ]);
  });

  test('what another one has told of the same state before a crash is not told again', async () => {
    await record(recorder(), 'one');
    await record(recorder(), 'one');
    expect(server.all('Event')).toHaveLength(1);
  });

  test('an event that cannot be written holds up nothing', async () => {
    server.onRequest = () => {
      throw new KubeError(500, 'InternalError', 'no');
    };
    const told = recorder().record(cluster(), { type: 'Normal', reason: 'R', message: 'm' });
    await scheduler.run(scheduler.nowMs + 100);
    await expect(told).resolves.toBeUndefined();
  });
});
