import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { concatBytes, encodeUtf8, toHex } from '../../base/bytes.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import { nodeId, offset, segmentId } from '../../base/units.ts';
import { APIS } from '../client/apis.ts';
import { FrameDecoder } from '../frame.ts';
import { setBaseOffset } from '../recordBatch.ts';
import { RecordBatchBuilder } from '../recordBatchBuilder.ts';
import { fuzz } from '../testing/fuzz.ts';
import { encodeAppendHeader } from './append.ts';
import type { PeerHello, PeerWelcome } from './envelope.ts';
import {
  HELLO_FRAME_LIMIT_BYTES,
  MESSAGE_KIND,
  PEER_FRAME_HEADER_BYTES,
  PEER_PROTOCOL_VERSION,
  decodeHello,
  decodeHelloAnswer,
  encodeHello,
  encodeHelloAnswer,
  encodeMessage,
  encodePeerFrame,
  messageKindOf,
  openPeerFrame,
} from './envelope.ts';
import {
  RPC_REQUEST_HEADER_BYTES,
  RPC_RESPONSE_HEADER_BYTES,
  decodeRpcRequest,
  decodeRpcRequestHeader,
  decodeRpcResponse,
  encodeRpcFailure,
  encodeRpcRequest,
  encodeRpcResponse,
  rpcCorrelationIdOf,
} from './rpc.ts';

const hello: PeerHello = {
  protocolVersion: PEER_PROTOCOL_VERSION,
  clusterId: '0123456789abcdef0123456789abcdef',
  nodeId: nodeId(2),
  address: '127.0.0.1:6002',
  softwareVersion: '0.1.0',
};
const welcome: PeerWelcome = {
  protocolVersion: PEER_PROTOCOL_VERSION,
  clusterId: hello.clusterId,
  nodeId: nodeId(1),
  softwareVersion: '0.1.0',
};

/** What arrives of a frame: its bytes without the length. */
function sent(payload: Uint8Array): Uint8Array {
  return concatBytes(encodePeerFrame([payload])).subarray(4);
}

function codeOf(action: () => unknown): string {
  try {
    action();
    return 'no error';
  } catch (error) {
    return isWalrusError(error) ? error.code : String(error);
  }
}

/** A batch with a body of about so many bytes. */
function batchOf(bodyBytes: number): Uint8Array {
  const builder = new RecordBatchBuilder({ maxBytes: 2 * bodyBytes + 1000 });
  builder.appendValue(new Uint8Array(bodyBytes).fill(bodyBytes % 251), 1);
  const batch = builder.finish();
  setBaseOffset(batch, 0, offset(bodyBytes)); // not covered by the batch's own checksum
  return batch;
}

describe('the frame of an Append', () => {
  const header = encodeAppendHeader({
    segmentId: segmentId(1),
    token: 'ab'.repeat(16),
    diskId: 'cd'.repeat(16),
    committedOffset: offset(5),
    firstOffset: offset(6),
  });

  test('has the checksum of all its bytes, without reading large batches again', () => {
    const large = batchOf(100_000);
    const parts = [header, large, batchOf(10), concatBytes([batchOf(50_000), batchOf(200), large])];
    const frame = concatBytes(encodePeerFrame(parts));
    expect(frame).toEqual(concatBytes(encodePeerFrame([concatBytes(parts)])));
    expect(openPeerFrame(frame.subarray(4))).toEqual(concatBytes(parts));
  });

  test('finds every damaged byte of a batch and of its header', () => {
    const batch = batchOf(40_000);
    const frame = concatBytes(encodePeerFrame([header, batch])).subarray(4);
    const start = frame.length - batch.length;
    for (const at of [0, 7, 8, 12, 16, 17, 21, 30, 60, 61, 20_000, batch.length - 1]) {
      const damaged = frame.slice();
      damaged[start + at] = (damaged[start + at] ?? 0) ^ 4;
      expect([at, codeOf(() => openPeerFrame(damaged))]).toEqual([at, 'CONNECTION_FAILED']);
    }
  });

  test('is made of bytes that are no batches, too', () => {
    const rest = new Uint8Array(60_000).fill(9);
    for (const parts of [
      [header, rest],
      [header, batchOf(40_000), rest],
      [header, batchOf(40_000).subarray(0, 30_000)],
    ]) {
      const frame = concatBytes(encodePeerFrame(parts));
      expect(openPeerFrame(frame.subarray(4))).toEqual(concatBytes(parts));
    }
  });
});

describe('peer frames', () => {
  test('are these bytes', () => {
    const parts = encodePeerFrame([encodeUtf8('1234'), encodeUtf8('56789')]);
    // E3069283 is the check value of CRC-32C over "123456789"
    expect(toHex(concatBytes(parts))).toBe('0d000000' + '839206e3' + '313233343536373839');
    expect(PEER_FRAME_HEADER_BYTES).toBe(8);
  });

  test('travel through the frame decoder in any parts', () => {
    const parts = fc.array(fc.uint8Array(), { maxLength: 4 });
    fc.assert(
      fc.property(fc.array(parts, { minLength: 1, maxLength: 4 }), (messages) => {
        const payloads: Uint8Array[] = [];
        const decoder = new FrameDecoder({
          maxFrameBytes: 4096,
          what: 'peer message',
          onFrame: (frame) => payloads.push(openPeerFrame(frame).slice()),
        });
        decoder.push(concatBytes(messages.flatMap((message) => encodePeerFrame(message))));
        expect(payloads).toEqual(messages.map((message) => concatBytes(message)));
      }),
    );
  });

  test('with any changed bit are refused', () => {
    const frame = sent(encodeUtf8('some message'));
    for (let bit = 0; bit < 8 * frame.length; bit += 1) {
      const bytes = frame.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(codeOf(() => openPeerFrame(bytes))).toBe('CONNECTION_FAILED');
    }
    expect(codeOf(() => openPeerFrame(new Uint8Array(3)))).toBe('CONNECTION_FAILED');
  });
});

describe('the hello', () => {
  test('and its answers round-trip', () => {
    expect(decodeHello(sent(encodeHello(hello)))).toEqual(hello);
    expect(decodeHello(sent(encodeHello({ ...hello, clusterId: '' }))).clusterId).toBe('');
    expect(decodeHelloAnswer(sent(encodeHelloAnswer(welcome)))).toEqual(welcome);
    const refusal = new WalrusError('WRONG_CLUSTER', 'not mine', { details: { clusterId: 'x' } });
    const back = decodeHelloAnswer(sent(encodeHelloAnswer(refusal)));
    expect(back).toMatchObject({ code: 'WRONG_CLUSTER', details: { clusterId: 'x' } });
    expect(sent(encodeHello(hello)).length).toBeLessThan(HELLO_FRAME_LIMIT_BYTES);
  });

  test('of a stranger, of another version and of a damaged line are told apart', () => {
    expect(codeOf(() => decodeHello(encodeUtf8('REGISTER logs')))).toBe('MALFORMED');
    expect(codeOf(() => decodeHello(new Uint8Array(0)))).toBe('MALFORMED');
    expect(codeOf(() => decodeHelloAnswer(encodeUtf8('ERR unknown command')))).toBe('MALFORMED');
    const newer = sent(encodeHello({ ...hello, protocolVersion: 9 }));
    expect(() => decodeHello(newer)).toThrow('peer protocol 9: this one speaks 1');
    const bytes = sent(encodeHello(hello));
    bytes[bytes.length - 1] = 0;
    expect(codeOf(() => decodeHello(bytes))).toBe('CONNECTION_FAILED');
  });

  test('survives damage, with and without a right checksum', () => {
    const hellos = [encodeHello(hello), encodeHelloAnswer(welcome)];
    const refusal = encodeHelloAnswer(
      new WalrusError('WRONG_CLUSTER', 'no', { details: { a: 1 } }),
    );
    fuzz(1, hellos, (payload) => decodeHello(sent(payload)));
    fuzz(2, [...hellos, refusal], (payload) => decodeHelloAnswer(sent(payload)));
    fuzz(3, hellos.map(sent), (frame) => decodeHello(frame));
  });
});

describe('messages', () => {
  test('begin with their kind', () => {
    for (const kind of Object.values(MESSAGE_KIND)) {
      const message = concatBytes(encodeMessage(kind, [encodeUtf8('x')]));
      expect([messageKindOf(message), toHex(message)]).toEqual([kind, `0${kind}78`]);
    }
    expect(codeOf(() => messageKindOf(new Uint8Array(0)))).toBe('MALFORMED');
    expect(codeOf(() => messageKindOf(new Uint8Array([9])))).toBe('MALFORMED');
  });

  test('carry requests and responses of any api', () => {
    const batches = encodeUtf8('batch');
    const request = {
      topic: 't',
      partition: 1,
      acks: 'all' as const,
      timeoutMs: 5,
      batches,
    };
    const parts = encodeRpcRequest(APIS.Produce, 77, request);
    expect(parts.at(-1)).toBe(batches);
    const message = concatBytes(parts);
    const header = decodeRpcRequestHeader(message);
    expect(messageKindOf(message)).toBe(MESSAGE_KIND.RPC_REQUEST);
    expect(header).toEqual({ correlationId: 77, apiKey: 6, apiVersion: 0 });
    expect(decodeRpcRequest(APIS.Produce, header, message)).toEqual(request);

    const response = { batches: [], logStartOffset: offset(3) };
    const answer = concatBytes(encodeRpcResponse(APIS.Produce, 77, response));
    expect([messageKindOf(answer), rpcCorrelationIdOf(answer)]).toEqual([4, 77]);
    expect(decodeRpcResponse(APIS.Produce, answer)).toEqual(response);

    const refusal = concatBytes(encodeRpcFailure(78, new WalrusError('NOT_LEADER', 'go away')));
    expect(rpcCorrelationIdOf(refusal)).toBe(78);
    expect(decodeRpcResponse(APIS.Produce, refusal)).toMatchObject({
      code: 'NOT_LEADER',
      message: 'go away',
      retriable: true,
    });
    expect([
      concatBytes(encodeRpcRequest(APIS.ListGroups, 1, {})).length,
      concatBytes(encodeRpcResponse(APIS.DeleteTopic, 1, {})).length,
    ]).toEqual([RPC_REQUEST_HEADER_BYTES, RPC_RESPONSE_HEADER_BYTES]);
  });

  test('of another version are refused', () => {
    const message = concatBytes(encodeRpcRequest(APIS.ListGroups, 1, {}));
    const header = { ...decodeRpcRequestHeader(message), apiVersion: 4 };
    expect(codeOf(() => decodeRpcRequest(APIS.ListGroups, header, message))).toBe(
      'UNSUPPORTED_VERSION',
    );
  });

  test('survive damage', () => {
    const request = concatBytes(
      encodeRpcRequest(APIS.Fetch, 1, {
        maxWaitMs: 1,
        minBytes: 1,
        maxBytes: 1,
        partitions: [{ topic: 't', partition: 0, offset: offset(9) }],
      }),
    );
    fuzz(4, [request], (message) => {
      messageKindOf(message);
      decodeRpcRequest(APIS.Fetch, decodeRpcRequestHeader(message), message);
    });
    const refusal = concatBytes(encodeRpcFailure(78, new WalrusError('NOT_LEADER', 'go away')));
    fuzz(5, [refusal], (message) => decodeRpcResponse(APIS.Produce, message));
  });
});
