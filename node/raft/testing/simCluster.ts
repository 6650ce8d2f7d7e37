/** Servers, a network that is a bag of messages, and checkers that look at every step. */
import { assert, assertDefined } from '../../../base/assert.ts';
import { concatBytes } from '../../../base/bytes.ts';
import { crc32c } from '../../../base/crc32c.ts';
import { SeededRandom } from '../../../base/random.ts';
import { logIndex, nodeId, term } from '../../../base/units.ts';
import type { LogIndex } from '../../../base/units.ts';
import type { Bugs } from '../bugs.ts';
import { encodeConfiguration } from '../configuration.ts';
import type { Envelope, RaftEvent, RaftOutput } from '../events.ts';
import { decodeMessage, encodeMessage } from '../messageCodec.ts';
import type { Message } from '../messages.ts';
import type { Raft, RaftOptions } from '../raft.ts';
import { snapshotsInUse } from '../snapshot.ts';
import { step } from '../step.ts';
import { serverId } from '../types.ts';
import type { Configuration, Member, Role, ServerId } from '../types.ts';
import { SimServer } from './simServer.ts';

/** A message that is somewhere on its way. */
export interface Packet {
  readonly from: ServerId;
  readonly to: ServerId;
  readonly bytes: Uint8Array;
}

/** One step of one server, as checkers see it, before its output is acted on. */
export interface StepView {
  readonly cluster: SimCluster;
  readonly server: SimServer;
  readonly raft: Raft;
  readonly event: RaftEvent;
  readonly output: RaftOutput;
  readonly before: {
    readonly role: Role;
    readonly currentTerm: number;
    readonly commitIndex: number;
    readonly lastIndex: number;
  };
}

/** Looks at every step and throws a Violation when its property does not hold. */
export interface Checker {
  readonly name: string;
  onStep?(view: StepView): void;
  /** After the output was acted on. */
  onActed?(view: StepView): void;
}

/** A property that does not hold. */
export class Violation extends Error {
  readonly property: string;

  constructor(property: string, message: string) {
    super(`${property}: ${message}`);
    this.property = property;
  }
}

export interface SimClusterOptions {
  readonly seed: number;
  /** Numbers of the servers that vote from the start. */
  readonly voters: readonly number[];
  /** Numbers of servers that start empty. */
  readonly others?: readonly number[];
  readonly raftOptions?: Partial<RaftOptions>;
  readonly bugs?: Partial<Bugs>;
  readonly checkers?: readonly Checker[];
  /** Whether log writes are durable at once. */
  readonly persistAtOnce?: boolean;
  readonly trace?: (line: string) => void;
}

/** The id of a server by its number. */
export function idOf(number: number): ServerId {
  return serverId(nodeId(number), 'd');
}

export function memberOf(number: number): Member {
  return { id: idOf(number), address: `host${number}:1` };
}

export class SimCluster {
  readonly servers = new Map<ServerId, SimServer>();
  readonly random: SeededRandom;
  readonly checkers: readonly Checker[];
  readonly persistAtOnce: boolean;
  readonly #trace: ((line: string) => void) | undefined;
  packets: Packet[] = [];
  stepCount = 0;
  nextCommand = 1;
  nextContext = 1;

  constructor(options: SimClusterOptions) {
    this.random = new SeededRandom(options.seed);
    this.checkers = options.checkers ?? [];
    this.persistAtOnce = options.persistAtOnce ?? false;
    this.#trace = options.trace;
    const configuration: Configuration = {
      voters: options.voters.map(memberOf),
      learners: [],
    };
    for (const number of [...options.voters, ...(options.others ?? [])]) {
      const server = new SimServer({
        id: idOf(number),
        random: this.random.fork(),
        raftOptions: options.raftOptions ?? {},
        bugs: options.bugs ?? {},
      });
      if (options.voters.includes(number))
        server.bootstrap({
          term: term(1),
          type: 'Configuration',
          payload: encodeConfiguration(configuration),
          configuration,
        });
      this.servers.set(server.id, server);
      server.start();
    }
  }

  server(id: ServerId): SimServer {
    return assertDefined(this.servers.get(id), `no server ${id}`);
  }

  /** The leader with the highest term among the servers that are up. */
  leader(): SimServer | null {
    let best: SimServer | null = null;
    for (const server of this.servers.values()) {
      if (server.raft?.role !== 'Leader') continue;
      if (best === null || server.raft.currentTerm > (best.raft?.currentTerm ?? 0)) best = server;
    }
    return best;
  }

  trace(line: string): void {
    this.#trace?.(line);
  }

  /** Gives a server an event and acts on the output; nothing happens while it is down. */
  run(id: ServerId, event: RaftEvent): RaftOutput | null {
    const server = this.server(id);
    const { raft } = server;
    if (raft === null) return null;
    this.stepCount += 1;
    const before = {
      role: raft.role,
      currentTerm: raft.currentTerm,
      commitIndex: raft.commitIndex,
      lastIndex: raft.trail.lastIndex,
    };
    const output = step(raft, event);
    const view: StepView = { cluster: this, server, raft, event, output, before };
    for (const checker of this.checkers) checker.onStep?.(view);
    this.#act(server, raft, output);
    for (const checker of this.checkers) checker.onActed?.(view);
    return output;
  }

  #act(server: SimServer, raft: Raft, output: RaftOutput): void {
    this.#traceOutput(server, output);
    if (output.hardState !== null) server.durable.hardState = output.hardState;
    for (const write of output.writes) server.write(write);
    if (output.snapshotChunk !== null) {
      if (output.snapshotChunk.offset === 0) server.chunks = [];
      server.chunks.push(output.snapshotChunk.data.slice());
    }
    if (output.installSnapshot !== null) server.pendingInstall = output.installSnapshot;
    if (output.compactTo !== null) server.compactTo(output.compactTo);
    for (const envelope of output.messages) this.#send(server, envelope);
    if (output.committed !== null) this.#apply(server, output.committed.from, output.committed.to);
    if (this.persistAtOnce) this.persist(server.id, server.pendingWrites.length);
    for (const index of server.snapshots.keys())
      if (!snapshotsInUse(raft).has(logIndex(index))) server.snapshots.delete(index);
  }

  #apply(server: SimServer, from: LogIndex, to: LogIndex): void {
    for (let index = from; index <= to; index = logIndex(index + 1)) {
      const entry = server.log.entries[index - server.log.baseIndex - 1];
      assert(entry !== undefined, 'a committed entry is in the log');
      server.apply(index, entry);
    }
    this.run(server.id, { type: 'Applied', index: to });
  }

  #send(server: SimServer, { to, message }: Envelope): void {
    const bytes = encodeMessage(complete(server, message), 'host');
    this.packets.push({ from: server.id, to, bytes });
  }

  /** Delivers a packet that was taken from the bag. */
  deliver({ from, to, bytes }: Packet): void {
    if (!this.servers.has(to)) return;
    this.run(to, { type: 'Receive', from, message: decodeMessage(bytes).message });
  }

  /** Makes the oldest writes of a server durable, or the snapshot that arrived. */
  persist(id: ServerId, count: number): void {
    const server = this.server(id);
    if (server.raft === null) return;
    if (server.pendingInstall !== null) {
      const info = server.pendingInstall;
      const data = concatBytes(server.chunks);
      server.pendingInstall = null;
      if (data.length === info.sizeBytes && crc32c(data) === info.checksum) {
        server.install({ info, data });
        this.run(id, { type: 'SnapshotPersisted', snapshot: info });
      } else {
        this.run(id, { type: 'SnapshotRefused' });
      }
    }
    const writeId = server.persist(count);
    if (writeId !== null) this.run(id, { type: 'Persisted', writeId });
  }

  propose(id: ServerId, count = 1): RaftOutput | null {
    const commands = Array.from({ length: count }, () => {
      const command = new Uint8Array(8);
      new DataView(command.buffer).setUint32(0, this.nextCommand);
      this.nextCommand += 1;
      return command;
    });
    return this.run(id, { type: 'Propose', commands });
  }

  snapshot(id: ServerId): void {
    const info = this.server(id).takeSnapshot();
    if (info !== null) this.run(id, { type: 'SnapshotTaken', snapshot: info });
  }

  read(id: ServerId): void {
    this.nextContext += 1;
    this.run(id, { type: 'ReadIndex', context: this.nextContext });
  }

  /** Stops a server; `survivingWrites` of the writes that were not synced are there later. */
  crash(id: ServerId, survivingWrites = 0): void {
    this.server(id).crash(survivingWrites);
  }

  restart(id: ServerId): void {
    const server = this.server(id);
    if (server.raft === null) server.start();
  }

  #traceOutput(server: SimServer, output: RaftOutput): void {
    if (this.#trace === undefined) return;
    for (const line of describeOutput(output)) this.trace(`${shortId(server.id)} ${line}`);
  }
}

/** An output in words, in the order in which it is acted on. */
function describeOutput(output: RaftOutput): string[] {
  return [...describeWrites(output), ...describeState(output)];
}

function describeWrites({ hardState, writes, installSnapshot, compactTo }: RaftOutput): string[] {
  const lines: string[] = [];
  if (hardState !== null)
    lines.push(`save term=${hardState.currentTerm} vote=${shortId(hardState.votedFor)}`);
  for (const { prevIndex, entries } of writes)
    for (const [i, entry] of entries.entries())
      lines.push(`write ${prevIndex + 1 + i}@${entry.term} ${entry.type}`);
  if (installSnapshot !== null) lines.push(`install snapshot ${installSnapshot.index}`);
  if (compactTo !== null) lines.push(`compact to ${compactTo}`);
  return lines;
}

function describeState(output: RaftOutput): string[] {
  const { roleChange, committed, rejected, readStates, transferAborted } = output;
  const lines: string[] = [];
  if (committed !== null) lines.push(`apply ${committed.from}..${committed.to}`);
  for (const { index } of readStates) lines.push(`read ${index ?? 'ask again'}`);
  if (roleChange !== null) {
    const { role, currentTerm, leaderId } = roleChange;
    lines.push(`is ${role} term=${currentTerm} leader=${shortId(leaderId)}`);
  }
  if (rejected !== null) lines.push(`rejects: ${rejected.reason} ${rejected.message}`);
  if (transferAborted) lines.push('gives up the transfer');
  return lines;
}

export function shortId(id: ServerId | null): string {
  return id === null ? '-' : id.slice(0, id.indexOf('/'));
}

/** Attaches entries and snapshot bytes to a message. */
function complete(server: SimServer, message: Envelope['message']): Message {
  if (message.type === 'AppendEntries') {
    const { lastIndex, ...rest } = message;
    const { baseIndex, entries } = server.log;
    const from = rest.prevLogIndex - baseIndex;
    const part = lastIndex > rest.prevLogIndex ? entries.slice(from, lastIndex - baseIndex) : [];
    assert(part.length === lastIndex - rest.prevLogIndex, 'the named entries are in the log');
    return { ...rest, entries: part };
  }
  if (message.type === 'InstallSnapshot') {
    const { lengthBytes, ...rest } = message;
    const snapshot = server.snapshots.get(rest.snapshot.index);
    assert(snapshot !== undefined, 'a snapshot in use is kept');
    return { ...rest, data: snapshot.data.slice(rest.offset, rest.offset + lengthBytes) };
  }
  return message;
}
