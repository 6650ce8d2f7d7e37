/**
 * DeleteGroup: forgets a group's positions.
 *
 * Request: text group. Response: no fields.
 */
import type { Api, Empty } from './codec.ts';
import { readEmpty, readGroupName, writeEmpty } from './codec.ts';

export interface DeleteGroupRequest {
  readonly group: string;
}

export const deleteGroup: Api<DeleteGroupRequest, Empty> = {
  apiKey: 11,
  name: 'DeleteGroup',
  minVersion: 0,
  maxVersion: 0,
  writeRequest(writer, request) {
    writer.text(request.group);
  },
  readRequest(reader) {
    return { group: readGroupName(reader) };
  },
  writeResponse: writeEmpty,
  readResponse: readEmpty,
};
