/**
 * ListGroups: the names of all groups that have positions.
 *
 * Request: no fields. Response: list groups (text).
 */
import type { Api, Empty } from './codec.ts';
import { readEmpty, readGroupName, writeEmpty } from './codec.ts';

export interface ListGroupsResponse {
  readonly groups: readonly string[];
}

export const listGroups: Api<Empty, ListGroupsResponse> = {
  apiKey: 12,
  name: 'ListGroups',
  minVersion: 0,
  maxVersion: 0,
  writeRequest: writeEmpty,
  readRequest: readEmpty,
  writeResponse(writer, response) {
    writer.list(response.groups, (w, group) => w.text(group));
  },
  readResponse(reader) {
    return { groups: reader.list(readGroupName) };
  },
};
