/**
 * The nodes of a cluster as its operator sees them: disks, members, one metadata leader, and answers as the admin API gives
 * them (protocol/admin). Says what was done to them that must not be done.
 */
import type {
  BootstrapRequest,
  ClusterStatus,
  MemberStatus,
  NodeStatus,
  RefusalReason,
  Verdict,
} from '../../../protocol/admin/types.ts';

interface ModelDisk {
  readonly diskId: string;
  readonly clusterId: string;
  isMember: boolean;
}

interface ModelProcess {
  /** Ticks until the leader has registered its start; only then it serves. */
  registering: number;
  /** Ticks until it has what the others have. */
  behind: number;
  /** By hand; until it is restarted. */
  isDraining: boolean;
}

/** A promise of the operator that it broke. */
export interface Violation {
  readonly property: Property;
  readonly detail: string;
}

export type Property =
  | 'BeginsOnce'
  | 'GrowsWhole'
  | 'KeepsItsHost'
  | 'LeaderMovesFirst'
  | 'NotesThatItBegins'
  | 'NeverShrinks'
  | 'NoRefusedRestart'
  | 'PausedRestartsNobody'
  | 'ReadyIsTrue'
  | 'ScalesFromWhatIs'
  | 'StopsWhereItFails'
  | 'VotersAreThere'
  | 'VolumesKeepTheirCluster';

/** How long a node that has started or joined takes to catch up, in ticks. */
const CATCH_UP_TICKS = 3;
/** How long a member that has started waits for the leader. */
const REGISTER_TICKS = 1;

const SEGMENTS = { open: 0, recovering: 0, sealed: 0, underReplicated: 0 };

export class ModelNodes {
  readonly violations: Violation[] = [];
  /** The nodes refuse every restart, for a reason of their own: a segment would lose its quorum. */
  isRefusing = false;
  /** Open segments without their quorum, though all nodes are up: a link between two of them is cut. */
  unavailable = 0;
  /** Nobody catches up. */
  isSlow = false;
  /** What the nodes tell is from memory, in which every member is alive. */
  isCredulous = false;
  /** Who has been told to stop, and answers still. */
  readonly stopping = new Set<number>();
  /** Nobody is taken in as a member. */
  isClosed = false;
  /** Wanted: at most so many nodes vote on the metadata. */
  #metadataVoters = 3;
  /** Who votes; a tick brings it one nearer to what is wanted. */
  #voters: readonly number[] = [];
  readonly #disks = new Map<number, ModelDisk>();
  readonly #processes = new Map<number, ModelProcess>();
  /** Disks on which the cluster was begun: never more than one. */
  readonly #begunOn = new Set<string>();
  #leader: number | null = null;
  #epoch = 0;
  #diskCount = 0;

  get leader(): number | null {
    return this.#leader;
  }

  get disks(): ReadonlyMap<number, Readonly<ModelDisk>> {
    return this.#disks;
  }

  get voterCount(): number {
    return this.#voters.length;
  }

  get members(): readonly number[] {
    return [...this.#disks].filter(([, disk]) => disk.isMember).map(([ordinal]) => ordinal);
  }

  isMember(ordinal: number): boolean {
    return this.#disks.get(ordinal)?.isMember === true;
  }

  /** Serves: it runs, and is part of the cluster. */
  isUp(ordinal: number): boolean {
    return this.#processes.get(ordinal)?.registering === 0 && this.isMember(ordinal);
  }

  isCaughtUp(ordinal: number): boolean {
    return this.isUp(ordinal) && this.#processes.get(ordinal)?.behind === 0;
  }

  /** A pod finds its volume, or a new one. */
  mount(ordinal: number, clusterId: string): Readonly<ModelDisk> {
    let disk = this.#disks.get(ordinal);
    if (disk === undefined) {
      this.#diskCount += 1;
      disk = { diskId: `disk-${this.#diskCount}`, clusterId, isMember: false };
      this.#disks.set(ordinal, disk);
    }
    if (disk.clusterId !== clusterId) this.broken('VolumesKeepTheirCluster', `node ${ordinal}`);
    return disk;
  }

  start(ordinal: number): void {
    if (this.#processes.has(ordinal)) return;
    const registering = this.isMember(ordinal) ? REGISTER_TICKS : 0;
    this.#processes.set(ordinal, { registering, behind: CATCH_UP_TICKS, isDraining: false });
  }

  drain(ordinal: number): void {
    const running = this.#processes.get(ordinal);
    if (running !== undefined) running.isDraining = true;
  }

  /** It falls behind the others, for a moment. */
  lag(ordinal: number): void {
    const running = this.#processes.get(ordinal);
    if (running !== undefined) running.behind = CATCH_UP_TICKS;
  }

  stop(ordinal: number): void {
    this.#processes.delete(ordinal);
    this.#elect();
  }

  loseDisk(ordinal: number): void {
    this.#disks.delete(ordinal);
    this.#voters = this.#voters.filter((voter) => voter !== ordinal);
    this.stop(ordinal);
  }

  /** The cluster is gone with its disks: another one may begin. */
  forget(): void {
    this.#disks.clear();
    this.#processes.clear();
    this.#begunOn.clear();
    this.#voters = [];
    this.#elect();
  }

  /** Nodes come a step further. */
  tick(): void {
    for (const [ordinal, running] of this.#processes) {
      const disk = this.#disks.get(ordinal);
      if (running.registering > 0) running.registering -= 1;
      if (disk === undefined || this.#leader === null) continue;
      if (!disk.isMember) this.#join(disk, running);
      else if (running.behind > 0 && !this.isSlow) running.behind -= 1;
    }
    this.#changeVoters();
    this.#elect();
  }

  /** null: it cannot be asked. */
  nodeStatus(ordinal: number): NodeStatus | null {
    const disk = this.#disks.get(ordinal);
    if (!this.#processes.has(ordinal) || disk === undefined) return null;
    const { diskId, clusterId } = disk;
    return {
      ...{ nodeId: ordinal, diskId, clusterId, version: '1' },
      phase: this.#phaseOf(ordinal),
      isDiskReadOnly: false,
      startedAtMs: 0,
    };
  }

  /** As any node that serves says it; null: none does. */
  clusterStatus(): ClusterStatus | null {
    const { members } = this;
    const serving = members.filter((ordinal) => this.isUp(ordinal));
    const clusterId = this.#disks.get(serving[0] ?? 0)?.clusterId;
    if (clusterId === undefined) return null;
    return {
      clusterId,
      epoch: this.#epoch,
      leader: { nodeId: this.#leader, isFresh: this.#leader !== null },
      metadataVoters: this.#metadataVoters,
      topics: 0,
      segments: { ...SEGMENTS, unavailable: this.unavailable },
      nodes: members.map((ordinal) => this.#memberStatus(ordinal)),
    };
  }

  /** As the nodes decide it: everybody else must be there. */
  verdict(ordinal: number): Verdict {
    const epoch = this.#epoch;
    const refused = (reason: RefusalReason): Verdict => {
      return { isAllowed: false, epoch, reason, message: `refused for ${reason}` };
    };
    if (this.#leader === null) return refused('NoLeader');
    if (this.isRefusing) return refused('SegmentQuorum');
    const others = this.members.filter((member) => member !== ordinal);
    const isAllowed = others.every((other) => this.isCaughtUp(other) && !this.#isDraining(other));
    return isAllowed ? { isAllowed, epoch, message: '' } : refused('AnotherNodeIsDown');
  }

  /** null: done; else why not. */
  bootstrap(ordinal: number, { clusterId, diskId }: BootstrapRequest): RefusalReason | null {
    const disk = this.#disks.get(ordinal);
    if (disk?.diskId !== diskId || disk.clusterId !== clusterId) return 'OtherDisk';
    if (this.#leader !== null && !disk.isMember) return 'AlreadyBootstrapped';
    this.#begunOn.add(diskId);
    if (this.#begunOn.size > 1) {
      this.broken('BeginsOnce', `on ${[...this.#begunOn].join(' and ')}`);
    }
    disk.isMember = true;
    if (this.#voters.length === 0) this.#voters = [ordinal];
    this.#elect();
    return null;
  }

  /** null: done; else why not. */
  setVoters(count: number, epoch: number): RefusalReason | null {
    if (epoch !== this.#epoch) return 'StaleEpoch';
    const whole = this.members.filter((ordinal) => this.isCaughtUp(ordinal)).length;
    if (whole < count) this.broken('VotersAreThere', `${count} voters, with ${whole} whole nodes`);
    if (this.members.length < count) return 'NotEnoughNodes';
    this.#metadataVoters = count;
    return null;
  }

  transferLeadership(epoch: number): RefusalReason | null {
    if (epoch !== this.#epoch) return 'StaleEpoch';
    const heir = this.#voters.find((ordinal) => this.isUp(ordinal) && ordinal !== this.#leader);
    if (heir === undefined) return 'AnotherNodeIsDown';
    this.#leader = heir;
    this.#epoch += 1;
    return null;
  }

  /** The operator restarts it; `isAsked`: it was told that it may. */
  checkRestart(ordinal: number, isAsked: boolean): void {
    if (!this.isUp(ordinal)) return;
    if (!isAsked)
      this.broken('NoRefusedRestart', `node ${ordinal} serves, and was not asked about`);
    const verdict = this.verdict(ordinal);
    if (!verdict.isAllowed) {
      this.broken('NoRefusedRestart', `node ${ordinal}: ${verdict.reason}`);
    }
    if (ordinal === this.#leader && this.#voters.length > 1) {
      this.broken('LeaderMovesFirst', `node ${ordinal} leads the metadata`);
    }
  }

  checkScale(from: number, to: number): void {
    // Who has had a volume may be a member, or about to be one.
    const lost = Array.from({ length: Math.max(0, from - to) }, (_, index) => to + index + 1);
    if (lost.some((ordinal) => this.#disks.has(ordinal)))
      this.broken('NeverShrinks', `${from} to ${to}`);
    const hasBegun = this.members.length > 0;
    // Volumes that are there already: a cluster that is made again.
    if (to <= from || !hasBegun || this.#disks.has(to)) return;
    const isWhole = Array.from({ length: from }, (_, index) => index + 1).every((ordinal) =>
      this.isCaughtUp(ordinal),
    );
    if (to !== from + 1) this.broken('GrowsWhole', `${from} to ${to} at once`);
    if (!isWhole) this.broken('GrowsWhole', `${from} to ${to}, while somebody is not caught up`);
  }

  broken(property: Property, detail: string): void {
    this.violations.push({ property, detail });
  }

  /** The leader knows it before it has heard from it as a member. */
  #join(disk: ModelDisk, running: ModelProcess): void {
    if (this.isClosed) return;
    disk.isMember = true;
    running.registering = REGISTER_TICKS;
  }

  /** The leader keeps its vote. */
  #changeVoters(): void {
    const { members } = this;
    const odd = members.length - (members.length % 2 === 0 ? 1 : 0);
    const wanted = Math.min(this.#metadataVoters, Math.max(1, odd));
    if (this.#leader === null || this.#voters.length === wanted) return;
    const isSurplus = (ordinal: number): boolean => ordinal !== this.#leader;
    if (this.#voters.length > wanted) {
      const demoted = this.#voters.findLast(isSurplus);
      this.#voters = this.#voters.filter((voter) => voter !== demoted);
      return;
    }
    const next = members.find((each) => this.isUp(each) && !this.#voters.includes(each));
    if (next !== undefined) this.#voters = [...this.#voters, next];
  }

  #phaseOf(ordinal: number): NodeStatus['phase'] {
    if (this.stopping.has(ordinal)) return 'Stopping';
    if (!this.isMember(ordinal)) return 'Joining';
    if (!this.isUp(ordinal)) return 'Registering';
    return this.#isDraining(ordinal) ? 'Draining' : 'Serving';
  }

  #isDraining(ordinal: number): boolean {
    return this.#processes.get(ordinal)?.isDraining === true;
  }

  #memberStatus(nodeId: number): MemberStatus {
    return {
      nodeId,
      diskId: this.#disks.get(nodeId)?.diskId ?? '',
      ...{ zone: '', version: '1', peerAddress: '', clientAddress: '', httpAddress: '' },
      isAlive: this.isCredulous || this.isUp(nodeId),
      isDraining: this.#isDraining(nodeId),
      isDiskWritable: true,
      role: this.#voters.includes(nodeId) ? 'Voter' : 'Learner',
      isCaughtUp: this.isCaughtUp(nodeId),
      ...{ ledSegments: 0, replicas: 0, incompleteReplicas: 0 },
    };
  }

  #elect(): void {
    const voters = this.#voters;
    const up = voters.filter((ordinal) => this.isUp(ordinal));
    const hasQuorum = up.length * 2 > voters.length;
    if (!hasQuorum) this.#leader = null;
    else if (this.#leader === null || !up.includes(this.#leader)) {
      this.#leader = up[0] ?? null;
      this.#epoch += 1;
    }
  }
}
