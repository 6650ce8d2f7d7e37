import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { concatBytes, encodeUtf8, toHex } from '../../base/bytes.ts';
import { WalrusError } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { ERROR_CODES } from '../../base/errors.ts';
import { nodeId, offset, segmentId } from '../../base/units.ts';
import { fuzz } from '../testing/fuzz.ts';
import type { ApiName } from './apis.ts';
import { APIS, apiNameOf, checkVersion, spokenVersions } from './apis.ts';
import type { AnyApi } from './codec.ts';
import {
  REQUEST_HEADER_BYTES,
  RESPONSE_HEADER_BYTES,
  correlationIdOf,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeFailure,
  encodeRequest,
  encodeResponse,
} from './frames.ts';

const count = fc.nat(Number.MAX_SAFE_INTEGER);
const u32 = fc.nat(2 ** 32 - 1);
const u8 = fc.nat(255);
const text = fc.string({ unit: 'grapheme' });
const name = fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}$/);
const anOffset = count.map(offset);
const node = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }).map(nodeId);
const segment = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }).map(segmentId);
const bytes = fc.uint8Array({ maxLength: 200 });
const hex = fc.stringMatching(/^[0-9a-f]{32}$/);
const empty = fc.constant({});

function maybe<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(value, { nil: undefined });
}

function list<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.array(value, { maxLength: 4 });
}

const topicPartition = { topic: name, partition: u32 };
const place = fc.record({ nodeId: node, diskId: hex });
const lossy = fc.record({ from: anOffset, to: anOffset });
const failure = fc
  .record({
    code: fc.constantFrom(...(Object.keys(ERROR_CODES) as ErrorCode[])),
    message: text,
    details: fc.dictionary(
      fc.stringMatching(/^[a-zA-Z]{1,9}$/),
      fc.oneof(
        text,
        fc.boolean(),
        fc.double({ noNaN: true }).filter((n) => !Object.is(n, -0)),
      ),
      { maxKeys: 4, noNullPrototype: true },
    ),
  })
  .map(({ code, message, details }) => new WalrusError(code, message, { details }));

const segmentDescription = fc.record({
  segmentId: segment,
  state: fc.constantFrom('OPEN', 'RECOVERING', 'SEALED', 'DELETED'),
  baseOffset: anOffset,
  endOffset: maybe(anOffset),
  epoch: count,
  leader: place,
  ensemble: list(place),
  damagedNodes: list(node),
  digest: maybe(fc.stringMatching(/^[0-9a-f]{16}$/)),
  isUnderReplicated: fc.boolean(),
  lossy: maybe(lossy),
  openedAtMs: count,
  sealedAtMs: maybe(count),
});

/** A generator of requests and one of responses for each api. */
const SAMPLES: Record<ApiName, readonly [fc.Arbitrary<object>, fc.Arbitrary<object>]> = {
  Handshake: [
    fc.record({ clientName: text, clientVersion: text }),
    fc.record({
      clusterId: hex,
      nodeId: node,
      softwareVersion: text,
      apis: list(fc.record({ apiKey: u8, minVersion: u8, maxVersion: u8 })),
      maxFrameBytes: u32,
      maxBatchBytes: u32,
    }),
  ],
  Metadata: [
    fc.record({ topics: maybe(list(name)) }),
    fc.record({
      metadataEpoch: count,
      metadataLeader: maybe(node),
      nodes: list(
        fc.record({ nodeId: node, clientAddress: text, zone: text, isAlive: fc.boolean() }),
      ),
      topics: list(
        fc.record({
          name,
          topicId: count,
          replicas: u8,
          ackQuorum: u8,
          partitions: list(
            fc.record({
              partition: u32,
              leader: maybe(node),
              segmentId: segment,
              logStartOffset: anOffset,
            }),
          ),
        }),
      ),
    }),
  ],
  CreateTopic: [
    fc.record({
      name,
      partitions: u32.map((n) => Math.max(n, 1)),
      replicas: maybe(u8),
      ackQuorum: maybe(u8),
      ifNotExists: fc.boolean(),
    }),
    fc.record({ topicId: count, isNew: fc.boolean() }),
  ],
  DeleteTopic: [fc.record({ name }), empty],
  InitProducer: [empty, fc.record({ producerId: count, producerEpoch: fc.nat(65535) })],
  Produce: [
    fc.record({
      ...topicPartition,
      acks: fc.constantFrom('leader', 'quorum', 'all'),
      timeoutMs: u32,
      batches: bytes,
    }),
    fc.record({
      batches: list(fc.record({ baseOffset: anOffset, isDuplicate: fc.boolean() })),
      logStartOffset: anOffset,
    }),
  ],
  Fetch: [
    fc.record({
      maxWaitMs: u32,
      minBytes: u32,
      maxBytes: u32,
      partitions: list(fc.record({ ...topicPartition, offset: anOffset })),
    }),
    fc.record({
      results: list(
        fc.oneof(
          failure,
          fc.record({
            committedOffset: anOffset,
            logStartOffset: anOffset,
            nextOffset: anOffset,
            batches: bytes,
          }),
        ),
      ),
    }),
  ],
  ListOffsets: [
    fc.record({
      ...topicPartition,
      at: fc.oneof(
        fc.record({ type: fc.constantFrom('earliest', 'latest') }),
        fc.record({ type: fc.constant('time'), timestampMs: count }),
      ),
    }),
    fc.record({ offset: anOffset }),
  ],
  CommitPositions: [
    fc.record({
      group: name,
      unchangedSince: maybe(count),
      positions: list(fc.record({ ...topicPartition, offset: anOffset })),
    }),
    fc.record({ metadataEpoch: count }),
  ],
  FetchPositions: [
    fc.record({ group: name, partitions: maybe(list(fc.record(topicPartition))) }),
    fc.record({
      metadataEpoch: count,
      positions: list(fc.record({ ...topicPartition, offset: maybe(anOffset) })),
    }),
  ],
  DeleteGroup: [fc.record({ group: name }), empty],
  ListGroups: [empty, fc.record({ groups: list(name) })],
  DescribeTopic: [
    fc.record({ topic: name }),
    fc.record({
      name,
      topicId: count,
      replicas: u8,
      ackQuorum: u8,
      createdAtMs: count,
      partitions: list(
        fc.record({
          partition: u32,
          logStartOffset: anOffset,
          segments: list(segmentDescription),
        }),
      ),
    }),
  ],
  DescribeCluster: [
    empty,
    fc.record({
      clusterId: hex,
      metadataEpoch: count,
      nodes: list(
        fc.record({
          nodeId: node,
          diskId: hex,
          clientAddress: text,
          peerAddress: text,
          httpAddress: text,
          zone: text,
          version: text,
          isAlive: fc.boolean(),
        }),
      ),
      disks: list(
        fc.record({
          diskId: hex,
          nodeId: node,
          bootEpoch: count,
          state: fc.constantFrom('REGISTERED', 'LOST'),
        }),
      ),
      raft: fc.record({
        term: count,
        leader: maybe(node),
        commitIndex: count,
        lastApplied: count,
        voters: list(place),
        learners: list(place),
      }),
    }),
  ],
  SealUnclean: [
    fc.record({ segmentId: segment, confirmedEnd: maybe(anOffset) }),
    fc.record({ endOffset: anOffset, lossy: maybe(lossy) }),
  ],
  GetNext: [
    fc.record({ topic: name }),
    fc.record({ record: maybe(fc.record({ partition: u32, offset: anOffset, value: bytes })) }),
  ],
  DeleteRecords: [
    fc.record({ ...topicPartition, beforeOffset: anOffset }),
    fc.record({ logStartOffset: anOffset }),
  ],
  MarkDiskLost: [
    fc.record({ diskId: hex, confirm: fc.boolean() }),
    fc.record({ nodeId: node, isLost: fc.boolean(), segments: u32, blocked: u32 }),
  ],
  TransferLeadership: [fc.record({ nodeId: maybe(node) }), fc.record({ nodeId: node })],
};

const NAMES = Object.keys(APIS) as ApiName[];

/** What arrives: the parts of a frame joined, without the length, which is checked. */
function content(parts: readonly Uint8Array[]): Uint8Array {
  const frame = concatBytes(parts);
  expect(new DataView(frame.buffer).getUint32(0, true)).toBe(frame.length - 4);
  return frame.subarray(4);
}

/** Failures compare by what they say. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, item: unknown) =>
      item instanceof WalrusError
        ? { code: item.code, message: item.message, details: item.details, retry: item.retriable }
        : item,
    ),
  );
}

describe.each(NAMES)('%s', (apiName) => {
  const api: AnyApi = APIS[apiName];
  const [requests, responses] = SAMPLES[apiName];

  test('round-trips its request', () => {
    fc.assert(
      fc.property(requests, u32, (request, correlationId) => {
        const frame = content(encodeRequest(api, correlationId, request));
        const header = decodeRequestHeader(frame);
        expect(header).toEqual({ apiKey: api.apiKey, apiVersion: api.maxVersion, correlationId });
        expect(decodeRequest(frame, header)).toEqual({ name: apiName, request });
      }),
    );
  });

  test('round-trips its response', () => {
    fc.assert(
      fc.property(responses, u32, (response, correlationId) => {
        const frame = content(encodeResponse(api, correlationId, response));
        expect(correlationIdOf(frame)).toBe(correlationId);
        const decoded: unknown = decodeResponse(api, frame);
        expect(plain(decoded)).toEqual(plain(response));
        if (apiName !== 'Fetch') expect(decoded).toEqual(response);
      }),
    );
  });

  test('survives damaged requests and responses', () => {
    const sent = fc
      .sample(requests, { numRuns: 30, seed: 1 })
      .map((request) => content(encodeRequest(api, 7, request)));
    fuzz(api.apiKey, sent, (frame) => {
      const header = decodeRequestHeader(frame);
      decodeRequest(frame, { ...header, apiKey: api.apiKey, apiVersion: api.maxVersion });
    });
    const answered = fc
      .sample(responses, { numRuns: 30, seed: 2 })
      .map((response) => content(encodeResponse(api, 7, response)));
    answered.push(
      content(encodeFailure(7, new WalrusError('CONFLICT', 'x', { details: { a: 1 } }))),
    );
    fuzz(100 + api.apiKey, answered, (frame): unknown => decodeResponse(api, frame));
  });
});

describe('frames', () => {
  test('are these bytes', () => {
    const request = encodeRequest(APIS.DeleteTopic, 0x01020304, { name: 'logs' });
    expect(toHex(concatBytes(request))).toBe(
      '10000000' + '0400' + '0000' + '04030201' + '04000000' + '6c6f6773',
    );
    expect(toHex(concatBytes(encodeResponse(APIS.DeleteTopic, 0x01020304, {})))).toBe(
      '06000000' + '04030201' + '0000',
    );
    const error = new WalrusError('OVERLOADED', 'no', { details: { n: 5 } });
    expect(toHex(concatBytes(encodeFailure(9, error)))).toBe(
      '1b000000' +
        '09000000' +
        '2300' +
        '02000000' +
        '6e6f' +
        '01000000' +
        '01000000' +
        '6e' +
        '01' +
        '01000000' +
        '35',
    );
    expect([REQUEST_HEADER_BYTES, RESPONSE_HEADER_BYTES]).toEqual([12, 10]);
  });

  test('carry batches without copying them, in both directions', () => {
    const batches = new Uint8Array(1000).fill(3);
    const parts = encodeRequest(APIS.Produce, 1, {
      topic: 't',
      partition: 0,
      acks: 'quorum',
      timeoutMs: 1,
      batches,
    });
    expect(parts.at(-1)).toBe(batches);
    const frame = content(parts);
    const decoded = decodeRequest(frame, decodeRequestHeader(frame));
    expect(decoded.name === 'Produce' && decoded.request.batches.buffer).toBe(frame.buffer);
    const result = {
      committedOffset: offset(1),
      logStartOffset: offset(0),
      nextOffset: offset(1),
      batches,
    };
    const answer = encodeResponse(APIS.Fetch, 1, { results: [result, result] });
    expect(answer.slice(1)).toEqual([batches, batches]);
    expect(answer[2]).toBe(batches);
  });

  test('carry failures with their details', () => {
    fc.assert(
      fc.property(failure, (error) => {
        const frame = content(encodeFailure(3, error));
        expect(plain(decodeResponse(APIS.Produce, frame))).toEqual(plain(error));
      }),
    );
  });

  test('with an error number of a later version keep its message', () => {
    const frame = content(encodeFailure(3, new WalrusError('CONFLICT', 'try later')));
    new DataView(frame.buffer, frame.byteOffset).setUint16(4, 60_000, true);
    expect(plain(decodeResponse(APIS.Produce, frame))).toEqual({
      code: 'UNSUPPORTED_VERSION',
      message:
        'The other side answered with error 60000, which this version does not know: try later',
      details: { errorNumber: 60_000 },
      retry: false,
    });
  });

  test('of unknown keys and versions are refused, naming what is spoken', () => {
    const frame = content(encodeRequest(APIS.ListGroups, 1, {}));
    const header = decodeRequestHeader(frame);
    expect(() => decodeRequest(frame, { ...header, apiKey: 999 })).toThrow(
      'Cannot serve a request with the key 999: this version does not know it',
    );
    expect(() => decodeRequest(frame, { ...header, apiVersion: 1 })).toThrow(
      'Cannot serve ListGroups in version 1: this node speaks 0 to 0',
    );
    expect(() => checkVersion({ ...APIS.Fetch, minVersion: 2, maxVersion: 4 }, 1)).toThrow(
      '2 to 4',
    );
  });

  test('with bytes left over are refused', () => {
    const frame = concatBytes([content(encodeRequest(APIS.ListGroups, 1, {})), encodeUtf8('x')]);
    expect(() => decodeRequest(frame, decodeRequestHeader(frame))).toThrow('1 bytes are left over');
  });
});

test('apis have unique keys, are found by them and are spoken of in the handshake', () => {
  const keys = NAMES.map((apiName) => APIS[apiName].apiKey);
  expect(new Set(keys).size).toBe(keys.length);
  expect(keys.map(apiNameOf)).toEqual(NAMES);
  expect(NAMES.map((apiName) => APIS[apiName].name)).toEqual(NAMES);
  expect(spokenVersions().map((api) => api.apiKey)).toEqual(keys);
  expect(apiNameOf(0)).toBe(undefined);
});

test('names and ids that cannot be are refused', () => {
  const request = (api: AnyApi, value: object) => {
    const frame = content(encodeRequest(api, 1, value));
    return () => decodeRequest(frame, decodeRequestHeader(frame));
  };
  expect(request(APIS.DeleteTopic, { name: 'a b' })).toThrow('Invalid topic name "a b"');
  expect(request(APIS.DeleteGroup, { group: '' })).toThrow(
    'the group name is invalid: it is empty',
  );
  expect(request(APIS.SealUnclean, { segmentId: 0, confirmedEnd: undefined })).toThrow(
    'a segment id is 0',
  );
  expect(request(APIS.CreateTopic, { name: 'a', partitions: 0, ifNotExists: true })).toThrow(
    'at least one partition',
  );
});
