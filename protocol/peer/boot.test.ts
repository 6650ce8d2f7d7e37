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
const members = fc.uniqueArray(fc.record({ nodeId: node, diskId: id, address: fc.string() }), {
  maxLength: 9,
  selector: ({ nodeId: number, diskId }) => `${number}/${diskId}`,
});
const answers = fc.record({
  nodeId: node,
  diskId: id,
  process: id,
  refusal: fc.option(fc.string(), { nil: undefined }),
  configurationTerm: fc.maxSafeNat(),
  configurationIndex: fc.maxSafeNat(),
});
const responses: fc.Arbitrary<BootResponse> = fc
  .tuple(answers, members, fc.nat(9))
  .map(([answer, all, count]) => {
    return { ...answer, voters: all.slice(0, count), learners: all.slice(count) };
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

  test('is not answered with a member that is named twice', () => {
    const member = { nodeId: nodeId(1), diskId: 'ab'.repeat(16), address: 'a:1' };
    const answer: BootResponse = {
      nodeId: nodeId(1),
      diskId: member.diskId,
      process: member.diskId,
      refusal: undefined,
      configurationTerm: 1,
      configurationIndex: 1,
      voters: [member],
      learners: [{ ...member, address: 'b:1' }],
    };
    const message = concatBytes(encodeRpcResponse(BOOT, 7, answer));
    expect(() => decodeRpcResponse(BOOT, message)).toThrow(/named twice/);
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
