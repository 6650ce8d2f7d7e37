/**
 * Requests between nodes and their responses, as peer messages (envelope.ts has the layout): client requests that
 * are forwarded to a leader, and internal ones. The apis are of the same kind as the clients' (client/codec.ts);
 * internal ones have keys from INTERNAL_API_KEY_MIN on.
 */
import { ByteReader } from '../../base/bytes.ts';
import type { WalrusError } from '../../base/errors.ts';
import { checkVersion } from '../client/apis.ts';
import type { Api } from '../client/codec.ts';
import { BodyWriter } from '../client/codec.ts';
import { NO_ERROR } from '../errorCodes.ts';
import { readFailureBody, writeFailure } from '../failure.ts';
import { MESSAGE_KIND } from './envelope.ts';

/** Versions that this build speaks, of all requests between nodes. */
export const VERSIONS = { minVersion: 0, maxVersion: 0 } as const;

/** The size of an rpc request before its body, kind included. */
export const RPC_REQUEST_HEADER_BYTES = 9;
/** The size of an rpc response before its body, kind included. */
export const RPC_RESPONSE_HEADER_BYTES = 7;

/** What an rpc request is and where its response belongs. */
export interface RpcRequestHeader {
  readonly correlationId: number;
  readonly apiKey: number;
  readonly apiVersion: number;
}

/** Encodes a request as the parts of a message. */
export function encodeRpcRequest<Request, Response>(
  api: Api<Request, Response>,
  correlationId: number,
  request: Request,
): Uint8Array[] {
  const writer = new BodyWriter();
  writer.u8(MESSAGE_KIND.RPC_REQUEST).u32(correlationId).u16(api.apiKey).u16(api.maxVersion);
  api.writeRequest(writer, request);
  return writer.parts();
}

/** Encodes a successful response as the parts of a message. */
export function encodeRpcResponse<Request, Response>(
  api: Api<Request, Response>,
  correlationId: number,
  response: Response,
): Uint8Array[] {
  const writer = new BodyWriter();
  writer.u8(MESSAGE_KIND.RPC_RESPONSE).u32(correlationId).u16(NO_ERROR);
  api.writeResponse(writer, response);
  return writer.parts();
}

/** Encodes a failed response as the parts of a message. */
export function encodeRpcFailure(correlationId: number, error: WalrusError): Uint8Array[] {
  const writer = new BodyWriter();
  writer.u8(MESSAGE_KIND.RPC_RESPONSE).u32(correlationId);
  writeFailure(writer, error);
  return writer.parts();
}

/**
 * Reads the header of a message of the kind RPC_REQUEST.
 * @throws {WalrusError} MALFORMED
 */
export function decodeRpcRequestHeader(message: Uint8Array): RpcRequestHeader {
  const reader = new ByteReader(message, 'rpc request');
  reader.u8();
  return { correlationId: reader.u32(), apiKey: reader.u16(), apiVersion: reader.u16() };
}

/**
 * Reads the body of a request whose header named `api`. Byte fields are views of the message.
 * @throws {WalrusError} UNSUPPORTED_VERSION, MALFORMED, INVALID_TOPIC_NAME: answer with them.
 */
export function decodeRpcRequest<Request, Response>(
  api: Api<Request, Response>,
  header: RpcRequestHeader,
  message: Uint8Array,
): Request {
  checkVersion(api, header.apiVersion);
  const reader = new ByteReader(message.subarray(RPC_REQUEST_HEADER_BYTES), `${api.name} rpc`);
  const request = api.readRequest(reader);
  reader.end();
  return request;
}

/**
 * Reads which request a message of the kind RPC_RESPONSE answers.
 * @throws {WalrusError} MALFORMED
 */
export function rpcCorrelationIdOf(message: Uint8Array): number {
  const reader = new ByteReader(message, 'rpc response');
  reader.u8();
  return reader.u32();
}

/**
 * Reads a response: the api's, or the failure that the other node answered with. Byte fields are views.
 * @throws {WalrusError} MALFORMED when the bytes are neither.
 */
export function decodeRpcResponse<Request, Response>(
  api: Api<Request, Response>,
  message: Uint8Array,
): Response | WalrusError {
  const reader = new ByteReader(message, `${api.name} rpc response`);
  reader.u8();
  reader.u32();
  const number = reader.u16();
  const result = number === NO_ERROR ? api.readResponse(reader) : readFailureBody(reader, number);
  reader.end();
  return result;
}
