/**
 * A small language for stories about a cluster. A script is a list of blocks: commands, a line `----`, and what
 * they print. Words of a command are separated by blanks; servers are numbers.
 */
import type { Message, RequestVote, RequestVoteResponse } from '../messages.ts';
import { decodeMessage } from '../messageCodec.ts';
import type { MembershipChange } from '../types.ts';
import { allCheckers } from './checkers/all.ts';
import { idOf, memberOf, shortId, SimCluster } from './simCluster.ts';
import type { Packet } from './simCluster.ts';

const SEPARATOR = '----';
const DELIVERIES_MAX = 10_000;

/** Runs a script and returns it with the output that came out. */
export function runScript(script: string): string {
  const run = new ScriptRun();
  const blocks = script
    .split(/\n\n+/)
    .map((block) => block.trim())
    .filter((block) => block !== '');
  return blocks.map((block) => runBlock(run, block)).join('\n\n') + '\n';
}

function runBlock(run: ScriptRun, block: string): string {
  const lines = block.split('\n');
  const end = lines.indexOf(SEPARATOR);
  const commands = end === -1 ? lines : lines.slice(0, end);
  if (commands.every((line) => line.startsWith('#'))) return commands.join('\n');
  const printed = commands.flatMap((line) => (line.startsWith('#') ? [] : run.execute(line)));
  return [...commands, SEPARATOR, ...printed].join('\n');
}

class ScriptRun {
  #cluster: SimCluster | null = null;
  #lines: string[] = [];

  execute(line: string): string[] {
    this.#lines = [];
    const [name = '', ...args] = line.trim().split(/\s+/);
    if (name === 'cluster') this.#create(args);
    else this.#act(name, args.map(Number), args);
    return this.#lines;
  }

  get #running(): SimCluster {
    if (this.#cluster === null) throw new Error('a script begins with: cluster 1 2 3');
    return this.#cluster;
  }

  /** `cluster 1 2 3 empty 4`: three voters, and a server that has nothing. */
  #create(args: readonly string[]): void {
    const empty = args.indexOf('empty');
    const voters = args.slice(0, empty === -1 ? undefined : empty).map(Number);
    const others = empty === -1 ? [] : args.slice(empty + 1).map(Number);
    this.#cluster = new SimCluster({
      seed: 1,
      voters,
      others,
      persistAtOnce: true,
      checkers: allCheckers(),
      raftOptions: { trailingEntries: 1, snapshotChunkBytes: 8 },
      trace: (text) => this.#lines.push(text),
    });
  }

  #act(name: string, numbers: readonly number[], words: readonly string[]): void {
    const cluster = this.#running;
    const [first = 1, second = 1] = numbers;
    const id = idOf(first);
    const events: Record<string, () => unknown> = {
      tick: () => {
        for (let i = 0; i < second; i += 1) cluster.run(id, { type: 'Tick' });
      },
      campaign: () => cluster.run(id, { type: 'Campaign' }),
      propose: () => cluster.propose(id, second),
      read: () => cluster.read(id),
      snapshot: () => cluster.snapshot(id),
      transfer: () => cluster.run(id, { type: 'TransferLeadership', to: idOf(second) }),
      crash: () => cluster.crash(id),
      restart: () => cluster.restart(id),
      change: () => cluster.run(id, { type: 'ProposeMembership', change: changeOf(words) }),
    };
    const event = events[name];
    if (event === undefined) this.#transport(name, numbers);
    else event();
  }

  #transport(name: string, numbers: readonly number[]): void {
    const cluster = this.#running;
    switch (name) {
      case 'deliver': // those to the servers named, or all that are there now
        for (const packet of this.#take(numbers)) this.#deliver(packet);
        return;
      case 'drop':
        for (const packet of this.#take(numbers)) this.#lines.push(`lost ${describe(packet)}`);
        return;
      case 'settle': // all, and what comes of it; not to and from the servers named
        this.#settle(new Set(numbers.map(idOf)));
        return;
      case 'status':
        for (const { id, raft } of cluster.servers.values()) {
          const text =
            raft === null
              ? 'down'
              : `${raft.role} term=${raft.currentTerm} log=${raft.trail.baseIndex + 1}..${raft.trail.lastIndex} commit=${raft.commitIndex}`;
          this.#lines.push(`${shortId(id)} ${text}`);
        }
        return;
      default:
        throw new Error(`unknown command ${name}`);
    }
  }

  #take(numbers: readonly number[]): Packet[] {
    const ids = new Set(numbers.map(idOf));
    const isWanted = ({ to }: Packet): boolean => ids.size === 0 || ids.has(to);
    const { packets } = this.#running;
    this.#running.packets = packets.filter((packet) => !isWanted(packet));
    return packets.filter(isWanted);
  }

  #deliver(packet: Packet): void {
    this.#lines.push(describe(packet));
    this.#running.deliver(packet);
  }

  #settle(cutOff: ReadonlySet<string>): void {
    for (let i = 0; i < DELIVERIES_MAX; i += 1) {
      const packet = this.#running.packets.shift();
      if (packet === undefined) return;
      if (!cutOff.has(packet.from) && !cutOff.has(packet.to)) this.#deliver(packet);
    }
    throw new Error('the cluster does not come to rest');
  }
}

function changeOf([, kind, number]: readonly string[]): MembershipChange {
  const id = idOf(Number(number));
  switch (kind) {
    case 'add-learner':
      return { type: 'AddLearner', member: memberOf(Number(number)) };
    case 'promote':
      return { type: 'PromoteLearner', id };
    case 'demote':
      return { type: 'DemoteVoter', id };
    case 'remove':
      return { type: 'RemoveServer', id };
    default:
      throw new Error(`unknown change ${kind ?? ''}`);
  }
}

function describe({ from, to, bytes }: Packet): string {
  const { message } = decodeMessage(bytes);
  return `${shortId(from)}->${shortId(to)} ${message.type} term=${message.term} ${fieldsOf(message)}`.trimEnd();
}

function fieldsOf(message: Message): string {
  switch (message.type) {
    case 'RequestVote':
    case 'RequestVoteResponse':
      return voteFields(message);
    case 'AppendEntries':
      return `prev=${message.prevLogIndex}@${message.prevLogTerm} entries=${message.entries.length} commit=${message.leaderCommit} round=${message.round}`;
    case 'AppendEntriesResponse':
      return outcomeOf(message.outcome);
    case 'InstallSnapshot':
      return `snapshot=${message.snapshot.index}@${message.snapshot.term} bytes=${message.offset}+${message.data.length}/${message.snapshot.sizeBytes}`;
    case 'InstallSnapshotResponse':
      return `snapshot=${message.index} next=${message.nextOffset}`;
    case 'ReadIndexResponse':
      return `index=${message.index ?? 'ask again'}`;
    case 'TimeoutNow':
    case 'ReadIndexRequest':
      return '';
  }
}

function voteFields(message: RequestVote | RequestVoteResponse): string {
  const kind = message.isPreVote ? ' pre' : '';
  if (message.type === 'RequestVoteResponse')
    return `${message.voteGranted ? 'granted' : 'refused'}${kind}`;
  const transfer = message.isTransfer ? ' transfer' : '';
  return `last=${message.lastLogIndex}@${message.lastLogTerm}${kind}${transfer}`;
}

function outcomeOf(
  outcome: Extract<Message, { type: 'AppendEntriesResponse' }>['outcome'],
): string {
  switch (outcome.type) {
    case 'Match':
      return `match=${outcome.matchIndex}`;
    case 'Conflict':
      return `conflict at ${outcome.rejectedIndex}, try ${outcome.hintIndex}@${outcome.hintTerm}`;
    case 'StaleTerm':
      return 'stale term';
  }
}
