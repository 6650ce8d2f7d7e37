------------------------------- MODULE MCMetadata -------------------------------
(* Model checking of Metadata: symmetry, another beginning, and claims that must fail. *)
EXTENDS Metadata, TLC

\* Servers that have the same part may be exchanged. Not to be used with liveness.
Symmetry ==
  Permutations(InitialVoters \cap Unsteady) \cup Permutations(InitialVoters \ Unsteady)
    \cup Permutations(Server \ InitialVoters)

\* A beginning in the midst of peace: one of the steady servers leads in term 1, and all have the
\* entry with which it began and hear it.
Leader == CHOOSE s \in Server : s \notin Unsteady
FirstLog == <<Entry(1, "noop", NoConfig)>>
PeaceInit ==
  /\ disk = [s \in Server |->
       [currentTerm |-> 1, votedFor |-> Leader, log |-> FirstLog, snapshotIndex |-> 0,
        bootEpoch |-> 0, heard |-> [p \in Server |-> 0]]]
  /\ currentTerm = [s \in Server |-> 1]
  /\ votedFor = [s \in Server |-> Leader]
  /\ log = [s \in Server |-> FirstLog]
  /\ snapshotIndex = [s \in Server |-> 0]
  /\ role = [s \in Server |-> IF s = Leader THEN "Leader" ELSE "Follower"]
  /\ leaderId = [s \in Server |-> Leader]
  /\ commitIndex = [s \in Server |-> 0]
  /\ admitted = [s \in Server |-> TRUE]
  /\ bootNonce = [s \in Server |-> 0]
  /\ messages = { [type |-> "AppendEntries", term |-> 1, from |-> Leader,
                   to |-> Server \ {Leader}, entries |-> FirstLog, leaderCommit |-> 0,
                   firstIndex |-> 1] }
  /\ image = [s \in Server |-> <<>>]
  /\ damaged = {}
  /\ elected = [t \in 1..MaxTerm |-> IF t = 1 THEN {Leader} ELSE {}]
  /\ committed = <<>>
  /\ served = {}
  /\ spent = [commands |-> 0, crashes |-> 0, losses |-> 0, rollBacks |-> 0, changes |-> 0,
              snapshots |-> 0, reads |-> 0, transfers |-> 0, earlyTimeouts |-> 0]
PeaceSpec == PeaceInit /\ [][Next]_vars
================================================================================
