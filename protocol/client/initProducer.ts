/**
 * InitProducer: an identity for an idempotent producer, given once.
 *
 * Request: no fields. Response: u64 producerId, u16 producerEpoch.
 */
import type { Api, Empty } from './codec.ts';
import { readEmpty, writeEmpty } from './codec.ts';

export interface InitProducerResponse {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export const initProducer: Api<Empty, InitProducerResponse> = {
  apiKey: 5,
  name: 'InitProducer',
  minVersion: 0,
  maxVersion: 0,
  writeRequest: writeEmpty,
  readRequest: readEmpty,
  writeResponse(writer, response) {
    writer.u64(response.producerId).u16(response.producerEpoch);
  },
  readResponse(reader) {
    return { producerId: reader.u64(), producerEpoch: reader.u16() };
  },
};
