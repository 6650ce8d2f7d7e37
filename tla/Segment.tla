------------------------------ MODULE Segment ------------------------------
(***************************************************************************)
(* One segment of a partition: its leader, its replicas on real disks, its *)
(* recovery and what happens to it after the seal.  The rules I1-I4, W1-W7,*)
(* R1-R6, S1-S4 and D1 are those of the design (section 2); each action    *)
(* and each guard names its rule.                                          *)
(*                                                                         *)
(* Processes and their state                                               *)
(*  - A disk is a member's replica: a log and a fence, each written first  *)
(*    and durable only after a sync.  A node and its disk are one here: a   *)
(*    node that crashes takes its page cache along, wholly, partly, or not *)
(*    at all (a killed process).  Disks get lost, emptied, rolled back to  *)
(*    a snapshot, rot, and fail an fsync.                                  *)
(*  - The leader is a process on the node of LeaderDisk and dies with it.  *)
(*    It may well be deposed without knowing it: nothing tells a zombie.   *)
(*  - A recovery coordinator is a Raft leader with an epoch of its own; a  *)
(*    deposed one goes on, beside its successors.                          *)
(*  - The metadata is one atomic register with compare-and-set; that Raft  *)
(*    makes such a register is another specification's business.           *)
(*                                                                         *)
(* The network.  A message once sent can be delivered late, often, out of  *)
(* order, or never.  A set of messages that only grows says just that, and *)
(* here each such set is a function of state that only grows as well, so   *)
(* it need not be kept twice:                                              *)
(*  - Append(k) is in flight when k <= Len(leader.log): a leader's log     *)
(*    stays here when the leader is dead.                                  *)
(*  - Acks are cumulative: ackSent[d] is the highest one ever sent by d.   *)
(*  - Fence(e) and Copy(e) are in flight when e <= meta.epoch; an answer   *)
(*    is handed to the coordinator at once, since a coordinator that takes *)
(*    its time is the same as a slow message, and an answer that is never  *)
(*    sent is the same as a lost one.                                      *)
(*  - A proposal to close stays in leader.proposed until the end of time:  *)
(*    the Raft leader may take it out of its queue when nobody expects it. *)
(*  - The committed offset rides on appends (W5): a replica may have heard *)
(*    of any value that the leader has ever reached, or of none.           *)
(*                                                                         *)
(* Records are values, not numbers: the offset is the place in the log, so *)
(* "the same content" means something.  A batch is one record.             *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
    Members,      \* The ensemble named by OpenSegment, with diskIds (I4); n = |Members|.
    LeaderDisk,   \* The member on the leader's node.
    Spares,       \* Disks that are no members: of other nodes, or put in a lost one's place (I3).
    W,            \* Acknowledgement quorum.
    ReplicasWanted, \* R of the topic; n <= R (W7). Only a mutant looks at it.
    MaxOffset,    \* How many records the leader gets from its clients.
    MaxEpoch,     \* How many recoveries begin.
    MaxCrashes,   \* How many crashes of nodes, together.
    MaxDamaged,   \* How many disks are damaged at the same time.
    MaxReads,     \* How many records a reader reads.
    Faults,       \* Subset of AllFaults: what may happen to disks and coordinators.
    Features,     \* Subset of AllFeatures: what beyond writing and recovering is modelled.
    Mutant        \* "none", or the name of the one guard that is broken.

AllFaults == {"lose", "empty", "rollback", "rot", "fsync", "torn", "coordinator"}
AllFeatures == {"close", "rereplicate", "unclean", "delete", "impatient"}

VARIABLES
    meta,       \* The segment's metadata: [state, epoch, content, replicas, lossy, planned, former];
                \* content stands for end (its length) and digest (its value). While the segment is
                \* open or recovering, replicas is the ensemble. Disks that may hold bytes beside the
                \* replicas: planned ones complete their copy, former ones have to delete it.
    offers,     \* Commands under way that name a planned disk as a replica: [disk, expected, replicas].
    registered, \* Metadata: the boot epoch that each disk registered last (I2).
    leader,     \* The leader process: [alive, frozen, log, proposed]; log is what it has numbered
                \* and sent, proposed the closes that it has sent to Raft.
    ackSent,    \* Per disk: the highest acknowledgement that it has sent to the leader.
    recovery,   \* Per epoch: [phase, evidence, content, holders], all volatile.
    status,     \* Per disk: "up", "down", "emptied", "lost", "readonly" (and "retried": a mutant).
    log,        \* Per disk: the records written, in the page cache or on the medium.
    synced,     \* Per disk: how many of them are durable; this is the synced point of D1.
    fence,      \* Per disk: the epoch of the fence as written, 0 for none.
    fenceSynced,\* Per disk: the epoch of the fence as durable.
    bootEpoch,  \* Per disk: the boot epoch in its superblock.
    snapshot,   \* Per disk: at most one old image of it, as a set.
    damaged,    \* Ghost: disks that do not hold (all of) what they have acknowledged.
    acked,      \* Ghost: <<offset, record>> acknowledged to clients; committed is the same thing.
    seen        \* Ghost: what a reader has read, from the segment's start.

vars == <<meta, offers, registered, leader, ackSent, recovery, status, log, synced, fence,
          fenceSynced, bootEpoch, snapshot, damaged, acked, seen>>

metaVars == <<meta, offers, registered>>
diskVars == <<status, log, synced, fence, fenceSynced, bootEpoch>>
ghostVars == <<damaged, acked, seen>>

-----------------------------------------------------------------------------
(* Values and small definitions *)

Disks == Members \cup Spares
Epochs == 1..MaxEpoch
Offsets == 1..MaxOffset

Own == "own"       \* A record of the leader's first life.
Other == "other"   \* A record of anybody else: a second life, a stranger without the token.
Bad == "bad"       \* Bytes whose checksum is wrong: torn or rotten.
Hole == "hole"     \* Never written: what lies between the tail and an append with a gap.

n == Cardinality(Members)

\* F = n - W + 1, with the n of the ensemble as opened, not the R wanted (W7).
F == (IF Mutant = "RecoveryQuorumOfReplicasWanted" THEN ReplicasWanted ELSE n) - W + 1

Prefix(s, k) == SubSeq(s, 1, k)
Min(a, b) == IF a < b THEN a ELSE b
StartsWith(s, t) == Len(s) >= Len(t) /\ Prefix(s, Len(t)) = t
IsIntact(s) == \A k \in DOMAIN s : s[k] # Bad
Holds(d, s) == StartsWith(log[d], s) /\ synced[d] >= Len(s)

IsUp(d) == status[d] \in {"up", "retried"}
IsServing(d) == status[d] \in {"up", "retried", "readonly"}

CommittedOffset == Cardinality({p[1] : p \in acked})

\* The superblock registers in order; the sum of all boots and disks that are down is the number
\* of crashes.
RECURSIVE Sum(_, _)
Sum(f, S) == IF S = {} THEN 0 ELSE LET x == CHOOSE y \in S : TRUE IN f[x] + Sum(f, S \ {x})
Crashes == Sum(registered, Disks) + Cardinality({d \in Disks : status[d] \in {"down", "emptied"}})

-----------------------------------------------------------------------------
TypeOK ==
    /\ meta.state \in {"OPEN", "RECOVERING", "SEALED", "DELETED"}
    /\ meta.epoch \in 0..MaxEpoch
    /\ meta.replicas \subseteq Disks
    /\ meta.lossy \in BOOLEAN
    /\ meta.planned \subseteq Disks /\ meta.former \subseteq Disks
    /\ meta.planned \cap (meta.replicas \cup meta.former) = {}
    /\ leader.alive \in BOOLEAN /\ leader.frozen \in BOOLEAN
    /\ Len(leader.log) <= MaxOffset
    /\ \A e \in Epochs :
        /\ recovery[e].phase \in {"none", "fencing", "copying", "stopped"}
        /\ recovery[e].holders \subseteq Disks
    /\ \A d \in Disks :
        /\ status[d] \in {"up", "down", "emptied", "lost", "readonly", "retried"}
        /\ \A k \in DOMAIN log[d] : log[d][k] \in {Own, Other, Bad, Hole}
        /\ synced[d] \in 0..Len(log[d])
        /\ fenceSynced[d] <= fence[d] /\ fence[d] <= meta.epoch
        /\ ackSent[d] \in 0..MaxOffset
    /\ damaged \subseteq Disks

NoRecovery == [phase |-> "none", evidence |-> {}, content |-> <<>>, holders |-> {}]

\* I4: the ensemble, the token and epoch 0 are in the metadata before anybody writes.
Init ==
    /\ meta = [state |-> "OPEN", epoch |-> 0, content |-> <<>>, replicas |-> Members,
               lossy |-> FALSE, planned |-> {}, former |-> {}]
    /\ offers = {}
    /\ registered = [d \in Disks |-> 0]
    /\ leader = [alive |-> TRUE, frozen |-> FALSE, log |-> <<>>, proposed |-> {}]
    /\ ackSent = [d \in Disks |-> 0]
    /\ recovery = [e \in Epochs |-> NoRecovery]
    /\ status = [d \in Disks |-> "up"]
    /\ log = [d \in Disks |-> <<>>]
    /\ synced = [d \in Disks |-> 0]
    /\ fence = [d \in Disks |-> 0]
    /\ fenceSynced = [d \in Disks |-> 0]
    /\ bootEpoch = [d \in Disks |-> 0]
    /\ snapshot = [d \in Disks |-> {}]
    /\ damaged = {}
    /\ acked = {}
    /\ seen = <<>>

-----------------------------------------------------------------------------
(* The write path *)

\* A client's batch gets the next offset and goes to all members. A frozen leader keeps later
\* batches for the next segment, which is the same to this one as not having them.
LeaderAppends ==
    /\ leader.alive /\ ~leader.frozen
    /\ Len(leader.log) < MaxOffset
    /\ leader' = [leader EXCEPT !.log =
                    Append(@, IF registered[LeaderDisk] = 0 THEN Own ELSE Other)]
    /\ UNCHANGED <<metaVars, ackSent, recovery, diskVars, snapshot, ghostVars>>

\* What is in flight at an offset: the leader's batch; and, in the environment always, that of a
\* process that takes itself for the leader and has not its token. I4 refuses that one.
InFlight(k) ==
    (IF k <= Len(leader.log) THEN {leader.log[k]} ELSE {})
        \cup (IF Mutant = "TokenNotChecked" /\ MaxOffset >= k THEN {Other} ELSE {})

\* W6: the leader sends to the ensemble of OpenSegment and to nobody else.
IsSentTo(d) ==
    \/ d \in Members
    \/ Mutant = "OpenSegmentRereplicated" /\ d \in meta.replicas

\* W2 (contiguous, token, not fenced) and W4: the leader's own copy is written by this same action.
ReplicaAppends(d) ==
    /\ IsUp(d) /\ IsSentTo(d)
    /\ fence[d] = 0 \/ (Mutant = "OwnCopySkipsFence" /\ d = LeaderDisk)
    /\ \E k \in Offsets : \E record \in InFlight(k) :
        /\ k = Len(log[d]) + 1 \/ (Mutant = "GapAccepted" /\ k > Len(log[d]))
        /\ log' = [log EXCEPT ![d] =
                    [j \in 1..k |-> IF j = k THEN record
                                    ELSE IF j <= Len(@) THEN @[j] ELSE Hole]]
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, status, synced, fence, fenceSynced,
                   bootEpoch, snapshot, ghostVars>>

\* An fdatasync makes durable what was written before it. Log and fence may lie in two places, each
\* with its own fdatasync, in either order. A crash may fall before or after each, and may keep any
\* part of what was not durable.
SyncLog(d) ==
    /\ status[d] = "up" /\ synced[d] < Len(log[d])
    /\ synced' = [synced EXCEPT ![d] = Len(log[d])]
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, status, log, fence, fenceSynced,
                   bootEpoch, snapshot, ghostVars>>

SyncFence(d) ==
    /\ status[d] = "up" /\ fenceSynced[d] # fence[d]
    /\ fenceSynced' = [fenceSynced EXCEPT ![d] = fence[d]]
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, status, log, synced, fence, bootEpoch,
                   snapshot, ghostVars>>

\* W3: what a member may acknowledge. A fsync that is tried again after a failure says yes to
\* pages that the kernel has dropped.
DurableTail(d) ==
    IF Mutant = "AckBeforeFsync" \/ status[d] = "retried" THEN Len(log[d]) ELSE synced[d]

\* W3 and W2: a durable batch is acknowledged, the first time and each time it comes again. The
\* acknowledgement may leave after a fence has come: it was true before, and copies that recovery
\* wrote to this member are as durable as any.
ReplicaAcks(d) ==
    LET k == DurableTail(d) IN
    /\ IsUp(d) /\ IsSentTo(d)
    /\ ackSent[d] < k /\ k <= Len(leader.log)
    /\ log[d][k] = leader.log[k]
    /\ ackSent' = [ackSent EXCEPT ![d] = k]
    /\ UNCHANGED <<metaVars, leader, recovery, diskVars, snapshot, ghostVars>>

CommitQuorum == IF Mutant = "CommitOneCopyShort" THEN W - 1 ELSE W

\* W5 and W6: a record is committed, and its client gets its answer, when W members of the
\* ensemble hold it durably, and all before it. A deposed leader does this too, on old answers.
LeaderCommits ==
    /\ leader.alive
    /\ ~leader.frozen \/ Mutant = "AckAfterProposingClose"
    /\ \E k \in 1..Len(leader.log) :
        /\ <<k, leader.log[k]>> \notin acked
        /\ \A j \in 1..(k - 1) : <<j, leader.log[j]>> \in acked
        /\ Cardinality({d \in Disks : IsSentTo(d) /\ ackSent[d] >= k}) >= CommitQuorum
        /\ acked' = acked \cup {<<k, leader.log[k]>>}
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, diskVars, snapshot, damaged, seen>>

\* W1: in the real thing a leader that comes back with its node does nothing at all here. The
\* mutant takes its token from the metadata, its log from its disk, and goes on.
LeaderResumes ==
    /\ Mutant = "RestartedLeaderResumes"
    /\ ~leader.alive /\ IsUp(LeaderDisk) /\ meta.state = "OPEN"
    /\ leader' = [leader EXCEPT !.alive = TRUE, !.frozen = FALSE, !.log = log[LeaderDisk]]
    /\ UNCHANGED <<metaVars, ackSent, recovery, diskVars, snapshot, ghostVars>>

-----------------------------------------------------------------------------
(* The leader's close *)

\* Freeze, then propose OPEN -> SEALED with the committed offset as the end.
LeaderProposesClose ==
    /\ "close" \in Features
    /\ leader.alive /\ ~leader.frozen /\ leader.proposed = {}
    /\ leader' = [leader EXCEPT !.frozen = TRUE,
                                !.proposed = {Prefix(leader.log, CommittedOffset)}]
    /\ UNCHANGED <<metaVars, ackSent, recovery, diskVars, snapshot, ghostVars>>

\* Raft applies a proposal, at once, late, or when its proposer is long dead.
CloseApplies ==
    /\ meta.state = "OPEN"
    /\ \E content \in leader.proposed :
        meta' = [meta EXCEPT !.state = "SEALED", !.content = content]
    /\ UNCHANGED <<offers, registered, leader, ackSent, recovery, diskVars, snapshot, ghostVars>>

\* The outcome is unknown and the metadata still reads OPEN. That proves nothing: the proposal may
\* yet be applied. So the leader proposes the same again and stays frozen for good.
LeaderThaws ==
    /\ Mutant = "LeaderThawsOnOpen"
    /\ leader.alive /\ leader.frozen /\ meta.state = "OPEN"
    /\ leader' = [leader EXCEPT !.frozen = FALSE]
    /\ UNCHANGED <<metaVars, ackSent, recovery, diskVars, snapshot, ghostVars>>

-----------------------------------------------------------------------------
(* Recovery *)

IsStuck(e) ==
    \/ recovery[e].phase = "stopped"
    \/ /\ recovery[e].phase = "copying"
       /\ \A d \in Disks \ damaged : ~StartsWith(log[d], recovery[e].content)

\* R1: a new coordinator, under a new epoch, because the leader looks dead, because the last one
\* looks dead, or for no reason ("impatient"; without it recoveries begin only when needed, which
\* is what the liveness property wants).
RecoveryStarts ==
    /\ meta.state \in {"OPEN", "RECOVERING"}
    /\ meta.epoch < MaxEpoch
    /\ IF meta.epoch = 0 THEN TRUE ELSE "impatient" \in Features \/ IsStuck(meta.epoch)
    /\ meta' = [meta EXCEPT !.state = "RECOVERING", !.epoch = @ + 1]
    /\ recovery' = [recovery EXCEPT ![meta.epoch + 1].phase = "fencing"]
    /\ UNCHANGED <<offers, registered, leader, ackSent, diskVars, snapshot, ghostVars>>

\* R2, first half: the member writes the fence, also one that never saw the segment (its log is
\* empty). A fence never goes back.
ReplicaFences(d, e) ==
    /\ IsUp(d)
    /\ d \in Members \/ Mutant = "FreshDiskIsEvidence"
    /\ e <= meta.epoch /\ fence[d] < e
    /\ fence' = [fence EXCEPT ![d] = e]
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, status, log, synced, fenceSynced,
                   bootEpoch, snapshot, ghostVars>>

IsFencedFor(d, e) ==
    \/ fenceSynced[d] = e
    \/ Mutant = "FenceNotDurable" /\ fence[d] = e
    \/ Mutant = "TailBeforeFence" /\ fence[d] <= e
    \/ Mutant = "UnseenSegmentNotFenced" /\ fence[d] <= e /\ log[d] = <<>>

\* D1: a damaged log has no tail to report. The mutant reports what comes before the damage.
ReportedLog(d) ==
    IF Mutant = "CorruptDiskIsEvidence"
    THEN Prefix(log[d], Cardinality({k \in DOMAIN log[d] : IsIntact(Prefix(log[d], k))}))
    ELSE log[d]

\* R3, I1, I3: evidence under the name of disk d comes from d alone; the answering node compares
\* the diskId of the request with its own (I4). The mutant lets the disk in its place speak for it.
Respondents(d) ==
    IF Mutant = "TargetDiskNotChecked" /\ d \in Members /\ status[d] = "lost" THEN Spares
    ELSE IF d \in Members \/ Mutant = "FreshDiskIsEvidence" THEN {d}
    ELSE {}

\* R2, second half: fence and log are durable, so the tail is reported, and R3: the coordinator
\* takes it as evidence.
ReplicaReports(d, e) ==
    /\ recovery[e].phase = "fencing"
    /\ \A p \in recovery[e].evidence : p[1] # d
    /\ \E r \in Respondents(d) :
        /\ IsUp(r)
        /\ IsFencedFor(r, e) \/ r # d
        /\ synced[r] = Len(log[r]) \/ Mutant = "TailNotDurable"
        /\ IsIntact(log[r]) \/ Mutant = "CorruptDiskIsEvidence"
        /\ recovery' = [recovery EXCEPT ![e].evidence = @ \cup {<<d, ReportedLog(r)>>}]
    /\ UNCHANGED <<metaVars, leader, ackSent, diskVars, snapshot, ghostVars>>

IsEndOf(content, evidence) ==
    \A p \in evidence :
        IF Mutant = "MinimumTail" THEN Len(p[2]) >= Len(content) ELSE Len(p[2]) <= Len(content)

\* R3: F answers, no fewer. R4: the longest is the end.
Decide(e) ==
    LET evidence == recovery[e].evidence IN
    /\ recovery[e].phase = "fencing"
    /\ Cardinality(evidence) >= (IF Mutant = "OneAnswerShort" THEN F - 1 ELSE F)
    /\ \E p \in evidence :
        /\ IsEndOf(p[2], evidence)
        /\ recovery' = [recovery EXCEPT ![e] =
                [phase |-> "copying", evidence |-> {}, content |-> p[2],
                 holders |-> {q[1] : q \in {x \in evidence : StartsWith(x[2], p[2])}}]]
    /\ UNCHANGED <<metaVars, leader, ackSent, diskVars, snapshot, ghostVars>>

\* R5: the coordinator reads the records from a disk that has them and writes them to one that has
\* not, a member or a spare. The request carries e: a disk with a later fence refuses it. A disk that
\* an earlier recovery wrote to goes on where that one stopped. (Nodes raise the fence with the copy;
\* that refuses more of what is old, and nothing needs it. The mutant asks for the very same fence.)
CopyWrites(e, d) ==
    LET content == recovery[e].content IN
    /\ recovery[e].phase = "copying" /\ d \notin recovery[e].holders
    /\ IsUp(d) /\ IsIntact(log[d]) /\ Len(log[d]) < Len(content)
    /\ fence[d] <= e \/ Mutant = "StaleCopyAccepted"
    /\ Mutant = "LaterCopyRefused" => fence[d] \in {0, e}
    /\ \E s \in Disks : IsServing(s) /\ StartsWith(log[s], content)
    /\ log' = [log EXCEPT ![d] = @ \o SubSeq(content, Len(@) + 1, Len(content))]
    /\ fence' = [fence EXCEPT ![d] = IF Mutant = "LaterCopyRefused" THEN e ELSE @]
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, status, synced, fenceSynced, bootEpoch,
                   snapshot, ghostVars>>

\* R5: a copy counts when it is durable.
CopyCounts(e, d) ==
    LET content == recovery[e].content IN
    /\ recovery[e].phase = "copying" /\ d \notin recovery[e].holders
    /\ IsUp(d) /\ StartsWith(log[d], content)
    /\ synced[d] >= Len(content) \/ Mutant = "CopyCountsBeforeFsync"
    /\ fence[d] <= e \/ Mutant = "StaleCopyAccepted"
    /\ Mutant = "LaterCopyRefused" => fence[d] \in {0, e}
    /\ recovery' = [recovery EXCEPT ![e].holders = @ \cup {d}]
    /\ UNCHANGED <<metaVars, leader, ackSent, diskVars, snapshot, ghostVars>>

\* Disks that may hold bytes and are not named by the seal complete their copies, or drop them.
OthersWithBytes(holders) ==
    IF "rereplicate" \in Features THEN {d \in Disks : d \in Members \/ log[d] # <<>>} \ holders
    ELSE {}

\* R6: the compare-and-set of RECOVERING(e); the holders become the replicas. Raft may apply it
\* long after it was proposed: nothing in it changes in the meantime.
RecoverySeals(e) ==
    /\ recovery[e].phase = "copying"
    /\ Cardinality(recovery[e].holders) >= (IF Mutant = "CopiesOneShort" THEN W - 1 ELSE W)
    /\ meta.state = "RECOVERING" \/ Mutant = "SealWithoutCompare"
    /\ meta.epoch = e \/ Mutant \in {"SealWithoutCompare", "SealIgnoresEpoch"}
    /\ meta' = [meta EXCEPT !.state = "SEALED", !.content = recovery[e].content,
                            !.replicas = recovery[e].holders,
                            !.planned = OthersWithBytes(recovery[e].holders)]
    /\ UNCHANGED <<offers, registered, leader, ackSent, recovery, diskVars, snapshot, ghostVars>>

\* The coordinator's node crashes or loses Raft's leadership and knows it; all it knew is gone.
\* One more recovery than there are coordinators to stop and disks to lose is left over: the number
\* of recoveries is a bound of the model, and must not be what keeps a segment from its seal.
CoordinatorStops(e) ==
    /\ "coordinator" \in Faults
    /\ recovery[e].phase \in {"fencing", "copying"}
    /\ Cardinality({x \in Epochs : recovery[x].phase = "stopped"}) + MaxDamaged + 1 < MaxEpoch
    /\ meta.state = "RECOVERING" /\ meta.epoch = e
    /\ recovery' = [recovery EXCEPT ![e] = [NoRecovery EXCEPT !.phase = "stopped"]]
    /\ UNCHANGED <<metaVars, leader, ackSent, diskVars, snapshot, ghostVars>>

\* S4: an operator seals with less evidence than F, and it is recorded that something may miss.
OperatorSealsUnclean ==
    /\ "unclean" \in Features
    /\ meta.state = "RECOVERING" /\ recovery[meta.epoch].phase = "fencing"
    /\ \E p \in recovery[meta.epoch].evidence :
        /\ \A q \in recovery[meta.epoch].evidence : Len(q[2]) <= Len(p[2])
        /\ meta' = [meta EXCEPT !.state = "SEALED", !.content = p[2], !.replicas = {p[1]},
                                !.lossy = (Mutant # "UncleanNotMarked")]
    /\ UNCHANGED <<offers, registered, leader, ackSent, recovery, diskVars, snapshot, ghostVars>>

-----------------------------------------------------------------------------
(* After the seal *)

\* The metadata know it as LOST: whoever took its place, or an operator, has said so (I3).
Kept == {d \in meta.replicas : status[d] # "lost"}

IsRereplicated ==
    /\ "rereplicate" \in Features
    /\ meta.state = "SEALED" \/ (Mutant = "OpenSegmentRereplicated" /\ meta.state = "OPEN")

\* S2: with fewer replicas than wanted, disks are told to make a copy; more of them than needed, since
\* some may be down.
CopyPlanned(d) ==
    /\ IsRereplicated
    /\ d \notin meta.replicas \cup meta.planned \cup meta.former /\ status[d] # "lost"
    /\ Cardinality(Kept) < ReplicasWanted
    /\ meta' = [meta EXCEPT !.planned = @ \cup {d}]
    /\ UNCHANGED <<offers, registered, leader, ackSent, recovery, diskVars, snapshot, ghostVars>>

\* S2, copying: from a replica to a disk that lacks it, a planned one or a replica that was behind at
\* the seal. Bytes are copied as they are; whether they are right is seen before the disk is named.
SealedCopyWrites(s, d) ==
    LET length == IF meta.state = "OPEN" THEN Len(log[s]) ELSE Min(Len(meta.content), Len(log[s])) IN
    /\ IsRereplicated
    /\ s # d /\ s \in meta.replicas /\ d \in meta.replicas \cup meta.planned
    /\ IsServing(s) /\ IsUp(d)
    /\ Len(log[d]) < length
    /\ log' = [log EXCEPT ![d] = @ \o SubSeq(log[s], Len(@) + 1, length)]
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, status, synced, fence, fenceSynced,
                   bootEpoch, snapshot, ghostVars>>

\* S2, naming: a copy that is durable, with its digest verified, and of a sealed segment (W6) offers
\* itself beside the replicas that are left. The command is applied late, once, often, or never.
CopyOffered(d) ==
    /\ IsRereplicated
    /\ d \in meta.planned /\ IsUp(d) /\ Cardinality(Kept) < ReplicasWanted
    /\ StartsWith(log[d], meta.content)
        \/ (Mutant = "DigestNotVerified" /\ Len(log[d]) >= Len(meta.content))
    /\ synced[d] >= Len(meta.content) \/ Mutant = "ReplacedBeforeFsync"
    /\ offers' = offers \cup {[disk |-> d, expected |-> meta.replicas, replicas |-> Kept \cup {d}]}
    /\ UNCHANGED <<meta, registered, leader, ackSent, recovery, diskVars, snapshot, ghostVars>>

\* S2: compare-and-set on the replicas.
ReplicasReplaced(offer) ==
    /\ IsRereplicated
    /\ offer.expected = meta.replicas \/ Mutant = "ReplacedWithoutCompare"
    /\ \A d \in offer.replicas : status[d] # "lost"
    /\ meta' = [meta EXCEPT !.replicas = offer.replicas, !.planned = @ \ offer.replicas,
                            !.former = @ \cup (Kept \ offer.replicas)]
    /\ UNCHANGED <<offers, registered, leader, ackSent, recovery, diskVars, snapshot, ghostVars>>

\* S3: a planned copy is too many when there are enough replicas; only then it is told to go. A disk
\* that has offered itself has done so to fewer replicas, so that its offer is void by now.
CopyDropped(d) ==
    /\ IsRereplicated /\ meta.state = "SEALED"
    /\ d \in meta.planned
    /\ Cardinality(Kept) >= ReplicasWanted \/ Mutant = "NeededCopyDropped"
    /\ meta' = [meta EXCEPT !.planned = @ \ {d}, !.former = @ \cup {d}]
    /\ UNCHANGED <<offers, registered, leader, ackSent, recovery, diskVars, snapshot, ghostVars>>

\* S3: retention has decided; the tombstone is in the metadata.
Tombstone ==
    /\ "delete" \in Features
    /\ meta.state = "SEALED"
    /\ meta' = [meta EXCEPT !.state = "DELETED"]
    /\ UNCHANGED <<offers, registered, leader, ackSent, recovery, diskVars, snapshot, ghostVars>>

\* S3: a node frees a segment on the tombstone, the segment's or its own copy's, not because the
\* metadata do not name its disk: they do not name a disk that a recovery is writing to.
ReplicaDeletes(d) ==
    /\ "delete" \in Features
    /\ IsUp(d) /\ log[d] # <<>>
    /\ \/ meta.state = "DELETED" \/ d \in meta.former
       \/ Mutant = "UnknownDataDeleted" /\ d \notin meta.replicas
    /\ log' = [log EXCEPT ![d] = <<>>]
    /\ synced' = [synced EXCEPT ![d] = 0]
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, status, fence, fenceSynced, bootEpoch,
                   snapshot, ghostVars>>

\* S3: a disk that has deleted its copy may be planned again.
DeletionConfirmed(d) ==
    /\ d \in meta.former /\ IsUp(d) /\ log[d] = <<>>
    /\ meta' = [meta EXCEPT !.former = @ \ {d}]
    /\ UNCHANGED <<offers, registered, leader, ackSent, recovery, diskVars, snapshot, ghostVars>>

-----------------------------------------------------------------------------
(* Readers *)

\* W5, S1: up to the committed offset the replica may have heard of, or up to the sealed end on a
\* replica that the seal names. A record with a wrong checksum is never served (D1).
IsReadable(d, k) ==
    /\ IsServing(d) /\ k \in DOMAIN log[d] /\ log[d][k] # Bad
    /\ \/ IsSentTo(d) /\ k <= CommittedOffset
       \/ /\ meta.state = "SEALED" /\ d \in meta.replicas
          /\ (k <= Len(meta.content) \/ Mutant = "ReadPastEnd")
       \/ Mutant = "ReadPastCommitted" /\ d \in Members

ReaderReads ==
    /\ Len(seen) < MaxReads
    /\ \E d \in Disks :
        /\ IsReadable(d, Len(seen) + 1)
        /\ seen' = Append(seen, log[d][Len(seen) + 1])
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, diskVars, snapshot, damaged, acked>>

-----------------------------------------------------------------------------
(* Crashes, and what happens to disks *)

\* Power loss or a killed process: of what was not durable, any beginning of the log survives, with
\* or without a torn record after it, and the fence survives or not.
Crash(d) ==
    /\ IsUp(d) /\ Crashes < MaxCrashes
    /\ status' = [status EXCEPT ![d] = "down"]
    /\ \E kept \in synced[d]..Len(log[d]) :
        \E torn \in IF kept < Len(log[d]) /\ "torn" \in Faults THEN BOOLEAN ELSE {FALSE} :
            log' = [log EXCEPT ![d] = Prefix(@, kept) \o (IF torn THEN <<Bad>> ELSE <<>>)]
    /\ \E f \in {fence[d], fenceSynced[d]} : fence' = [fence EXCEPT ![d] = f]
    /\ leader' = [leader EXCEPT !.alive = @ /\ d # LeaderDisk]
    /\ UNCHANGED <<metaVars, ackSent, recovery, synced, fenceSynced, bootEpoch, snapshot,
                   ghostVars>>

\* D1: a bad record at the end and beyond the synced point is a torn write.
IsTorn(d) ==
    /\ log[d] # <<>> /\ log[d][Len(log[d])] = Bad
    /\ Len(log[d]) > synced[d] \/ Mutant = "CorruptTailTruncated"

AfterTornTail(d) ==
    IF IsTorn(d) /\ Mutant # "TornTailKept" THEN Prefix(log[d], Len(log[d]) - 1)
    ELSE [k \in DOMAIN log[d] |-> IF IsTorn(d) /\ k = Len(log[d]) THEN Hole ELSE log[d][k]]

\* I1: an emptied directory has no superblock and never starts under its old identity. I2: the boot
\* epoch goes up by one in the superblock and by compare-and-set in the metadata; the steps between
\* are specified in DiskIdentity. D1: the torn tail is cut off.
Boot(d) ==
    /\ status[d] = "down" \/ (status[d] = "emptied" /\ Mutant = "EmptiedDiskKeepsIdentity")
    /\ bootEpoch[d] = registered[d] \/ Mutant = "BootEpochNotCompared"
    /\ status' = [status EXCEPT ![d] = "up"]
    /\ registered' = [registered EXCEPT ![d] = @ + 1]
    /\ bootEpoch' = [bootEpoch EXCEPT ![d] = registered[d] + 1]
    /\ log' = [log EXCEPT ![d] = AfterTornTail(d)]
    /\ synced' = [synced EXCEPT ![d] = Min(@, Len(AfterTornTail(d)))]
    /\ UNCHANGED <<meta, offers, leader, ackSent, recovery, fence, fenceSynced, snapshot,
                   ghostVars>>

CanDamage(d) == d \in damaged \/ Cardinality(damaged) < MaxDamaged

Wiped(d) ==
    /\ log' = [log EXCEPT ![d] = <<>>]
    /\ synced' = [synced EXCEPT ![d] = 0]
    /\ fence' = [fence EXCEPT ![d] = 0]
    /\ fenceSynced' = [fenceSynced EXCEPT ![d] = 0]
    /\ damaged' = damaged \cup {d}

\* The disk is gone for ever, under a running node or one that is down. I3: its place may be taken
\* by a spare, which has an identity of its own.
DiskIsLost(d) ==
    /\ "lose" \in Faults /\ CanDamage(d)
    /\ status[d] # "lost"
    /\ status' = [status EXCEPT ![d] = "lost"]
    /\ Wiped(d)
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, bootEpoch, snapshot, acked, seen>>

\* The data directory is emptied while the node is down.
DiskIsEmptied(d) ==
    /\ "empty" \in Faults /\ CanDamage(d)
    /\ status[d] = "down"
    /\ status' = [status EXCEPT ![d] = "emptied"]
    /\ Wiped(d)
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, bootEpoch, snapshot, acked, seen>>

\* Somebody takes an image of the disk ...
SnapshotIsTaken(d) ==
    /\ "rollback" \in Faults
    /\ \A x \in Disks : snapshot[x] = {}
    /\ d \in Members /\ status[d] \in {"up", "down"}
    /\ snapshot' = [snapshot EXCEPT ![d] =
                        {[log |-> Prefix(log[d], synced[d]), fence |-> fenceSynced[d],
                          bootEpoch |-> bootEpoch[d]]}]
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, diskVars, ghostVars>>

\* ... and puts it back while the node is down. That the disk has booted since is an assumption: an
\* image of the same boot carries the epoch that is registered, and nothing on a disk can tell that
\* it is an image. See the mutant, which shows what such an image does.
DiskIsRolledBack(d) ==
    /\ status[d] = "down" /\ CanDamage(d)
    /\ \E image \in snapshot[d] :
        /\ image.bootEpoch < registered[d] \/ Mutant = "ImageOfTheSameBoot"
        /\ log' = [log EXCEPT ![d] = image.log]
        /\ synced' = [synced EXCEPT ![d] = Len(image.log)]
        /\ fence' = [fence EXCEPT ![d] = image.fence]
        /\ fenceSynced' = [fenceSynced EXCEPT ![d] = image.fence]
        /\ bootEpoch' = [bootEpoch EXCEPT ![d] = image.bootEpoch]
    /\ damaged' = damaged \cup {d}
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, status, snapshot, acked, seen>>

\* A durable record rots. D1 knows it from a torn write because it lies below the synced point.
RecordRots(d) ==
    /\ "rot" \in Faults /\ CanDamage(d)
    /\ status[d] \in {"up", "down"}
    /\ \E k \in 1..synced[d] :
        /\ log[d][k] # Bad
        /\ log' = [log EXCEPT ![d][k] = Bad]
    /\ damaged' = damaged \cup {d}
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, status, synced, fence, fenceSynced,
                   bootEpoch, snapshot, acked, seen>>

\* D1: repair from a peer that has the record with a right checksum.
RecordIsRepaired(d) ==
    /\ "rot" \in Faults
    /\ IsUp(d)
    /\ \E k \in 1..synced[d], s \in Members \ {d} :
        /\ log[d][k] = Bad
        /\ IsServing(s) /\ k \in DOMAIN log[s] /\ log[s][k] # Bad
        /\ log' = [log EXCEPT ![d][k] = log[s][k]]
        /\ damaged' = IF IsIntact(log'[d]) THEN damaged \ {d} ELSE damaged
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, status, synced, fence, fenceSynced,
                   bootEpoch, snapshot, acked, seen>>

\* W3: a failed fsync is final. What is durable can be read, nothing is evidence. The mutant tries
\* again, and the kernel, which has dropped the pages, says yes.
FsyncFails(d) ==
    /\ "fsync" \in Faults
    /\ status[d] = "up" /\ synced[d] < Len(log[d])
    /\ \/ /\ Mutant # "FailedFsyncRetried" /\ CanDamage(d)
          /\ status' = [status EXCEPT ![d] = "readonly"]
          /\ log' = [log EXCEPT ![d] = Prefix(@, synced[d])]
          /\ damaged' = damaged \cup {d}
       \/ /\ Mutant = "FailedFsyncRetried"
          /\ status' = [status EXCEPT ![d] = "retried"]
          /\ UNCHANGED <<log, damaged>>
    /\ UNCHANGED <<metaVars, leader, ackSent, recovery, synced, fence, fenceSynced, bootEpoch,
                   snapshot, acked, seen>>

-----------------------------------------------------------------------------
LeaderNext ==
    LeaderAppends \/ LeaderCommits \/ LeaderResumes \/ LeaderProposesClose \/ LeaderThaws

ReplicaNext(d) ==
    \/ ReplicaAppends(d) \/ SyncLog(d) \/ SyncFence(d) \/ ReplicaAcks(d)
    \/ ReplicaDeletes(d) \/ Crash(d) \/ Boot(d)
    \/ DiskIsLost(d) \/ DiskIsEmptied(d) \/ SnapshotIsTaken(d) \/ DiskIsRolledBack(d)
    \/ RecordRots(d) \/ RecordIsRepaired(d) \/ FsyncFails(d)
    \/ \E e \in Epochs :
        \/ ReplicaFences(d, e) \/ ReplicaReports(d, e)
        \/ CopyWrites(e, d) \/ CopyCounts(e, d)
    \/ CopyPlanned(d) \/ CopyOffered(d) \/ CopyDropped(d) \/ DeletionConfirmed(d)
    \/ \E s \in Disks : SealedCopyWrites(s, d)

Next ==
    \/ LeaderNext
    \/ CloseApplies \/ RecoveryStarts \/ OperatorSealsUnclean \/ Tombstone \/ ReaderReads
    \/ \E d \in Disks : ReplicaNext(d)
    \/ \E offer \in offers : ReplicasReplaced(offer)
    \/ \E e \in Epochs : Decide(e) \/ RecoverySeals(e) \/ CoordinatorStops(e)

Spec == Init /\ [][Next]_vars

\* What must go on for a seal to come: nodes boot and sync, messages that are sent again and again
\* arrive in the end, coordinators act and are replaced. Clients, readers, leaders and operators owe
\* nothing.
Fairness ==
    /\ WF_vars(CloseApplies)
    /\ WF_vars(meta.state = "RECOVERING" /\ RecoveryStarts)
    /\ \A d \in Disks : WF_vars(Boot(d)) /\ WF_vars(SyncLog(d)) /\ WF_vars(SyncFence(d))
    /\ \A e \in Epochs :
        /\ WF_vars(Decide(e)) /\ WF_vars(RecoverySeals(e))
        /\ \A d \in Disks :
            /\ WF_vars(ReplicaFences(d, e)) /\ WF_vars(ReplicaReports(d, e))
            /\ WF_vars(CopyWrites(e, d)) /\ WF_vars(CopyCounts(e, d))

FairSpec == Spec /\ Fairness

-----------------------------------------------------------------------------
(* What must be true *)

IsSealedWell == meta.state = "SEALED" /\ ~meta.lossy

\* With at most W-1 of the segment's replica disks damaged, each acknowledged record is durable on
\* one that is not.
AcknowledgedNeverLost ==
    (/\ Cardinality(meta.replicas \cap damaged) <= W - 1
     /\ meta.state # "DELETED" /\ ~meta.lossy) =>
        \A p \in acked : \E d \in meta.replicas \ damaged :
            p[1] <= synced[d] /\ log[d][p[1]] = p[2]

\* Whatever is damaged, a seal that does not say "lossy" has every acknowledged record in it, and
\* no later acknowledgement contradicts it.
AcknowledgedNeverTruncated ==
    IsSealedWell =>
        \A p \in acked : p[1] <= Len(meta.content) /\ meta.content[p[1]] = p[2]

\* A sealed segment that has lost at most W-1 of its replicas can be read to its end: R5, S2.
SealedNeverLost ==
    (IsSealedWell /\ Cardinality(meta.replicas \cap damaged) <= W - 1) =>
        \E d \in meta.replicas \ damaged : Holds(d, meta.content)

\* No replica has been told to delete its copy: S3.
ReplicasNeverDeleted == meta.replicas \cap meta.former = {}

\* The end and the content never change; only a tombstone follows a seal.
SealedNeverChanges ==
    [][meta.state = "SEALED" =>
        /\ meta'.state \in {"SEALED", "DELETED"}
        /\ meta'.content = meta.content /\ meta'.lossy = meta.lossy]_vars

\* Below the committed offset all members hold the same records, or bytes that they will not serve.
CommittedContentSame ==
    \A p \in acked : \A d \in (Members \cup meta.replicas) \ damaged :
        p[1] \in DOMAIN log[d] => log[d][p[1]] \in {p[2], Bad}

\* Everything a reader has read was committed: acknowledged by the leader or sealed.
ReadersSeeCommittedOnly ==
    \A k \in DOMAIN seen :
        \/ <<k, seen[k]>> \in acked
        \/ /\ meta.state \in {"SEALED", "DELETED"} /\ k <= Len(meta.content)
           /\ meta.content[k] = seen[k]

\* What a reader has read stays: no replica says otherwise, no seal ends before it.
ReadNeverTakenBack ==
    \A k \in DOMAIN seen :
        /\ \A d \in Disks : IsReadable(d, k) => log[d][k] = seen[k]
        /\ IsSealedWell => k <= Len(meta.content) /\ meta.content[k] = seen[k]

\* No offset names two records, be it to a client, a reader, or in the seal.
OffsetNeverReused ==
    \A p, q \in acked \cup {<<k, seen[k]>> : k \in DOMAIN seen}
                      \cup {<<k, meta.content[k]>> : k \in DOMAIN meta.content} :
        p[1] = q[1] => p[2] = q[2]

\* With F intact members and W disks to write to, a closing segment gets sealed.
HasEnoughDisks ==
    Cardinality(Members \ damaged) >= n - W + 1 /\ Cardinality(Disks \ damaged) >= W

ClosingGetsSealed ==
    (meta.state = "RECOVERING" \/ leader.proposed # {}) ~>
        (meta.state = "SEALED" \/ ~HasEnoughDisks)
=============================================================================
