import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { concatBytes } from '../../base/bytes.ts';
import { nodeId } from '../../base/units.ts';
import { fuzz } from '../testing/fuzz.ts';
import { BOOT, BOOT_REQUEST_BYTES } from './boot.ts';
import type { BootRequest, BootResponse } from './boot.ts';
import {
  RPC_REQUEST_HEADER_BYTES,
  decodeRpcRequest,
  decodeRpcRequestHeader,
  decodeRpcResponse,
  encodeRpcRequest,
  encodeRpcResponse,
} from './rpc.ts';

const id = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const node = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }).map(nodeId);
const requests: fc.Arbitrary<BootRequest> = fc.record({
  nodeId: node,
  diskId: id,
  epoch: fc.maxSafeNat(),
  nonce: id,
  diskBootEpoch: fc.maxSafeNat(),
  diskBootNonce: id,
  process: id,
});
const responses: fc.Arbitrary<BootResponse> = fc.record({
  nodeId: node,
  diskId: id,
  process: id,
  refusal: fc.option(fc.string(), { nil: undefined }),
});

function decodeRequest(message: Uint8Array): BootRequest {
  return decodeRpcRequest(BOOT, decodeRpcRequestHeader(message), message);
}

describe('Boot', () => {
  test('and its answer round-trip, in the documented sizes', () => {
    fc.assert(
      fc.property(requests, responses, (request, response) => {
        const message = concatBytes(encodeRpcRequest(BOOT, 7, request));
        expect(message.length).toBe(RPC_REQUEST_HEADER_BYTES + BOOT_REQUEST_BYTES);
        expect(decodeRequest(message)).toEqual(request);
        const answer = concatBytes(encodeRpcResponse(BOOT, 7, response));
        expect(decodeRpcResponse(BOOT, answer)).toEqual(response);
      }),
    );
    const doc = readFileSync('docs/protocol.md', 'utf8');
    expect(doc).toContain(`| ${BOOT.apiKey} | \`${BOOT.name}\` (${BOOT_REQUEST_BYTES} bytes)`);
  });

  test('and its answer survive damage', () => {
    const samples = fc.sample(fc.tuple(requests, responses), { numRuns: 20, seed: 1 });
    const messages = samples.map(([one]) => concatBytes(encodeRpcRequest(BOOT, 7, one)));
    const answers = samples.map(([, one]) => concatBytes(encodeRpcResponse(BOOT, 7, one)));
    expect(fuzz(11, messages, decodeRequest).refused).toBeGreaterThan(0);
    expect(
      fuzz(12, answers, (message) => decodeRpcResponse(BOOT, message)).refused,
    ).toBeGreaterThan(0);
  });
});
