/**
 * Handshake: the first request of a connection; tells what either side speaks. Its version 0 never changes.
 *
 * Request: text clientName, text clientVersion.
 * Response: text clusterId, u64 nodeId, text softwareVersion, list apis (u16 apiKey, u16 minVersion,
 * u16 maxVersion), u32 maxFrameBytes, u32 maxBatchBytes.
 */
import type { ByteReader } from '../../base/bytes.ts';
import type { NodeId } from '../../base/units.ts';
import type { Api, BodyWriter } from './codec.ts';
import { readNodeId } from './codec.ts';

export interface HandshakeRequest {
  /** What program connects: "walrus-cli". */
  readonly clientName: string;
  readonly clientVersion: string;
}

/** The versions of one api that a node speaks, both included. */
export interface ApiVersions {
  readonly apiKey: number;
  readonly minVersion: number;
  readonly maxVersion: number;
}

export interface HandshakeResponse {
  /** 32 hex digits. */
  readonly clusterId: string;
  /** The node that answers. */
  readonly nodeId: NodeId;
  readonly softwareVersion: string;
  readonly apis: readonly ApiVersions[];
  /** The largest frame that the node takes, in bytes. */
  readonly maxFrameBytes: number;
  /** The largest record batch that the node takes, in bytes. */
  readonly maxBatchBytes: number;
}

function writeApi(writer: BodyWriter, api: ApiVersions): void {
  writer.u16(api.apiKey).u16(api.minVersion).u16(api.maxVersion);
}

function readApi(reader: ByteReader): ApiVersions {
  return { apiKey: reader.u16(), minVersion: reader.u16(), maxVersion: reader.u16() };
}

export const handshake: Api<HandshakeRequest, HandshakeResponse> = {
  apiKey: 1,
  name: 'Handshake',
  minVersion: 0,
  maxVersion: 0,
  writeRequest(writer, request) {
    writer.text(request.clientName).text(request.clientVersion);
  },
  readRequest(reader) {
    return { clientName: reader.text(), clientVersion: reader.text() };
  },
  writeResponse(writer, response) {
    writer.text(response.clusterId).u64(response.nodeId).text(response.softwareVersion);
    writer.list(response.apis, (_, api) => writeApi(writer, api));
    writer.u32(response.maxFrameBytes).u32(response.maxBatchBytes);
  },
  readResponse(reader) {
    return {
      clusterId: reader.text(),
      nodeId: readNodeId(reader),
      softwareVersion: reader.text(),
      apis: reader.list(readApi),
      maxFrameBytes: reader.u32(),
      maxBatchBytes: reader.u32(),
    };
  },
};
