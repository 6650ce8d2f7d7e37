/**
 * A scripted cluster on virtual time: it speaks the real protocol, keeps one log per partition with the rules of
 * idempotent producers, and does what a test tells it to each request. No sockets, no real time.
 */
import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { WalrusError } from '../../base/errors.ts';
import type { ByteStream, StreamHandlers } from '../../base/network.ts';
import { SeededRandom } from '../../base/random.ts';
import type { NodeId, Offset, SegmentId } from '../../base/units.ts';
import { Scheduler } from '../../node/sim/scheduler.ts';
import { APIS, spokenVersions } from '../../protocol/client/apis.ts';
import type { CommitPositionsRequest } from '../../protocol/client/commitPositions.ts';
import type { FetchRequest, FetchResult } from '../../protocol/client/fetch.ts';
import type { AnyRequest } from '../../protocol/client/frames.ts';
import {
  decodeRequest,
  decodeRequestHeader,
  encodeFailure,
  encodeResponse,
} from '../../protocol/client/frames.ts';
import type { ApiVersions } from '../../protocol/client/handshake.ts';
import { CLIENT_MAGIC } from '../../protocol/dialect.ts';
import { FrameDecoder } from '../../protocol/frame.ts';
import { Client } from '../client.ts';
import type { ClientOptions } from '../client.ts';
import type { ClientWorld } from '../world.ts';
import { FakeLog } from './fakeLog.ts';

const LATENCY_MS = 1;
const LIMIT_BYTES = 8 * 1024 * 1024;
const CLUSTER_ID = 'c'.repeat(32);

/**
 * What a test makes of a request: serve it (undefined), answer with a failure, lose the connection before or after
 * it took effect, or never answer.
 */
export type Fate = undefined | WalrusError | 'CloseBefore' | 'CloseAfter' | 'Silence';

/** A request as a script sees it. */
export interface Seen {
  readonly node: FakeNode;
  readonly call: AnyRequest;
}

export interface FakeNode {
  readonly id: NodeId;
  readonly address: string;
  isUp: boolean;
  clusterId: string;
  apis: readonly ApiVersions[];
  /** A larger request ends the connection. */
  maxFrameBytes: number;
  /** What it tells of that limit. */
  maxBatchBytes: number;
  connectionsCount: number;
}

/** A group's position, and the epoch in which it was set. */
interface FakePosition {
  readonly offset: Offset;
  readonly changedAt: number;
}

interface FakeTopic {
  readonly logs: FakeLog[];
  /** The leader of each partition; null while there is none. */
  readonly leaders: (NodeId | null)[];
}

export class FakeCluster {
  readonly scheduler = new Scheduler();
  readonly world: ClientWorld;
  readonly nodes: FakeNode[] = [];
  readonly topics = new Map<string, FakeTopic>();
  readonly positions = new Map<string, FakePosition>();
  /** Requests in the order of their arrival. */
  readonly seen: Seen[] = [];
  /** The script. */
  onRequest: (seen: Seen) => Fate = () => undefined;
  epoch = 1;
  readonly #sessions = new Set<Session>();
  #nextProducerId = 1;

  constructor(nodesCount: number, seed = 1) {
    const random = new SeededRandom(seed);
    const { scheduler } = this;
    const clock: Clock = {
      monotonicMs: () => scheduler.nowMs,
      wallMs: () => 1_700_000_000_000 + Math.floor(scheduler.nowMs),
      setTimer: (delayMs, callback) => scheduler.schedule(delayMs, callback),
      defer: (callback) => void scheduler.schedule(0, callback),
    };
    this.world = {
      clock,
      random,
      network: { connect: (address, handlers) => this.#connect(address, handlers) },
    };
    for (let id = 1; id <= nodesCount; id += 1) {
      this.nodes.push({
        id: id as NodeId,
        address: `node${id}:9091`,
        isUp: true,
        clusterId: CLUSTER_ID,
        apis: spokenVersions(),
        maxFrameBytes: LIMIT_BYTES,
        maxBatchBytes: LIMIT_BYTES,
        connectionsCount: 0,
      });
    }
  }

  /** A client of all nodes, or of those given. */
  client(options: Partial<ClientOptions> = {}): Client {
    const addresses = this.nodes.map(({ address }) => address);
    return new Client(this.world, { addresses, ...options });
  }

  /** Makes a topic; its partitions are led by the nodes in turn. */
  addTopic(name: string, partitions = 1): FakeTopic {
    const topic: FakeTopic = { logs: [], leaders: [] };
    for (let i = 0; i < partitions; i += 1) {
      topic.logs.push(new FakeLog());
      topic.leaders.push(this.node(i % this.nodes.length).id);
    }
    this.topics.set(name, topic);
    return topic;
  }

  node(index: number): FakeNode {
    const node = this.nodes[index];
    assert(node !== undefined, 'There is such a node');
    return node;
  }

  log(topic: string, partition = 0): FakeLog {
    const log = this.topics.get(topic)?.logs[partition];
    assert(log !== undefined, 'There is such a partition');
    return log;
  }

  setLeader(topic: string, partition: number, index: number | null): void {
    const { leaders } = this.topics.get(topic) as FakeTopic;
    leaders[partition] = index === null ? null : this.node(index).id;
    this.epoch += 1;
  }

  /** Ends a node's connections; as long as `isUp` is false nobody gets a new one. */
  crash(index: number): void {
    const node = this.node(index);
    node.isUp = false;
    for (const session of [...this.#sessions]) if (session.node === node) session.close();
  }

  /** Runs until a promise is settled, and fails when that takes more than `limitMs` of virtual time. */
  async until<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let isSettled = false;
    const settled = (): void => {
      isSettled = true;
    };
    promise.then(settled, settled);
    await this.scheduler.run(this.scheduler.nowMs + limitMs, () => isSettled);
    assert(isSettled, `Nothing came of it in ${limitMs} ms of virtual time`);
    return await promise;
  }

  async run(forMs: number): Promise<void> {
    await this.scheduler.run(this.scheduler.nowMs + forMs);
  }

  /** How many requests of an api have arrived. */
  count(name: AnyRequest['name']): number {
    return this.seen.filter(({ call }) => call.name === name).length;
  }

  #connect(address: string, handlers: StreamHandlers & { onOpen(): void }): ByteStream {
    const node = this.nodes.find((each) => each.address === address);
    const session: Session = new Session(this, node, handlers, () =>
      this.#sessions.delete(session),
    );
    this.#sessions.add(session);
    return session;
  }

  /** What the node answers to a request. */
  serve(node: FakeNode, call: AnyRequest): Answer | Promise<Answer> {
    switch (call.name) {
      case 'Handshake':
        return this.#handshake(node);
      case 'Metadata':
        return this.#metadata(call.request.topics);
      case 'InitProducer':
        return { producerId: this.#nextProducerId++, producerEpoch: 0 };
      case 'Produce': {
        const { topic, partition, batches } = call.request;
        const found = this.#led(node, topic, partition);
        return found instanceof WalrusError ? found : found.append(batches);
      }
      case 'Fetch':
        return this.#fetch(node, call.request);
      case 'ListOffsets': {
        const log = this.log(call.request.topic, call.request.partition);
        return { offset: call.request.at.type === 'earliest' ? log.startOffset : log.endOffset };
      }
      case 'CreateTopic':
        return this.#createTopic(call.request.name, call.request.ifNotExists);
      default:
        return this.#serveGroups(call);
    }
  }

  #serveGroups(call: AnyRequest): Answer {
    if (call.name === 'CommitPositions') return this.#commit(call.request);
    if (call.name !== 'FetchPositions') {
      return new WalrusError('UNKNOWN_COMMAND', `The fake does not serve ${call.name}`);
    }
    const partitions = call.request.partitions ?? [];
    return {
      metadataEpoch: this.epoch,
      positions: partitions.map(({ topic, partition }) => {
        const offset = this.positions.get(`${topic}/${partition}`)?.offset;
        return { topic, partition, offset };
      }),
    };
  }

  #commit({ unchangedSince = Infinity, positions }: CommitPositionsRequest): Answer {
    this.epoch += 1;
    const { epoch: metadataEpoch } = this;
    for (const { topic, partition, offset } of positions) {
      const current = this.positions.get(`${topic}/${partition}`);
      if (current === undefined || current.changedAt <= unchangedSince) continue;
      const details = { topic, partition, metadataEpoch };
      if (current.offset !== offset) return new WalrusError('CONFLICT', 'It moved', { details });
    }
    for (const { topic, partition, offset } of positions) {
      this.positions.set(`${topic}/${partition}`, { offset, changedAt: metadataEpoch });
    }
    return { metadataEpoch };
  }

  #handshake(node: FakeNode): Answer {
    return {
      clusterId: node.clusterId,
      nodeId: node.id,
      softwareVersion: '0.0.0',
      apis: node.apis,
      maxFrameBytes: node.maxFrameBytes,
      maxBatchBytes: node.maxBatchBytes,
    };
  }

  #createTopic(name: string, ifNotExists: boolean): Answer {
    if (this.topics.has(name) && !ifNotExists) {
      return new WalrusError('TOPIC_EXISTS', `The topic ${name} is there`);
    }
    if (!this.topics.has(name)) this.addTopic(name);
    return { topicId: 1, partitions: 1, replicas: 1, ackQuorum: 1, isNew: true };
  }

  #metadata(names: readonly string[] | undefined): Answer {
    const topics = [...this.topics].filter(([name]) => names?.includes(name) ?? true);
    return {
      metadataEpoch: this.epoch,
      metadataLeader: this.node(0).id,
      nodes: this.nodes.map(({ id, address, isUp }) => ({
        nodeId: id,
        clientAddress: address,
        zone: '',
        isAlive: isUp,
      })),
      topics: topics.map(([name, { leaders, logs }]) => ({
        name,
        topicId: 1,
        replicas: 1,
        ackQuorum: 1,
        partitions: logs.map((log, partition) => ({
          partition,
          leader: leaders[partition] ?? undefined,
          segmentId: 1 as SegmentId,
          logStartOffset: log.startOffset,
        })),
      })),
    };
  }

  #led(node: FakeNode, topic: string, partition: number): FakeLog | WalrusError {
    const found = this.topics.get(topic);
    const log = found?.logs[partition];
    if (found === undefined || log === undefined) return notFound();
    if (found.leaders[partition] === node.id) return log;
    return new WalrusError('NOT_LEADER', `Node ${node.id} does not lead ${topic}/${partition}`);
  }

  async #fetch(node: FakeNode, request: FetchRequest): Promise<Answer> {
    const { clock } = this.world;
    const deadlineMs = clock.monotonicMs() + request.maxWaitMs;
    for (;;) {
      const results = request.partitions.map(({ topic, partition, offset }): FetchResult => {
        const log = this.#led(node, topic, partition);
        return log instanceof WalrusError ? log : log.read(offset, request.maxBytes);
      });
      const isReady = results.some(
        (each) => each instanceof WalrusError || each.batches.length > 0,
      );
      if (isReady || clock.monotonicMs() >= deadlineMs) return { results };
      await new Promise<void>((resolve) => clock.setTimer(5, resolve));
    }
  }
}

/** What an api answers with: its response, encoded by its own codec. */
type Answer = WalrusError | object;

function notFound(): WalrusError {
  return new WalrusError('TOPIC_NOT_FOUND', 'There is no such topic');
}

/** One connection, both ends of it. */
class Session implements ByteStream {
  readonly remoteAddress = 'fake:1';
  readonly pendingBytes = 0;
  readonly node: FakeNode | undefined;
  readonly #cluster: FakeCluster;
  readonly #handlers: StreamHandlers & { onOpen(): void };
  readonly #onClose: () => void;
  readonly #decoder: FrameDecoder;
  #magicBytes = 0;
  #isOver = false;

  constructor(
    cluster: FakeCluster,
    node: FakeNode | undefined,
    handlers: StreamHandlers & { onOpen(): void },
    onClose: () => void,
  ) {
    this.node = node;
    this.#cluster = cluster;
    this.#handlers = handlers;
    this.#onClose = onClose;
    this.#decoder = new FrameDecoder({
      maxFrameBytes: node?.maxFrameBytes ?? LIMIT_BYTES,
      what: 'request',
      onFrame: (frame) => this.#onFrame(frame.slice()),
    });
    this.#later(() => {
      if (node?.isUp !== true) {
        this.close();
        return;
      }
      node.connectionsCount += 1;
      handlers.onOpen();
    });
  }

  write(bytes: Uint8Array): void {
    const sent = bytes.slice(); // as the wire sees them: later changes do not count
    this.#later(() => {
      if (this.node?.isUp !== true) return;
      const skipped = Math.min(CLIENT_MAGIC.length - this.#magicBytes, sent.length);
      this.#magicBytes += skipped;
      if (sent.length === skipped) return;
      const refusal = this.#decoder.push(sent.subarray(skipped));
      if (refusal !== null) this.#refuse(refusal);
    });
  }

  pause(): void {
    throw new Error('The client does not pause');
  }

  resume(): void {
    throw new Error('The client does not pause');
  }

  end(): void {
    this.destroy();
  }

  destroy(): void {
    this.#isOver = true;
    this.#onClose();
  }

  /** The connection is lost: both sides hear nothing more of each other. */
  close(): void {
    if (this.#isOver) return;
    this.destroy();
    this.#cluster.scheduler.schedule(LATENCY_MS, () => {
      this.#handlers.onClose(new WalrusError('CONNECTION_FAILED', 'The fake closed it'));
    });
  }

  /** Says why to no request, and ends. */
  #refuse(error: WalrusError): void {
    for (const part of encodeFailure(0, error)) this.#later(() => this.#handlers.onData(part));
    this.#later(() => this.close());
  }

  #onFrame(frame: Uint8Array): void {
    const node = this.node as FakeNode;
    const header = decodeRequestHeader(frame);
    const call = decodeRequest(frame, header);
    const seen = { node, call };
    this.#cluster.seen.push(seen);
    const fate = this.#cluster.onRequest(seen);
    if (fate === 'Silence') return;
    if (fate === 'CloseBefore') {
      this.close();
      return;
    }
    const answer = fate instanceof WalrusError ? fate : this.#cluster.serve(node, call);
    if (fate === 'CloseAfter') {
      this.close();
      return;
    }
    void Promise.resolve(answer).then((each) => this.#answer(call, header, each));
  }

  #answer(call: AnyRequest, header: { correlationId: number }, answer: Answer): void {
    const { correlationId } = header;
    const parts =
      answer instanceof WalrusError
        ? encodeFailure(correlationId, answer)
        : encodeResponse(APIS[call.name] as never, correlationId, answer as never);
    for (const part of parts) {
      // Cut in two, so that frames never arrive as they were written.
      const middle = part.length >>> 1;
      for (const piece of [part.slice(0, middle), part.slice(middle)]) {
        this.#later(() => this.#handlers.onData(piece));
      }
    }
  }

  #later(callback: () => void): void {
    this.#cluster.scheduler.schedule(LATENCY_MS, () => {
      if (!this.#isOver) callback();
    });
  }
}
