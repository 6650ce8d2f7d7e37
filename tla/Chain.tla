------------------------------- MODULE Chain -------------------------------
(***************************************************************************)
(* The chain of segments of one partition: rollover, failover, retention,  *)
(* and producers that retry across all of these.                           *)
(*                                                                         *)
(* Replication inside one segment is Segment.tla's subject.  Here it is    *)
(* what that specification proves: the leader appends to one sequence of   *)
(* items; a prefix of it is durable on W disks and grows until the segment *)
(* is fenced; the leader learns late how far that prefix reaches; a        *)
(* recovery fences the segment and then finds SOME end between the durable *)
(* prefix and all that was ever written.  The metadata is what Metadata.tla*)
(* proves: a log of commands, applied in order, by each node at its own    *)
(* pace.                                                                   *)
(*                                                                         *)
(* Each segment has a leader process of its own, which dies by itself.  A  *)
(* node that leads several segments and crashes is the same as several     *)
(* such deaths, so nodes have no names here, but as holders of copies.     *)
(*                                                                         *)
(* The network loses, duplicates, delays and reorders.  What was sent once *)
(* may arrive never, late or often: requests, replies, proposals and       *)
(* recovered ends are therefore never removed from where they are kept.    *)
(*                                                                         *)
(* Producer state travels in the segments themselves (ADR 0111): the first *)
(* item of each segment is a snapshot of it at the base offset, written by *)
(* the leader before it accepts the first record.  The snapshot has no     *)
(* offset.                                                                 *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
    Holders,        \* nodes that hold copies: each applies metadata at its own pace
    Producers,      \* idempotent producers
    PlainRecords,   \* records of clients that have no producer id, each sent once
    Window,         \* requests that a producer may have in flight
    Mutant          \* "none", or the name of the rule that is broken

\* Bounds of the explored behaviours; no rule depends on them.
CONSTANTS
    MaxSegments,    \* length of the chain
    MaxSequence,    \* records of one producer in one epoch
    MaxEpoch,       \* epochs of a producer
    MaxRecoveries,  \* recoveries started for one segment
    MaxCrashes,     \* deaths of leaders
    MaxRestarts,    \* crashes of holders
    MaxJumps,       \* jumps of clocks that make a good leader's lease lapse
    MaxExpiries,    \* producers that expire
    MaxDeletes,     \* segments that retention deletes
    MaxFollowed     \* how many segments, from the first, have copies that are followed

VARIABLES
    \* Metadata: every state that it went through; the last one is committed.
    metadata,
    \* holder -> how many of these states it has applied; volatile
    view,
    \* segment -> its leader's process: idle, serving, lapsed, closing, stopped, dead; volatile
    process,
    \* segment -> all items that its leader ever wrote
    log,
    \* segment -> length of the prefix that is durable on W disks
    durable,
    \* segment -> committedOffset as items: the durable prefix that its leader came to know of
    known,
    \* segment -> F disks are fenced: nothing more becomes durable on W
    fenced,
    \* proposals OPEN -> SEALED of leaders, under way or lost
    closes,
    \* ends that recoveries have found
    ends,
    \* producer -> epoch -> the highest sequence sent
    sent,
    \* producer -> its newest epoch, given out by a metadata command
    epochs,
    \* all acknowledgements sent to clients
    acks,
    \* plain record -> segment whose leader answers for it; 0 before it was sent
    owner,
    \* holder -> segment -> none, data, quarantined; durable
    disk,
    \* how many there were, for the bounds
    crashes, restarts, jumps

counters     == <<crashes, restarts, jumps>>
metadataVars == <<metadata, view>>
segmentVars  == <<process, log, durable, known, fenced, closes, ends>>
clientVars   == <<sent, epochs, acks, owner>>
vars == <<metadataVars, segmentVars, clientVars, disk, counters>>

Segments == 1..MaxSegments

Max(S) == CHOOSE x \in S : \A y \in S : y <= x

-----------------------------------------------------------------------------
(***************************************************************************)
(* Items, offsets, and the state that a leader keeps of each producer.     *)
(***************************************************************************)

\* How many records, and so offsets, the first `count` items hold: the snapshot is not counted.
Records(count) == IF count = 0 THEN 0 ELSE count - 1

Record(p, e, q) == [kind |-> "record", producer |-> p, epoch |-> e, sequence |-> q]
Plain(r)        == [kind |-> "plain", record |-> r]

\* A snapshot also names the producers that its leader knew to have expired: it refuses them.
Snapshot(state, expired) == [kind |-> "snapshot", state |-> state, expired |-> expired]

\* Nothing is known of a producer: the sequence that it must begin with is 1.
Unknown == [epoch |-> 0, last |-> 0, recent |-> {}]
Empty   == [p \in Producers |-> Unknown]

\* `recent` keeps the offsets of the last Window records, so that a retry gets the same answer.
Remember(state, record, offset) ==
    IF record.kind # "record" THEN state
    ELSE LET old  == state[record.producer]
             kept == IF old.epoch = record.epoch
                     THEN {x \in old.recent : x.sequence + Window > record.sequence}
                     ELSE {}
         IN  [state EXCEPT ![record.producer] =
                [epoch  |-> record.epoch,
                 last   |-> record.sequence,
                 recent |-> kept \union {[sequence |-> record.sequence, offset |-> offset]}]]

\* The state after the first `count` items of a segment that starts at `base`.
RECURSIVE StateAfter(_, _, _)
StateAfter(items, base, count) ==
    IF count = 0 THEN Empty
    ELSE IF count = 1 THEN items[1].state
    ELSE Remember(StateAfter(items, base, count - 1), items[count], base + count - 2)

-----------------------------------------------------------------------------
(***************************************************************************)
(* Metadata.  An entry's `end` counts items: with end = 0 the leader did   *)
(* not even get its snapshot written.                                      *)
(***************************************************************************)

Committed == metadata[Len(metadata)]
Chain     == Committed.chain
Last      == Len(Chain)

OpenEntry(base) == [base |-> base, state |-> "OPEN", epoch |-> 0, end |-> 0]

ViewOf(n) == metadata[view[n]]

IsUnsealed(entry) == entry.state \in {"OPEN", "RECOVERING"}

Commit(state) == metadata' = Append(metadata, state)

\* One command: seal s and open the next segment, which starts where s ends (Close, R6).
SealAndOpen(s, end) ==
    LET sealed == [Chain EXCEPT ![s].state = "SEALED", ![s].end = end]
        next   == OpenEntry(Chain[s].base + Records(end))
    IN  Commit([Committed EXCEPT !.chain = Append(sealed, next)])

\* Room in the bounded chain for a roll that is not forced by a crash.
HasSpare == Last + (MaxCrashes - crashes) < MaxSegments

-----------------------------------------------------------------------------

Init ==
    /\ metadata = <<[chain |-> <<OpenEntry(0)>>, expired |-> {}]>>
    /\ view    = [n \in Holders |-> 1]
    /\ process = [s \in Segments |-> "idle"]
    /\ log     = [s \in Segments |-> <<>>]
    /\ durable = [s \in Segments |-> 0]
    /\ known   = [s \in Segments |-> 0]
    /\ fenced  = [s \in Segments |-> FALSE]
    /\ closes  = {}
    /\ ends    = {}
    /\ sent    = [p \in Producers |-> [e \in 1..MaxEpoch |-> 0]]
    /\ epochs  = [p \in Producers |-> 1]
    /\ acks    = {}
    /\ owner   = [r \in PlainRecords |-> 0]
    /\ disk    = [n \in Holders |-> [s \in Segments |-> "none"]]
    /\ crashes = 0
    /\ restarts = 0
    /\ jumps   = 0

-----------------------------------------------------------------------------
(***************************************************************************)
(* Producers.                                                              *)
(***************************************************************************)

\* A producer sends its next record; at most Window of them wait for their acknowledgement.
\* An instance that was replaced does not know it and goes on sending.
Send(p, e) ==
    LET next == sent[p][e] + 1
    IN  /\ e <= epochs[p]
        /\ next <= MaxSequence
        /\ \/ next <= Window
           \/ \E a \in acks : a.record = Record(p, e, next - Window)
        /\ sent' = [sent EXCEPT ![p][e] = next]
        /\ UNCHANGED <<metadataVars, segmentVars, epochs, acks, owner, disk, counters>>

\* A new instance of a producer gets the next epoch from the metadata.
NewEpoch(p) ==
    /\ epochs[p] < MaxEpoch
    /\ epochs' = [epochs EXCEPT ![p] = @ + 1]
    /\ UNCHANGED <<metadataVars, segmentVars, sent, acks, owner, disk, counters>>

-----------------------------------------------------------------------------
(***************************************************************************)
(* The leader of a segment.                                                *)
(***************************************************************************)

\* A producer is forgotten only when the metadata says that it has expired, and is then refused for
\* ever: the state that would tell its retries is gone. A leader may learn of more of them while it
\* leads; here it need not.
IsRefused(s, p) == p \in log[s][1].expired /\ Mutant # "AcceptExpired"

\* Where the leader of s finds the producer state at its base offset: the newest sealed segment
\* before it that has a snapshot. 0: there is none, and there never was: Delete sees to that.
SnapshotSource(s, chain) ==
    Max({0} \union {t \in 1..(s - 1) : chain[t].state = "SEALED" /\ chain[t].end > 0})

\* How far the new leader reads that segment: to its sealed end. Not less, since what a recovery
\* saved above the old leader's committedOffset is in the log; not more, since it is cut (S1).
RebuildLimit(t, sealedEnd) ==
    CASE Mutant = "RebuildToCommitted" -> known[t]
      [] Mutant = "RebuildFromTail"    -> Len(log[t])
      [] OTHER                         -> sealedEnd

StateAtBase(s, applied) ==
    LET t == SnapshotSource(s, applied.chain)
        carried == IF t = 0 THEN Empty
                   ELSE IF Mutant = "SnapshotForgetsIdle"
                   THEN StateAfter([log[t] EXCEPT ![1] = Snapshot(Empty, {})],
                                   applied.chain[t].base, applied.chain[t].end)
                   ELSE StateAfter(log[t], applied.chain[t].base,
                                   RebuildLimit(t, applied.chain[t].end))
    IN  [p \in Producers |-> IF p \in applied.expired THEN Unknown ELSE carried[p]]

\* The named leader finds itself in the metadata that it has applied, rebuilds the producer state
\* up to the base offset and writes it as the first item. Only then it serves. What it has applied
\* may be old, but it names the segment. The earlier segments are sealed and do not change, so that
\* reading them is one step; all that can go wrong is that their bytes are gone.
Rebuild(s, i) ==
    LET applied == metadata[i]
        t       == SnapshotSource(s, applied.chain)
    IN  /\ process[s] = "idle"
        /\ s <= Len(applied.chain)
        /\ applied.chain[s].state = "OPEN"
        /\ t # 0 => Chain[t].state # "DELETED"
        /\ log' = [log EXCEPT ![s] =
              <<Snapshot(IF Mutant = "ServeBeforeRebuild" THEN Empty ELSE StateAtBase(s, applied),
                         applied.expired)>>]
        /\ process' = [process EXCEPT ![s] = "serving"]
        /\ UNCHANGED <<metadataVars, durable, known, fenced, closes, ends, clientVars,
                       disk, counters>>

\* The state of a producer with all that the leader has written, committed or not.
ProducerState(s, p) == StateAfter(log[s], Chain[s].base, Len(log[s]))[p]

\* A request is the next one: the next sequence of the epoch, or the first one of a new epoch.
\* A lower epoch is fenced off, a gap in the sequence is refused.
IsNext(state, e, q) ==
    \/ e = state.epoch /\ \/ q = state.last + 1
                          \/ Mutant = "AcceptSequenceGap" /\ q > state.last
    \/ e > state.epoch /\ (q = 1 \/ Mutant = "AcceptSequenceGap")
    \/ Mutant = "AcceptOldEpoch" /\ e < state.epoch /\ q = 1

\* The leader accepts a record and appends it to its log (W2). It may do so only while its lease
\* is fresh, which is "serving".
Produce(s, p, e, q) ==
    /\ process[s] = "serving"
    /\ q <= sent[p][e]
    /\ ~IsRefused(s, p)
    /\ IsNext(ProducerState(s, p), e, q)
    /\ log' = [log EXCEPT ![s] = Append(@, Record(p, e, q))]
    /\ UNCHANGED <<metadataVars, process, durable, known, fenced, closes, ends, clientVars,
                   disk, counters>>

\* A record without a producer id. Its client sends it once; from now on the node of this leader
\* answers for it.
ProducePlain(s, r) ==
    /\ process[s] = "serving"
    /\ owner[r] = 0
    /\ log' = [log EXCEPT ![s] = Append(@, Plain(r))]
    /\ owner' = [owner EXCEPT ![r] = s]
    /\ UNCHANGED <<metadataVars, process, durable, known, fenced, closes, ends,
                   sent, epochs, acks, disk, counters>>

\* One more item reaches W disks. Messages of a dead or deposed leader may do that, too, until
\* the fence stops them (W2, R2). After the seal it is followed only as long as there is a leader
\* that does not know of the seal and would believe it.
Replicate(s) ==
    /\ ~fenced[s]
    /\ s <= Last
    /\ IsUnsealed(Chain[s]) \/ process[s] \in {"serving", "lapsed"}
    /\ durable[s] < Len(log[s])
    /\ durable' = [durable EXCEPT ![s] = @ + 1]
    /\ UNCHANGED <<metadataVars, process, log, known, fenced, closes, ends, clientVars,
                   disk, counters>>

\* The leader hears of it: committedOffset advances (W5). Frozen once it has proposed a close.
LearnCommitted(s) ==
    /\ process[s] \in {"serving", "lapsed"}
          \union (IF Mutant = "CommitWhileClosing" THEN {"closing"} ELSE {})
    /\ known[s] < durable[s]
    /\ known' = [known EXCEPT ![s] = @ + 1]
    /\ UNCHANGED <<metadataVars, process, log, durable, fenced, closes, ends, clientVars,
                   disk, counters>>

Acknowledge(record, offset) ==
    /\ acks' = acks \union {[record |-> record, offset |-> offset]}
    /\ acks' # acks
    /\ UNCHANGED <<metadataVars, segmentVars, sent, epochs, owner, disk, counters>>

\* A committed record is acknowledged: by a leader that serves or closes, up to its committedOffset;
\* by one that has read in the metadata where its segment ended, up to that end.
AckCommitted(s, i) ==
    /\ \/ process[s] \in {"serving", "closing"} /\ i \in 2..known[s]
       \/ process[s] = "stopped" /\ Chain[s].state = "SEALED" /\ i \in 2..Chain[s].end
    /\ log[s][i].kind = "plain" => owner[log[s][i].record] = s
    /\ Acknowledge(log[s][i], Chain[s].base + i - 2)

\* A retry of a record that is there already gets its first offset, once that is committed: it may
\* be in this segment, or in an earlier one, where everything is.
AckRepeated(s, p, e, q) ==
    LET state == ProducerState(s, p)
    IN  /\ process[s] = "serving"
        /\ q <= sent[p][e]
        /\ ~IsRefused(s, p)
        /\ e = state.epoch
        /\ \E x \in state.recent :
              /\ x.sequence = q
              /\ \/ Mutant = "AckRepeatedAtOnce"
                 \/ x.offset < Chain[s].base + Records(known[s])
              /\ Acknowledge(Record(p, e, q), x.offset)

\* The leader closes its segment: it freezes at its committedOffset and proposes that as the end.
Close(s) ==
    /\ process[s] = "serving"
    /\ s = Last => HasSpare
    /\ process' = [process EXCEPT ![s] = "closing"]
    /\ closes' = closes \union {[segment |-> s, end |-> known[s]]}
    /\ UNCHANGED <<metadataVars, log, durable, known, fenced, ends, clientVars,
                   disk, counters>>

\* Close, "if the outcome is unknown stay frozen": there is no way back, except for the mutant.
Resume(s) ==
    /\ Mutant = "ResumeOnUnknownOutcome"
    /\ process[s] = "closing"
    /\ process' = [process EXCEPT ![s] = "serving"]
    /\ UNCHANGED <<metadataVars, log, durable, known, fenced, closes, ends, clientVars,
                   disk, counters>>

\* The leader reads in the metadata, late perhaps, that its segment is no longer open.
StepDown(s) ==
    /\ process[s] \in {"serving", "lapsed", "closing"}
    /\ Chain[s].state # "OPEN"
    /\ process' = [process EXCEPT ![s] = "stopped"]
    /\ UNCHANGED <<metadataVars, log, durable, known, fenced, closes, ends, clientVars,
                   disk, counters>>

\* Plain records beyond the end go to the next segment, but only beyond the end that the metadata
\* names: a recovery may have sealed more than the leader had proposed (Close, last sentence).
Carry(r, t) ==
    LET s == owner[r]
        sealedEnd == IF Mutant = "CarryBeyondOwnEnd" THEN known[s] ELSE Chain[s].end
    IN  /\ s # 0
        /\ process[s] # "dead"
        /\ t \in (s + 1)..Last
        /\ \E i \in (sealedEnd + 1)..Len(log[s]) : log[s][i] = Plain(r)
        /\ process[t] = "serving"
        /\ log' = [log EXCEPT ![t] = Append(@, Plain(r))]
        /\ owner' = [owner EXCEPT ![r] = t]
        /\ UNCHANGED <<metadataVars, process, durable, known, fenced, closes, ends,
                       sent, epochs, acks, disk, counters>>

-----------------------------------------------------------------------------
(***************************************************************************)
(* Write leases.  Each node measures with a clock of its own, and clocks   *)
(* jump, so that what a leader believes of its lease and what others       *)
(* believe of it have nothing to do with each other: a lease may lapse at  *)
(* any time, and may be held for ever.                                     *)
(***************************************************************************)

IsDeposed(s) == s <= Last /\ Chain[s].state # "OPEN"

\* The lease is not renewed in time: of a deposed leader for certain, of any other one when its
\* clock jumps. It stops accepting and acknowledging.
LapseLease(s) ==
    /\ process[s] = "serving"
    /\ Mutant # "LeaseIgnored"
    /\ \/ IsDeposed(s) /\ UNCHANGED jumps
       \/ ~IsDeposed(s) /\ jumps < MaxJumps /\ jumps' = jumps + 1
    /\ process' = [process EXCEPT ![s] = "lapsed"]
    /\ UNCHANGED <<metadataVars, log, durable, known, fenced, closes, ends, clientVars,
                   disk, crashes, restarts>>

\* The Raft leader answers, and it still knows this leader.
RenewLease(s) ==
    /\ process[s] = "lapsed"
    /\ ~IsDeposed(s)
    /\ process' = [process EXCEPT ![s] = "serving"]
    /\ UNCHANGED <<metadataVars, log, durable, known, fenced, closes, ends, clientVars,
                   disk, counters>>

-----------------------------------------------------------------------------
(***************************************************************************)
(* Metadata commands.                                                      *)
(***************************************************************************)

\* A leader's close is applied: compare-and-set on OPEN.
SealByLeader(c) ==
    /\ Last < MaxSegments
    /\ \/ Chain[c.segment].state = "OPEN"
       \/ Mutant = "SealWithoutCompare"
    /\ IF Mutant = "SealAndOpenApart"
       THEN Commit([Committed EXCEPT !.chain[c.segment].state = "SEALED",
                                     !.chain[c.segment].end = c.end])
       ELSE SealAndOpen(c.segment, c.end)
    /\ UNCHANGED <<view, segmentVars, clientVars, disk, counters>>

\* The second half of that mutant: the old leader opens the next segment when it sees its seal.
OpenNext(s) ==
    /\ Mutant = "SealAndOpenApart"
    /\ s = Last
    /\ process[s] \in {"closing", "stopped"}
    /\ Chain[s].state = "SEALED"
    /\ Commit([Committed EXCEPT !.chain =
          Append(@, OpenEntry(Chain[s].base + Records(Chain[s].end)))])
    /\ UNCHANGED <<view, segmentVars, clientVars, disk, counters>>

\* The Raft leader starts a recovery (R1), because the leader is dead, or because it believes so.
StartRecovery(s) ==
    /\ s = Last
    /\ s < MaxSegments
    /\ IsUnsealed(Chain[s])
    /\ Chain[s].epoch < MaxRecoveries
    /\ process[s] = "dead" \/ HasSpare
    /\ Commit([Committed EXCEPT !.chain[s].state = "RECOVERING", !.chain[s].epoch = @ + 1])
    /\ UNCHANGED <<view, segmentVars, clientVars, disk, counters>>

\* The recovery fences the segment, and only then finds an end (R2 to R5). The mutant believes
\* that the lease has lapsed, and that this is as good.
FindEnd(s, end) ==
    /\ s <= Last
    /\ Chain[s].state = "RECOVERING"
    /\ ~ \E x \in ends : x.segment = s /\ x.epoch = Chain[s].epoch
    /\ end \in durable[s]..Len(log[s])
    /\ fenced' = [fenced EXCEPT ![s] = (Mutant # "LeaseInsteadOfFence")]
    /\ ends' = ends \union {[segment |-> s, epoch |-> Chain[s].epoch, end |-> end]}
    /\ UNCHANGED <<metadataVars, process, log, durable, known, closes, clientVars,
                   disk, counters>>

\* The recovery's end is applied: compare-and-set on RECOVERING and its epoch (R6).
SealByRecovery(x) ==
    /\ Last < MaxSegments
    /\ Chain[x.segment].state = "RECOVERING"
    /\ Chain[x.segment].epoch = x.epoch
    /\ SealAndOpen(x.segment, x.end)
    /\ UNCHANGED <<view, segmentVars, clientVars, disk, counters>>

\* Retention: the oldest segment, sealed, gets a tombstone (S3). A later sealed segment must hold
\* a snapshot: the next leader rebuilds the state of all producers from that.
Delete(s) ==
    /\ Cardinality({t \in 1..Last : Chain[t].state = "DELETED"}) < MaxDeletes
    /\ s < Last
    /\ Chain[s].state = "SEALED"
    /\ \A t \in 1..(s - 1) : Chain[t].state = "DELETED"
    /\ \/ \E t \in (s + 1)..Last : Chain[t].state = "SEALED" /\ Chain[t].end > 0
       \/ Mutant = "DeleteLastSnapshot"
    /\ Commit([Committed EXCEPT !.chain[s].state = "DELETED"])
    /\ UNCHANGED <<view, segmentVars, clientVars, disk, counters>>

\* An operator or a time limit removes a producer. Its id is never used again.
Expire(p) ==
    /\ Cardinality(Committed.expired) < MaxExpiries
    /\ p \notin Committed.expired
    /\ Commit([Committed EXCEPT !.expired = @ \union {p}])
    /\ UNCHANGED <<view, segmentVars, clientVars, disk, counters>>

-----------------------------------------------------------------------------
(***************************************************************************)
(* Failures, and nodes that hold copies.                                   *)
(***************************************************************************)

\* A leader process dies; the node may come back, but it never resumes the segment, since the
\* session token of its entry is gone with its memory (W1). It need not have started.
Die(s) ==
    /\ crashes < MaxCrashes
    /\ s <= Last
    /\ process[s] # "dead"
    /\ crashes' = crashes + 1
    /\ process' = [process EXCEPT ![s] = "dead"]
    /\ UNCHANGED <<metadataVars, log, durable, known, fenced, closes, ends, clientVars,
                   disk, restarts, jumps>>

\* A holder applies the next committed command.
Apply(n) ==
    /\ view[n] < Len(metadata)
    /\ view' = [view EXCEPT ![n] = @ + 1]
    /\ UNCHANGED <<metadata, segmentVars, clientVars, disk, counters>>

\* A holder crashes and replays the metadata from an old snapshot.
Restart(n) ==
    /\ restarts < MaxRestarts
    /\ restarts' = restarts + 1
    /\ view' = [view EXCEPT ![n] = 1]
    /\ UNCHANGED <<metadata, segmentVars, clientVars, disk, crashes, jumps>>

Knows(n, s) == s <= Len(ViewOf(n).chain)

\* A copy of a segment reaches a node, which need not have heard of the segment.
Store(n, s) ==
    /\ s <= MaxFollowed
    /\ disk[n][s] = "none"
    /\ log[s] # <<>>
    /\ Chain[s].state # "DELETED"
    /\ disk' = [disk EXCEPT ![n][s] = "data"]
    /\ UNCHANGED <<metadataVars, segmentVars, clientVars, counters>>

\* A tombstone that the node has applied: it deletes (S3).
Purge(n, s) ==
    /\ disk[n][s] # "none"
    /\ \/ Knows(n, s) /\ ViewOf(n).chain[s].state = "DELETED"
       \/ ~Knows(n, s) /\ Mutant = "DeleteUnknown"
    /\ disk' = [disk EXCEPT ![n][s] = "none"]
    /\ UNCHANGED <<metadataVars, segmentVars, clientVars, counters>>

\* A node that looks through its disk finds data that its metadata does not name (S3).
Quarantine(n, s) ==
    /\ disk[n][s] = "data"
    /\ ~Knows(n, s)
    /\ disk' = [disk EXCEPT ![n][s] = "quarantined"]
    /\ UNCHANGED <<metadataVars, segmentVars, clientVars, counters>>

\* The metadata names it after all.
Release(n, s) ==
    /\ disk[n][s] = "quarantined"
    /\ Knows(n, s)
    /\ disk' = [disk EXCEPT ![n][s] = "data"]
    /\ UNCHANGED <<metadataVars, segmentVars, clientVars, counters>>

-----------------------------------------------------------------------------

LeaderNext(s) ==
    \/ \E i \in 1..Len(metadata) : Rebuild(s, i)
    \/ \E p \in Producers, e \in 1..MaxEpoch, q \in 1..MaxSequence :
          Produce(s, p, e, q) \/ AckRepeated(s, p, e, q)
    \/ \E r \in PlainRecords : ProducePlain(s, r)
    \/ Replicate(s)
    \/ LearnCommitted(s)
    \/ \E i \in 1..Len(log[s]) : AckCommitted(s, i)
    \/ Close(s)
    \/ Resume(s)
    \/ StepDown(s)
    \/ LapseLease(s)
    \/ RenewLease(s)

CommandNext ==
    \/ \E c \in closes : SealByLeader(c)
    \/ \E x \in ends : SealByRecovery(x)
    \/ \E s \in Segments : StartRecovery(s) \/ OpenNext(s) \/ Delete(s)
    \/ \E p \in Producers : Expire(p)

Next ==
    \/ \E p \in Producers : NewEpoch(p) \/ \E e \in 1..MaxEpoch : Send(p, e)
    \/ \E s \in Segments : LeaderNext(s)
    \/ \E r \in PlainRecords, t \in Segments : Carry(r, t)
    \/ CommandNext
    \/ \E s \in Segments : \E end \in 0..Len(log[s]) : FindEnd(s, end)
    \/ \E s \in Segments : Die(s)
    \/ \E n \in Holders : Apply(n) \/ Restart(n)
    \/ \E n \in Holders, s \in Segments :
          Store(n, s) \/ Purge(n, s) \/ Quarantine(n, s) \/ Release(n, s)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(***************************************************************************)
(* What must hold.                                                         *)
(***************************************************************************)

TypeOk ==
    /\ view \in [Holders -> 1..Len(metadata)]
    /\ process \in [Segments ->
          {"idle", "serving", "lapsed", "closing", "stopped", "dead"}]
    /\ \A s \in Segments : known[s] <= durable[s] /\ durable[s] <= Len(log[s])
    /\ Last <= MaxSegments
    /\ owner \in [PlainRecords -> 0..MaxSegments]

\* One segment is open, or being recovered, and it is the last one.
OneOpenSegment == \A s \in 1..Last : IsUnsealed(Chain[s]) <=> s = Last

\* Each segment starts where the one before ends, so no offset is left out or given out twice.
NoGap == \A s \in 2..Last : Chain[s].base = Chain[s - 1].base + Records(Chain[s - 1].end)

\* How many items of s count, if so many of an unsealed segment do.
Limit(s, unsealed) == IF IsUnsealed(Chain[s]) THEN unsealed ELSE Chain[s].end

RECURSIVE RecordsUpTo(_, _)
RecordsUpTo(s, unsealed) ==
    IF s = 0 THEN <<>>
    ELSE RecordsUpTo(s - 1, unsealed) \o SubSeq(log[s], 2, Limit(s, unsealed[s]))

\* All that is in the chain, or may still be found to be in it by a recovery.
Written == RecordsUpTo(Last, [s \in Segments |-> Len(log[s])])

\* All that readers may see.
Readable == RecordsUpTo(Last, known)

NoRecordTwice ==
    LET all == Written IN \A i, j \in 1..Len(all) : i # j => all[i] # all[j]

\* The records of a producer are in the order of its epochs and sequences, without a hole.
ProducerOrder ==
    LET all == Written
    IN  \A j \in 1..Len(all) : all[j].kind = "record" =>
          LET earlier == {all[i] : i \in 1..(j - 1)}
              before(x) == x.kind = "record" /\ x.producer = all[j].producer
          IN  /\ \A x \in earlier : before(x) => x.epoch <= all[j].epoch
              /\ all[j].sequence = 1 \/ \E x \in earlier :
                    /\ before(x)
                    /\ x.epoch = all[j].epoch
                    /\ x.sequence = all[j].sequence - 1
              /\ ~ \E x \in earlier :
                    before(x) /\ x.epoch = all[j].epoch /\ x.sequence > all[j].sequence

Nothing == [kind |-> "nothing"]
OutOfRange == [kind |-> "OFFSET_OUT_OF_RANGE"]

\* The record at an offset; an unsealed segment counts as far as it is durable on W disks, which
\* is what each recovery will find.
At(offset) ==
    LET held == {s \in 1..Last : /\ Chain[s].base <= offset
                                 /\ offset < Chain[s].base + Records(Limit(s, durable[s]))}
    IN  IF held = {} THEN Nothing
        ELSE LET s == Max(held) IN log[s][offset - Chain[s].base + 2]

\* An acknowledged record is in the chain, at the offset that was told.
AcknowledgedPresent == \A a \in acks : At(a.offset) = a.record

\* Whoever asks again hears the same offset.
AcknowledgedOnce == \A a, b \in acks : a.record = b.record => a.offset = b.offset

LogStart(chain) ==
    chain[CHOOSE s \in 1..Len(chain) :
            /\ chain[s].state # "DELETED"
            /\ \A t \in 1..(s - 1) : chain[t].state = "DELETED"].base

\* What a holder answers to a fetch, with the metadata that it has applied. A sealed segment is read
\* up to its end, an unsealed one up to the committedOffset that rides on the appends. Bytes beyond
\* are on the disk, and legal (S1).
Fetch(n, asked) ==
    LET chain  == ViewOf(n).chain
        start  == LogStart(chain)
        offset == IF Mutant = "ClampToLogStart" /\ asked < start THEN start ELSE asked
        limit(s) == IF Mutant = "ServeTail" THEN Len(log[s])
                    ELSE IF IsUnsealed(chain[s]) THEN known[s] ELSE chain[s].end
        held == {s \in 1..Len(chain) : /\ chain[s].state # "DELETED"
                                       /\ disk[n][s] = "data"
                                       /\ chain[s].base <= offset
                                       /\ offset < chain[s].base + Records(limit(s))}
    IN  CASE offset < start -> OutOfRange
          [] held = {}      -> Nothing
          [] OTHER          -> LET s == Max(held) IN log[s][offset - chain[s].base + 2]

\* Each holder gives for an offset the record that is there, or an error, but no other record;
\* and below the log start that it knows it says so.
ReadsAgree ==
    \A n \in Holders : \A offset \in 0..Len(Written) :
        LET answer == Fetch(n, offset)
        IN  /\ answer \in {Nothing, OutOfRange, At(offset)}
            /\ answer = OutOfRange <=> offset < LogStart(ViewOf(n).chain)

\* What was readable stays so, at the same offset: later states only add records after it.
ReadStable ==
    [][ /\ Len(Readable) <= Len(Readable')
        /\ Readable = SubSeq(Readable', 1, Len(Readable)) ]_<<metadata, log, known>>

SealedNeverChanges ==
    [][ \A s \in 1..Last : ~IsUnsealed(Chain[s]) =>
          /\ Chain'[s].end = Chain[s].end
          /\ Chain'[s].base = Chain[s].base
          /\ Chain'[s].state \in {"DELETED", Chain[s].state} ]_metadata

DeletedOnlyByTombstone ==
    [][ \A n \in Holders, s \in Segments :
          disk[n][s] # "none" /\ disk'[n][s] = "none" =>
              s <= Last /\ Chain[s].state = "DELETED" ]_disk

-----------------------------------------------------------------------------
(***************************************************************************)
(* Liveness. Crashes, jumps of clocks, closes and suspicions are bounded,  *)
(* and every step brings a counter, a log or a view forward: no behaviour  *)
(* goes round in circles. So it is enough that some helpful step is taken  *)
(* as long as one is possible; this is weaker than fairness of each.       *)
(***************************************************************************)

Helpful ==
    \/ \E s \in Segments :
          \/ \E i \in 1..Len(metadata) : Rebuild(s, i)
          \/ Replicate(s) \/ LearnCommitted(s) \/ StepDown(s) \/ RenewLease(s)
          \/ IsDeposed(s) /\ LapseLease(s)
          \/ \E p \in Producers, e \in 1..MaxEpoch, q \in 1..MaxSequence :
                Produce(s, p, e, q) \/ AckRepeated(s, p, e, q)
          \/ \E i \in 1..Len(log[s]) : AckCommitted(s, i)
          \/ process[s] = "dead" /\ StartRecovery(s)
          \/ \E end \in 0..Len(log[s]) : FindEnd(s, end)
    \/ \E c \in closes : SealByLeader(c)
    \/ \E x \in ends : SealByRecovery(x)

FairSpec == Spec /\ WF_vars(Helpful)

\* What a producer has sent is acknowledged in the end: in the newest epoch, unless it expires.
AcknowledgedAtLast ==
    \A p \in Producers, e \in 1..MaxEpoch, q \in 1..MaxSequence :
        (sent[p][e] >= q) ~> \/ \E a \in acks : a.record = Record(p, e, q)
                             \/ epochs[p] > e
                             \/ p \in Committed.expired

\* A deposed leader that hears nothing any more stops by itself: nothing but its lease is fair.
LeaseSpec == Spec /\ \A s \in Segments : WF_vars(LapseLease(s))

DeposedStops ==
    \A s \in Segments : (IsDeposed(s) /\ process[s] = "serving") ~> process[s] # "serving"

=============================================================================
