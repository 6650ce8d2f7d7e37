/**
 * Serves the clients of one node, on connections that it is given, in every dialect of the client port; and other
 * nodes that send their clients' requests on. Put together here; every concern has its own file.
 */
import type { ByteStream, StreamHandlers } from '../../base/network.ts';
import type { NodeParts } from '../walrusNode.ts';
import { ClusterAdmin } from './clusterAdmin.ts';
import { Connection } from './connection.ts';
import { ConnectionLimit } from './connectionLimit.ts';
import type { ConnectionServices } from './connection.ts';
import { DescribeService } from './describeService.ts';
import { FetchService } from './fetchService.ts';
import { GroupsService } from './groupsService.ts';
import { LogReader } from './logReader.ts';
import { OffsetsService } from './offsetsService.ts';
import type { PutGroup } from './partitionPuts.ts';
import { PositionCommitter } from './positionCommitter.ts';
import { ProducerIds } from './producerIds.ts';
import { ProduceService } from './produceService.ts';
import { Progress } from './progress.ts';
import { PutMerger } from './putMerger.ts';
import { RecordDeletion } from './recordDeletion.ts';
import { Router } from './router.ts';
import { Budget } from './serverContext.ts';
import type { ServerContext, ServerOptions } from './serverContext.ts';
import { SharedCursors } from './sharedCursors.ts';
import { TextCommands } from './textCommands.ts';
import { Flusher } from './textSession.ts';
import { TopicAdmin } from './topicAdmin.ts';

/** How often a drain looks whether everything is answered. */
const DRAIN_CHECK_MS = 10;

export class ClientServer {
  readonly #context: ServerContext;
  readonly #services: ConnectionServices;
  readonly #merger: PutMerger;
  readonly #cursors: SharedCursors;
  readonly #connections = new Set<Connection>();
  readonly #limit: ConnectionLimit;
  #isStopped = false;

  /** Registers what other nodes may ask: to be made before the node is registered. */
  constructor(parts: NodeParts, options: ServerOptions) {
    const context: ServerContext = {
      ...options,
      parts,
      budget: new Budget(options.limits.maxNodeInFlightBytes),
      onBug: (bug) => {
        options.clock.defer(() => {
          throw bug;
        });
      },
    };
    this.#context = context;
    this.#limit = new ConnectionLimit({ ...options, ...options.limits });
    const flusher = new Flusher();
    const router = new Router(parts);
    const reader = new LogReader(context, router);
    const progress = new Progress(parts);
    const committer = new PositionCommitter(parts.metadata);
    const producerIds = new ProducerIds(parts.metadata);
    const produce = new ProduceService(context, router);
    const topics = new TopicAdmin(context, router);
    const reading = { context, router, reader, progress };
    const offsets = new OffsetsService(reading);
    const cursors = new SharedCursors({ ...reading, committer });
    const answer = (
      group: PutGroup,
      error: Parameters<PutGroup['owners'][number]['put']>[1],
    ): void => {
      answerGroup(context, group, error);
      flusher.flush();
    };
    this.#merger = new PutMerger({ context, router, producerIds, produce, answer });
    this.#cursors = cursors;
    const commands = new TextCommands({ context, router, merger: this.#merger, cursors, topics });
    this.#services = {
      context,
      text: { context, commands, flusher },
      binary: {
        context,
        router,
        produce,
        topics,
        producerIds,
        cursors,
        fetch: new FetchService(reading),
        offsets,
        deletion: new RecordDeletion(reading, offsets),
        groups: new GroupsService(context, router, committer),
        describe: new DescribeService(context, router),
        cluster: new ClusterAdmin(context),
      },
    };
  }

  /** Takes a new connection. */
  accept(stream: ByteStream): StreamHandlers {
    const connection = new Connection(this.#services, stream, {
      refusal: this.#limit.refusal(this.#connections.size),
      onClosed: (closed) => void this.#connections.delete(closed),
    });
    this.#connections.add(connection);
    if (this.#isStopped) connection.end();
    return connection;
  }

  /** The network has closed one as it came: there are too many. */
  connectionRefused(): void {
    this.#limit.refused();
  }

  /** Open connections by dialect; those that have not said anything count as text. */
  connectionCounts(): { readonly text: number; readonly binary: number } {
    let binary = 0;
    for (const { dialect } of this.#connections) if (dialect === 'BINARY') binary += 1;
    return { text: this.#connections.size - binary, binary };
  }

  /** Bytes of requests and replies that clients have under way. */
  get inFlightBytes(): number {
    let bytes = this.#context.budget.inFlightBytes;
    for (const { pendingBytes } of this.#connections) bytes += pendingBytes;
    return bytes;
  }

  /**
   * Answers what is under way, takes nothing more, and ends each connection that is done with: one that always has something
   * under way would hold a stop up for its whole time. Resolves once all are, after `withinMs`, or when there is
   * nobody who could confirm what is under way.
   */
  async drain(withinMs: number): Promise<void> {
    const { clock, parts } = this.#context;
    for (const connection of this.#connections) connection.finish();
    const deadlineMs = clock.monotonicMs() + withinMs;
    const mayBeConfirmed = (): boolean => !parts.drain.isLeaderless;
    while (!this.#isIdle() && clock.monotonicMs() < deadlineMs && mayBeConfirmed()) {
      await new Promise<void>((resolve) => clock.setTimer(DRAIN_CHECK_MS, resolve));
    }
  }

  #isIdle(): boolean {
    if (!this.#merger.isIdle) return false;
    for (const connection of this.#connections) if (!connection.isIdle) return false;
    return true;
  }

  /** Fails what is under way and closes all connections. */
  stop(): void {
    this.#isStopped = true;
    this.#merger.stop();
    this.#cursors.stop();
    for (const connection of this.#connections) connection.end();
  }
}

function answerGroup(
  { clock, metrics }: ServerContext,
  { owners, slots, startMs }: PutGroup,
  error: Parameters<PutGroup['owners'][number]['put']>[1],
): void {
  // One observation for a batch: one for each record would cost more than the record.
  metrics.requested('text', clock.monotonicMs() - startMs);
  for (let i = 0; i < owners.length; i += 1) owners[i]?.put(slots[i] ?? 0, error);
}
