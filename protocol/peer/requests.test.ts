/** The requests between nodes: what is sent is what is read, and damage is refused. */
import { describe, expect, test } from '@jest/globals';
import { concatBytes } from '../../base/bytes.ts';
import { logIndex, nodeId, offset, segmentId } from '../../base/units.ts';
import type { AnyApi, Api } from '../client/codec.ts';
import { fuzz } from '../testing/fuzz.ts';
import * as admin from './admin.ts';
import * as append from './append.ts';
import * as boot from './boot.ts';
import * as replicas from './replicas.ts';
import * as requests from './requests.ts';
import {
  decodeRpcRequest,
  decodeRpcRequestHeader,
  decodeRpcResponse,
  encodeRpcRequest,
  encodeRpcResponse,
} from './rpc.ts';

const token = '0123456789abcdef0123456789abcdef';
const diskId = 'fedcba9876543210fedcba9876543210';
const digest = '0123456789abcdef';
const bytes = new Uint8Array([1, 2, 3, 4, 5]);
const id = segmentId(7);
const at = offset(2 ** 40);

/** An api with a request and an answer in which everything is set. */
type Example = readonly [AnyApi, unknown, unknown];

function example<Request, Response>(
  api: Api<Request, Response>,
  request: Request,
  response: Response,
): Example {
  return [api, request, response];
}

const EXAMPLES: readonly Example[] = [
  example(requests.CLUSTER_INFO, null, { clusterId: token, leaderAddress: 'node-1:6001' }),
  example(
    requests.REGISTER_NODE,
    {
      nodeId: nodeId(3),
      diskId,
      bootEpoch: 4,
      bootNonce: token,
      peerAddress: 'a:1',
      clientAddress: 'a:2',
      httpAddress: 'a:3',
      zone: 'z',
      version: '1',
      replacesLostDisk: true,
    },
    null,
  ),
  example(
    requests.HEARTBEAT,
    {
      nodeId: nodeId(3),
      diskId,
      bootEpoch: 4,
      appliedIndex: logIndex(5),
      isDiskWritable: true,
      isDiskFull: false,
      usedBytes: 6,
      isDraining: true,
      damagedSegmentIds: [id],
      incompleteCopies: 2,
      isCatchingUp: true,
      behindNodeIds: [nodeId(1)],
      unledSegmentIds: [id],
    },
    {
      isRegistered: true,
      aliveNodeIds: [nodeId(1), nodeId(2)],
      drainingNodeIds: [nodeId(2)],
      damagedCopies: [{ nodeId: nodeId(2), segmentId: id }],
      appliedIndex: logIndex(7),
    },
  ),
  example(requests.PROPOSE, { command: bytes }, { index: logIndex(9) }),
  example(
    requests.CLOSE_SEGMENT,
    { segmentId: id, token, endOffset: at, digest },
    { nextSegmentId: segmentId(8) },
  ),
  example(
    replicas.FENCE_SEGMENT,
    { segmentId: id, token, diskId, epoch: 2, takesDamaged: true },
    { diskId, tail: at, digest, isDamaged: true },
  ),
  example(
    replicas.COPY_SEGMENT,
    {
      segmentId: id,
      token,
      diskId,
      epoch: 2,
      producerSnapshot: bytes,
      endOffset: at,
      batches: bytes,
    },
    { durableTail: at, digest },
  ),
  example(
    replicas.READ_SEGMENT,
    { segmentId: id, diskId, from: at, limit: at, maxBytes: 100 },
    { nextOffset: at, producerSnapshot: bytes, batches: bytes },
  ),
  example(replicas.PRODUCER_SNAPSHOT, { segmentId: id, endOffset: at }, { snapshot: bytes }),
  example(replicas.ROLL_SEGMENT, { segmentId: id }, null),
  example(
    requests.TAKE_NEXT,
    { topic: 't', maxCount: 3, bootEpoch: 2, sequence: 5, received: 4 },
    { records: [{ partition: 1, offset: at, value: bytes }], ended: [0, 1] },
  ),
  example(
    requests.CONFIRM_DELIVERY,
    { topic: 't', partition: 1, deliveries: [{ offset: at, wasDelivered: true }] },
    null,
  ),
];

function isApi(value: unknown): value is AnyApi {
  return typeof value === 'object' && value !== null && 'apiKey' in value;
}

test('there is an example of every request', () => {
  const all: unknown[] = [...Object.values(requests), ...Object.values(replicas)];
  const apis = all.filter(isApi);
  expect(EXAMPLES.map(([api]) => api.name).sort()).toEqual(apis.map(({ name }) => name).sort());
});

test('no two requests between nodes share a key', () => {
  const apis = [requests, replicas, admin, append, boot]
    .flatMap((module): unknown[] => Object.values(module))
    .filter(isApi);
  expect(apis.length).toBeGreaterThan(EXAMPLES.length);
  const names = Map.groupBy(apis, ({ apiKey }) => apiKey).values();
  expect(
    [...names].map((same) => same.map(({ name }) => name)).filter(({ length }) => length > 1),
  ).toEqual([]);
});

describe.each(EXAMPLES.map((each) => [each[0].name, ...each] as const))(
  '%s',
  (_name, api, request, response) => {
    const sent = concatBytes(encodeRpcRequest(api, 7, request));
    const answered = concatBytes(encodeRpcResponse(api, 7, response));

    test('round-trips', () => {
      expect(decodeRpcRequest(api, decodeRpcRequestHeader(sent), sent)).toEqual(request);
      expect(decodeRpcResponse(api, answered)).toEqual(response);
    });

    test('survives damage', () => {
      fuzz(api.apiKey, [sent], (message) => {
        const header = { ...decodeRpcRequestHeader(message), apiVersion: 0 };
        decodeRpcRequest(api, header, message);
      });
      fuzz(api.apiKey + 1000, [answered], (message): unknown => decodeRpcResponse(api, message));
    });
  },
);
