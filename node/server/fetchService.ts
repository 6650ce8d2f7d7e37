/**
 * Fetch: committed batches of several partitions, with a long poll. A partition that this node has a copy of is read
 * here; else its request goes on to the leader's node, or to one with a copy, one hop away.
 */
import type { Timer } from '../../base/clock.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import { offset } from '../../base/units.ts';
import type { Offset } from '../../base/units.ts';
import { APIS } from '../../protocol/client/apis.ts';
import type {
  FetchPartition,
  FetchRequest,
  FetchResponse,
  FetchResult,
  FetchedPartition,
} from '../../protocol/client/fetch.ts';
import { batchSizeOf, recordsCountOf } from '../../protocol/recordBatch.ts';
import { unsealedSegment } from '../state/queries.ts';
import type { LogReader } from './logReader.ts';
import type { Progress } from './progress.ts';
import type { Holder, Router } from './router.ts';
import type { Reservation } from './responseRoom.ts';
import type { ServerContext } from './serverContext.ts';

/** The longest that a fetch waits, whatever it asks for. */
const WAIT_MS_MAX = 60_000;
/** What another node gets beyond the wait to answer in. */
const ASK_EXTRA_MS = 2000;
const PARTITION_COUNT_MAX = 10_000;
const NO_BATCHES = new Uint8Array(0);
/** For a connection that is gone. */
const NOBODY: FetchResponse = { results: [] };
/** What a node answers, or what comes in the place of its answer, when another copy may be readable. */
const ASK_ANOTHER = [
  'REPLICA_UNKNOWN',
  'CORRUPT_SEGMENT',
  'DISK_FAILED',
  'PARTITION_NOT_FOUND', // its metadata lags
  'CONNECTION_FAILED',
  'TIMED_OUT',
  'OVERLOADED',
  'SHUTTING_DOWN',
] as const;

export interface FetchServices {
  readonly context: ServerContext;
  readonly router: Router;
  readonly reader: LogReader;
  readonly progress: Progress;
}

/** What one look at a partition gives: a result, or the nodes that have to be asked, one after the other. */
type Look = FetchResult | { readonly holders: readonly Holder[] };

export class FetchService {
  readonly #services: FetchServices;

  constructor(services: FetchServices) {
    this.#services = services;
    services.context.parts.rpc.handle(APIS.Fetch, (request) => this.#fetch(request, null));
  }

  /**
   * @param reservation - Of the client's connection; holds the response's bytes when this resolves.
   * @throws {WalrusError} MALFORMED; failures of single partitions are among the results.
   */
  async fetch(request: FetchRequest, reservation: Reservation): Promise<FetchResponse> {
    const response = await this.#fetch(request, reservation);
    let bytes = 0;
    let records = 0;
    for (const result of response.results) {
      if (result instanceof WalrusError) continue;
      bytes += result.batches.length;
      records += countRecords(result.batches);
    }
    if (records > 0) this.#services.context.metrics.read(records, bytes);
    return response;
  }

  /** @param reservation - null: another node asks. It bounds what it asks for itself. */
  async #fetch(request: FetchRequest, reservation: Reservation | null): Promise<FetchResponse> {
    if (request.partitions.length > PARTITION_COUNT_MAX) {
      throw new WalrusError('MALFORMED', `A fetch has at most ${PARTITION_COUNT_MAX} partitions`);
    }
    await this.#findUnknown(request);
    const { clock } = this.#services.context;
    const deadlineMs = clock.monotonicMs() + Math.min(request.maxWaitMs, WAIT_MS_MAX);
    for (;;) {
      const maxBytes = await this.#room(request, reservation);
      if (reservation?.isOpen === false) return NOBODY;
      const leftMs = mayWait(reservation) ? Math.max(0, deadlineMs - clock.monotonicMs()) : 0;
      const looks = this.#lookAll(request, maxBytes, reservation === null);
      reservation?.keep(bytesOf(looks));
      if (looks.some((look) => 'holders' in look)) {
        return { results: await this.#withOthers(request, looks, { leftMs, reservation }) };
      }
      const results = looks as FetchResult[];
      if (leftMs <= 0 || isEnough(results, request.minBytes)) return { results };
      reservation?.keep(0);
      await this.#moved(request.partitions, leftMs, reservation);
    }
  }

  /** @returns the bytes that may be read now; waits while the client has too much that it has not read. */
  async #room({ maxBytes }: FetchRequest, reservation: Reservation | null): Promise<number> {
    const { maxFetchBytes, maxFrameBytes } = this.#services.context.limits;
    const wantedBytes = Math.min(maxBytes, maxFetchBytes);
    if (reservation === null) return wantedBytes;
    // Of a batch that is larger than what is wanted all is read.
    return Math.min(
      wantedBytes,
      await reservation.take({ leastBytes: maxFrameBytes, wantedBytes }),
    );
  }

  /** One barrier for topics that this node does not know yet. */
  async #findUnknown({ partitions }: FetchRequest): Promise<void> {
    const { router } = this.#services;
    if (partitions.every(({ topic }) => router.knownTopic(topic) !== undefined)) return;
    await router.barrier();
  }

  #lookAll(request: FetchRequest, maxBytes: number, isNode: boolean): Look[] {
    let left = maxBytes;
    return request.partitions.map((wanted) => {
      // Not even looked at: each look reads a batch at least.
      if (left <= 0) return this.#result(wanted, wanted.offset, NO_BATCHES);
      const look = this.#lookOrFail(wanted, left, isNode);
      if (!(look instanceof WalrusError) && 'batches' in look) left -= look.batches.length;
      return look;
    });
  }

  #lookOrFail(wanted: FetchPartition, maxBytes: number, isNode: boolean): Look {
    try {
      return this.#look(wanted, maxBytes, isNode);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      return error;
    }
  }

  #look(wanted: FetchPartition, maxBytes: number, isNode: boolean): Look {
    const { reader } = this.#services;
    let at = wanted.offset;
    for (;;) {
      const found = reader.readHere(wanted, at, maxBytes);
      switch (found.type) {
        case 'Removed':
          return this.#outOfRange(wanted);
        case 'Skip':
          if (found.to === at) return this.#result(wanted, at, NO_BATCHES);
          at = found.to;
          break;
        case 'Elsewhere':
          return this.#elsewhere(found.segment, isNode);
        case 'End':
          return this.#atEnd(wanted, at, found.committedOffset);
        case 'Batches': {
          const { bytes, nextOffset } = found.read;
          return this.#result(wanted, nextOffset, bytes);
        }
      }
    }
  }

  /** This node knows of nothing at `at`: there may be something at the leader, or it is beyond the end. */
  #atEnd(wanted: FetchPartition, at: Offset, committedOffset: Offset): Look {
    if (at === committedOffset) return this.#result(wanted, at, NO_BATCHES);
    const leadership = this.#services.router.leadership(wanted);
    const { host, segments } = this.#services.context.parts;
    // A copy may know of less than is committed; only the leader can say that an offset is beyond the end, and only one
    // that cannot have been replaced without hearing of it.
    if (leadership?.type !== 'Here' || !segments.namesEnd(leadership.segment)) {
      return this.#result(wanted, at, NO_BATCHES);
    }
    const tail = host.replica(leadership.segment.segmentId)?.tail ?? committedOffset;
    return at <= tail ? this.#result(wanted, at, NO_BATCHES) : this.#outOfRange(wanted);
  }

  #elsewhere(segment: Parameters<Router['otherHolders']>[0], isNode: boolean): Look {
    const holders = this.#services.router.otherHolders(segment);
    if (holders.length === 0 || isNode) {
      const what = `segment ${segment.segmentId}`;
      return new WalrusError('REPLICA_UNKNOWN', `This node cannot read ${what} now: try again`);
    }
    return { holders };
  }

  #outOfRange({ topic, partition, offset: wanted }: FetchPartition): WalrusError {
    const { committedOffset, logStartOffset } = this.#bounds({ topic, partition });
    const range = `it holds ${logStartOffset} to ${committedOffset}`;
    return new WalrusError(
      'OFFSET_OUT_OF_RANGE',
      `Cannot read ${topic}/${partition} from offset ${wanted}: ${range}`,
      { details: { logStartOffset, committedOffset } },
    );
  }

  #bounds({ topic, partition }: { topic: string; partition: number }): {
    committedOffset: Offset;
    logStartOffset: Offset;
  } {
    const { router, context } = this.#services;
    const segment = unsealedSegment(router.metadata, topic, partition);
    const record = router.knownTopic(topic)?.partitions[partition];
    return {
      committedOffset:
        segment === undefined ? offset(0) : context.parts.host.committedOffset(segment),
      logStartOffset: record?.logStartOffset ?? offset(0),
    };
  }

  #result(wanted: FetchPartition, nextOffset: Offset, batches: Uint8Array): FetchedPartition {
    return { ...this.#bounds(wanted), nextOffset, batches };
  }

  /** Asks other nodes for what is not here; waits for them only when nothing else is there. */
  async #withOthers(
    request: FetchRequest,
    looks: readonly Look[],
    { leftMs, reservation }: { leftMs: number; reservation: Reservation | null },
  ): Promise<FetchResult[]> {
    const results: FetchResult[] = looks.map((look, index) =>
      'holders' in look
        ? this.#result(partitionAt(request, index), partitionAt(request, index).offset, NO_BATCHES)
        : look,
    );
    const here = looks.filter((look): look is FetchResult => !('holders' in look));
    const maxWaitMs = here.length > 0 && isEnough(here, request.minBytes) ? 0 : Math.ceil(leftMs);
    const asked = new Map<string, number[]>();
    for (const [index, look] of looks.entries()) {
      const address = 'holders' in look ? look.holders[0]?.address : undefined;
      if (address !== undefined) asked.set(address, [...(asked.get(address) ?? []), index]);
    }
    const maxBytes = await this.#share(request, asked.size, reservation);
    if (reservation?.isOpen === false) return results;
    const questions = [...asked].map(async ([address, indexes]) => {
      const partitions = indexes.map((i) => partitionAt(request, i));
      const answers = await this.#ask(address, { ...request, maxWaitMs, maxBytes, partitions });
      await Promise.all(
        indexes.map(async (index, i) => {
          const look = looks[index];
          const others = look !== undefined && 'holders' in look ? look.holders.slice(1) : [];
          const wanted = {
            ...request,
            maxWaitMs,
            maxBytes: Math.ceil(maxBytes / indexes.length),
            partitions: [partitionAt(request, index)],
          };
          results[index] = await this.#askInTurn(wanted, answers[i] ?? unanswered(), others);
        }),
      );
    });
    // With several nodes the first that has something ends the wait for all.
    if (questions.length === 1 && here.length === 0) await orWaitsEnd(questions, reservation);
    else
      await Promise.race([
        Promise.all(questions),
        ...questions,
        this.#moved(request.partitions, leftMs, reservation),
      ]);
    return [...results];
  }

  /** @returns the bytes that each of some nodes may answer with. */
  async #share(
    { maxBytes }: FetchRequest,
    nodesCount: number,
    reservation: Reservation | null,
  ): Promise<number> {
    const { maxFetchBytes, maxFrameBytes } = this.#services.context.limits;
    const eachBytes = Math.min(maxBytes, maxFetchBytes);
    if (reservation === null) return eachBytes;
    const need = {
      leastBytes: maxFrameBytes * nodesCount,
      wantedBytes: eachBytes * nodesCount,
    };
    return Math.min(eachBytes, Math.floor((await reservation.takeShare(need)) / nodesCount));
  }

  /** As long as an answer says only that its copy cannot be read, the next node is asked. */
  async #askInTurn(
    request: FetchRequest,
    answer: FetchResult,
    others: readonly Holder[],
  ): Promise<FetchResult> {
    let result = answer;
    for (const { address } of others) {
      if (!isWalrusError(result, ...ASK_ANOTHER)) return result;
      result = (await this.#ask(address, request))[0] ?? unanswered();
    }
    return result;
  }

  async #ask(address: string, request: FetchRequest): Promise<readonly FetchResult[]> {
    try {
      const timeoutMs = request.maxWaitMs + ASK_EXTRA_MS;
      const { rpc } = this.#services.context.parts;
      return (await rpc.call(address, APIS.Fetch, request, timeoutMs)).results;
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      return request.partitions.map(() => error);
    }
  }

  /** Until one of the topics moves on, the time is over, or whoever asked waits no longer. */
  #moved(
    partitions: readonly FetchPartition[],
    withinMs: number,
    reservation: Reservation | null,
  ): Promise<void> {
    const { context, progress } = this.#services;
    return new Promise((resolve) => {
      const forgets: (() => void)[] = [];
      const finish = (): void => {
        timer.cancel();
        for (const forget of forgets) forget();
        resolve();
      };
      const timer: Timer = context.clock.setTimer(withinMs, finish);
      for (const topic of new Set(partitions.map((wanted) => wanted.topic))) {
        forgets.push(progress.onMove(topic, finish));
      }
      if (reservation !== null) forgets.push(reservation.onWaitsEnd(finish));
    });
  }
}

/** Another node waits as long as it has said. */
function mayWait(reservation: Reservation | null): boolean {
  return reservation?.mayWait !== false;
}

/** Until something has come, or whoever asked waits no longer. */
async function orWaitsEnd(
  questions: readonly Promise<void>[],
  reservation: Reservation | null,
): Promise<void> {
  let forget: (() => void) | undefined;
  const end = new Promise<void>((resolve) => {
    forget = reservation?.onWaitsEnd(resolve);
  });
  await Promise.race([...questions, end]);
  forget?.();
}

function unanswered(): WalrusError {
  return new WalrusError('MALFORMED', 'An answer of another node lacks a partition');
}

function partitionAt({ partitions }: FetchRequest, index: number): FetchPartition {
  return partitions[index] as FetchPartition;
}

function bytesOf(looks: readonly Look[]): number {
  let bytes = 0;
  for (const look of looks) if ('batches' in look) bytes += look.batches.length;
  return bytes;
}

/** Whether there is enough to answer: bytes, or a failure that somebody should hear of. */
function isEnough(results: readonly FetchResult[], minBytes: number): boolean {
  let bytes = 0;
  for (const result of results) {
    if (result instanceof WalrusError) return true;
    bytes += result.batches.length;
  }
  return bytes >= minBytes;
}

function countRecords(batches: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < batches.length; at += batchSizeOf(batches, at)) {
    count += recordsCountOf(batches, at);
  }
  return count;
}
