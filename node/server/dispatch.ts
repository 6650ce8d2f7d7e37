/** The requests of the binary protocol and who serves each. */
import type { GetNextResponse } from '../../protocol/client/getNext.ts';
import { spokenVersions } from '../../protocol/client/apis.ts';
import type { HandshakeResponse } from '../../protocol/client/handshake.ts';
import { EMPTY } from '../../protocol/client/codec.ts';
import type { AnyRequest } from '../../protocol/client/frames.ts';
import type { ClusterAdmin } from './clusterAdmin.ts';
import type { DescribeService } from './describeService.ts';
import type { FetchService } from './fetchService.ts';
import type { GroupsService } from './groupsService.ts';
import type { OffsetsService } from './offsetsService.ts';
import type { ProducerIds } from './producerIds.ts';
import type { ProduceService } from './produceService.ts';
import type { RecordDeletion } from './recordDeletion.ts';
import type { Router } from './router.ts';
import type { Reservation } from './responseRoom.ts';
import type { ServerContext } from './serverContext.ts';
import type { Handed } from './handed.ts';
import type { SharedCursors } from './sharedCursors.ts';
import type { TopicAdmin } from './topicAdmin.ts';

/** What a Produce takes beside its batches, at most. */
const PRODUCE_OVERHEAD_BYTES = 512;

export interface DispatchServices {
  readonly context: ServerContext;
  readonly router: Router;
  readonly produce: ProduceService;
  readonly fetch: FetchService;
  readonly offsets: OffsetsService;
  readonly groups: GroupsService;
  readonly describe: DescribeService;
  readonly topics: TopicAdmin;
  readonly producerIds: ProducerIds;
  readonly cursors: SharedCursors;
  readonly deletion: RecordDeletion;
  readonly cluster: ClusterAdmin;
}

/** A response, and the record of a shared cursor in it, to be settled when it is written. */
export interface Dispatched {
  readonly response: unknown;
  readonly handed: Handed | null;
}

/**
 * Serves a request. Byte fields of the request are valid until the first await only.
 * @param reservation - Of the connection that it came from, for the response.
 * @throws {WalrusError} What the client is to be told.
 */
export async function dispatch(
  services: DispatchServices,
  call: AnyRequest,
  reservation: Reservation,
): Promise<Dispatched> {
  if (call.name === 'GetNext') {
    return await getNext(services, call.request.topic, () => reservation.isOpen);
  }
  return { response: await serve(services, call, reservation), handed: null };
}

type OtherRequest = Exclude<AnyRequest, { readonly name: 'GetNext' }>;

async function serve(
  services: DispatchServices,
  call: OtherRequest,
  reservation: Reservation,
): Promise<unknown> {
  switch (call.name) {
    case 'Produce':
      return await services.produce.produce(call.request);
    case 'Fetch':
      return await services.fetch.fetch(call.request, reservation);
    case 'Handshake':
      return handshake(services.context);
    case 'Metadata':
      return await services.describe.metadata(call.request);
    case 'ListOffsets':
      return await services.offsets.list(call.request);
    case 'InitProducer':
      return await services.producerIds.take();
    default:
      return await serveAdmin(services, call);
  }
}

type AdminRequest = Exclude<
  OtherRequest,
  { readonly name: 'Produce' | 'Fetch' | 'Handshake' | 'Metadata' | 'ListOffsets' | 'InitProducer' }
>;

async function serveAdmin(services: DispatchServices, call: AdminRequest): Promise<unknown> {
  switch (call.name) {
    case 'CreateTopic':
      return await services.topics.create(call.request);
    case 'DeleteTopic':
      await services.topics.delete(call.request.name);
      return EMPTY;
    case 'CommitPositions':
      return await services.groups.commit(call.request);
    case 'FetchPositions':
      return await services.groups.fetch(call.request);
    case 'DeleteGroup':
      await services.groups.delete(call.request.group);
      return EMPTY;
    case 'ListGroups':
      return await services.groups.list();
    case 'DescribeTopic':
      return await services.describe.topic(call.request.topic);
    case 'DescribeCluster':
      return services.describe.cluster();
    default:
      return await serveOperator(services, call);
  }
}

type OperatorRequest = Extract<
  AdminRequest,
  {
    readonly name: 'SealUnclean' | 'DeleteRecords' | 'MarkDiskLost' | 'TransferLeadership';
  }
>;

async function serveOperator(services: DispatchServices, call: OperatorRequest): Promise<unknown> {
  switch (call.name) {
    case 'SealUnclean':
      return await services.cluster.sealUnclean(call.request);
    case 'DeleteRecords':
      return await services.deletion.delete(call.request);
    case 'MarkDiskLost':
      return await services.cluster.markDiskLost(call.request);
    case 'TransferLeadership':
      return await services.cluster.transferLeadership(call.request);
  }
}

function handshake({ parts, limits, softwareVersion }: ServerContext): HandshakeResponse {
  return {
    clusterId: parts.identity.clusterId,
    nodeId: parts.self.nodeId,
    softwareVersion,
    apis: spokenVersions(),
    maxFrameBytes: limits.maxFrameBytes,
    maxBatchBytes: limits.maxFrameBytes - PRODUCE_OVERHEAD_BYTES,
  };
}

async function getNext(
  { router, cursors }: DispatchServices,
  name: string,
  isWanted: () => boolean,
): Promise<Dispatched> {
  const topic = await router.findTopic(name);
  return await new Promise((resolve, reject) => {
    cursors.next(topic, {
      isWanted,
      done: (error, handed) => {
        if (error !== null) reject(error);
        else resolve({ response: responseOf(handed), handed });
      },
    });
  });
}

function responseOf(handed: Handed | null): GetNextResponse {
  if (handed === null) return { record: undefined };
  const { partition, offset, value } = handed;
  return { record: { partition, offset, value } };
}
