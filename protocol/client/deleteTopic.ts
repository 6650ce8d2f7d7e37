/**
 * DeleteTopic.
 *
 * Request: text name. Response: no fields.
 */
import type { Api, Empty } from './codec.ts';
import { readEmpty, readTopicName, writeEmpty } from './codec.ts';

export interface DeleteTopicRequest {
  readonly name: string;
}

export const deleteTopic: Api<DeleteTopicRequest, Empty> = {
  apiKey: 4,
  name: 'DeleteTopic',
  minVersion: 0,
  maxVersion: 0,
  writeRequest(writer, request) {
    writer.text(request.name);
  },
  readRequest(reader) {
    return { name: readTopicName(reader) };
  },
  writeResponse: writeEmpty,
  readResponse: readEmpty,
};
