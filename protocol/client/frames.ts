/**
 * Frames of the binary client protocol, after the connection's four magic bytes (dialect.ts). Requests are
 * pipelined; responses carry the correlation id of their request and may come in another order.
 *
 * Request
 *
 * | at | size | field         | notes                           |
 * |----|------|---------------|---------------------------------|
 * | 0  | 4    | length        | u32, bytes after this field     |
 * | 4  | 2    | apiKey        | u16, see apis.ts                |
 * | 6  | 2    | apiVersion    | u16                             |
 * | 8  | 4    | correlationId | u32, chosen by the client       |
 * | 12 |      | body          | see the file of the api         |
 *
 * Response
 *
 * | at | size | field         | notes                                              |
 * |----|------|---------------|----------------------------------------------------|
 * | 0  | 4    | length        | u32, bytes after this field                        |
 * | 4  | 4    | correlationId | u32, of the request                                |
 * | 8  | 2    | errorNumber   | u16, 0 = success, see errorCodes.ts                |
 * | 10 |      | body          | of the api, or a failure (failure.ts)              |
 */
import { ByteReader } from '../../base/bytes.ts';
import { WalrusError } from '../../base/errors.ts';
import { FRAME_HEADER_BYTES } from '../frame.ts';
import { NO_ERROR } from '../errorCodes.ts';
import { readFailureBody, writeFailure } from '../failure.ts';
import type { ApiName } from './apis.ts';
import { APIS, apiNameOf, checkVersion } from './apis.ts';
import type { AnyApi, Api } from './codec.ts';
import { BodyWriter } from './codec.ts';

/** The size of a request without its body. */
export const REQUEST_HEADER_BYTES = 12;
/** The size of a response without its body. */
export const RESPONSE_HEADER_BYTES = 10;

/** Where a request goes and comes from. */
export interface RequestHeader {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
}

/** Encodes a request in the newest version of its api, as parts to be written one after the other. */
export function encodeRequest<Request, Response>(
  api: Api<Request, Response>,
  correlationId: number,
  request: Request,
): Uint8Array[] {
  const writer = new BodyWriter();
  writer.u32(0).u16(api.apiKey).u16(api.maxVersion).u32(correlationId);
  api.writeRequest(writer, request);
  return framed(writer);
}

/** Encodes a successful response, as parts to be written one after the other. */
export function encodeResponse<Request, Response>(
  api: Api<Request, Response>,
  correlationId: number,
  response: Response,
): Uint8Array[] {
  const writer = new BodyWriter();
  writer.u32(0).u32(correlationId).u16(NO_ERROR);
  api.writeResponse(writer, response);
  return framed(writer);
}

/** Encodes a failed response. */
export function encodeFailure(correlationId: number, error: WalrusError): Uint8Array[] {
  const writer = new BodyWriter();
  writer.u32(0).u32(correlationId);
  writeFailure(writer, error);
  return framed(writer);
}

function framed(writer: BodyWriter): Uint8Array[] {
  writer.patchU32(0, writer.totalBytes - FRAME_HEADER_BYTES);
  return writer.parts();
}

/**
 * Reads the header of a request from a frame's content (without the length).
 * @throws {WalrusError} MALFORMED: there is no correlation id to answer to, so the connection closes.
 */
export function decodeRequestHeader(frame: Uint8Array): RequestHeader {
  const reader = new ByteReader(frame, 'request header');
  return { apiKey: reader.u16(), apiVersion: reader.u16(), correlationId: reader.u32() };
}

/** A request of any api, told apart by `name`. */
export type AnyRequest = {
  [Name in ApiName]: {
    readonly name: Name;
    readonly request: ReturnType<(typeof APIS)[Name]['readRequest']>;
  };
}[ApiName];

/**
 * Reads the body of a request. Byte fields are views of the frame.
 * @throws {WalrusError} UNKNOWN_COMMAND, UNSUPPORTED_VERSION, MALFORMED, INVALID_TOPIC_NAME: answer with them.
 */
export function decodeRequest(frame: Uint8Array, header: RequestHeader): AnyRequest {
  const name = apiNameOf(header.apiKey);
  if (name === undefined) throw unknownApi(header.apiKey);
  const api: AnyApi = APIS[name];
  checkVersion(api, header.apiVersion);
  const reader = new ByteReader(
    frame.subarray(REQUEST_HEADER_BYTES - FRAME_HEADER_BYTES),
    `${name} request`,
  );
  const request: unknown = api.readRequest(reader);
  reader.end();
  return { name, request } as AnyRequest;
}

function unknownApi(apiKey: number): WalrusError {
  const message = `Cannot serve a request with the key ${apiKey}: this version does not know it`;
  return new WalrusError('UNKNOWN_COMMAND', message, { details: { apiKey } });
}

/**
 * Reads which request a response answers, from a frame's content (without the length).
 * @throws {WalrusError} MALFORMED
 */
export function correlationIdOf(frame: Uint8Array): number {
  return new ByteReader(frame, 'response header').u32();
}

/**
 * Reads a response: the api's, or the failure that the other side answered with. Byte fields are views.
 * @throws {WalrusError} MALFORMED when the bytes are neither.
 */
export function decodeResponse<Request, Response>(
  api: Api<Request, Response>,
  frame: Uint8Array,
): Response | WalrusError {
  const reader = new ByteReader(frame, `${api.name} response`);
  reader.u32();
  const number = reader.u16();
  const result = number === NO_ERROR ? api.readResponse(reader) : readFailureBody(reader, number);
  reader.end();
  return result;
}
