------------------------------- MODULE MCMetadata -------------------------------
(* Model checking of Metadata: symmetry, another beginning, and claims that must fail. *)
EXTENDS Metadata, TLC

\* Servers that have the same part may be exchanged. Not to be used with liveness.
Symmetry ==
  Permutations(InitialVoters \cap Unsteady) \cup Permutations(InitialVoters \ Unsteady)
    \cup Permutations(Server \ InitialVoters)

Spent == [commands |-> 0, crashes |-> 0, losses |-> 0, rollBacks |-> 0, changes |-> 0,
          snapshots |-> 0, reads |-> 0, transfers |-> 0, earlyTimeouts |-> 0]
FirstLog == <<Entry(1, "noop", NoConfig)>>
Disk(term, vote, lg) ==
  [EmptyDisk EXCEPT !.currentTerm = term, !.votedFor = vote, !.log = lg]

\* A beginning with these disks, from which all have just booted, but for the roles and leaders.
BeginWith(disks, roles, leader) ==
  /\ disk = disks
  /\ currentTerm = [s \in Server |-> disks[s].currentTerm]
  /\ votedFor = [s \in Server |-> disks[s].votedFor]
  /\ log = [s \in Server |-> disks[s].log]
  /\ snapshotIndex = [s \in Server |-> 0]
  /\ role = roles
  /\ leaderId = [s \in Server |-> leader]
  /\ commitIndex = [s \in Server |-> 0]
  /\ admitted = [s \in Server |-> disks[s].boot.isAdmitted]
  /\ process = [s \in Server |-> 0]
  /\ image = [s \in Server |-> <<>>]
  /\ deaf = [s \in Server |-> {}]
  /\ committed = <<>>
  /\ served = {}
  /\ spent = Spent

\* In the midst of peace: a steady server leads in term 1, all have its first entry and hear it.
Leader == CHOOSE s \in InitialVoters : s \notin Unsteady
PeaceInit ==
  /\ BeginWith([s \in Server |-> Disk(1, Leader, FirstLog)],
               [s \in Server |-> IF s = Leader THEN "Leader" ELSE "Follower"], Leader)
  /\ messages = { [type |-> "AppendEntries", term |-> 1, from |-> Leader,
                   to |-> Server \ {Leader}, entries |-> FirstLog, leaderCommit |-> 0,
                   firstIndex |-> 1] }
  /\ damaged = {}
  /\ elected = [t \in 1..MaxTerm |-> IF t = 1 THEN {Leader} ELSE {}]
PeaceSpec == PeaceInit /\ [][Next]_vars
FairPeaceSpec == PeaceSpec /\ Fairness

\* After trouble: a leader of term 1 had an entry that it could not send; then another server won
\* the pre-votes, wrote down its candidacy for term 2, and the third one lost its disk. Whoever has
\* the higher term has the shorter log.
TroubleInit ==
  \E old, new \in Server : \E lost \in Server \ {old, new} :
    /\ old # new
    /\ BeginWith([s \in Server |-> CASE s = old -> Disk(1, old, FirstLog)
                                      [] s = new -> Disk(2, new, <<>>)
                                      [] OTHER   -> Disk(0, None, <<>>)],
                 [s \in Server |-> IF s = lost THEN "Stopped" ELSE "Follower"], None)
    /\ messages = {}
    /\ damaged = {lost}
    /\ elected = [t \in 1..MaxTerm |-> IF t = 1 THEN {old} ELSE {}]
TroubleSpec == TroubleInit /\ [][Next]_vars /\ Fairness

\* In the midst of a change: a voter is removed or a learner promoted, which only some have heard.
ChangeInit ==
  \E voters \in { InitialVoters \ {s} : s \in InitialVoters }
                  \cup { InitialVoters \cup {s} : s \in Server \ InitialVoters } :
    \E behind \in SUBSET (Server \ {Leader}) :
      LET change == Entry(1, "config", [voters |-> voters, learners |-> {}])
          whole == Append(FirstLog, change)
      IN /\ BeginWith([s \in Server |-> Disk(1, Leader, IF s \in behind THEN FirstLog ELSE whole)],
                      [s \in Server |-> IF s = Leader THEN "Leader" ELSE "Follower"], None)
         /\ messages = { [type |-> "AppendEntries", term |-> 1, from |-> Leader,
                          to |-> Server \ {Leader}, entries |-> whole, leaderCommit |-> 0,
                          firstIndex |-> 1] }
         /\ damaged = {}
         /\ elected = [t \in 1..MaxTerm |-> IF t = 1 THEN {Leader} ELSE {}]
ChangeSpec == ChangeInit /\ [][Next]_vars

\* A learner goes down, its promotion is committed by the two voters, and one of these loses its
\* disk: who must confirm its boot now is not in the log of the one that returns.
ReturnInit ==
  \E promoted \in Server : \E lost \in Server \ {promoted} :
    LET voters == Server \ {promoted}
        before == <<Entry(1, "config", [voters |-> voters, learners |-> {promoted}])>>
        after == Append(before, Entry(1, "config", [voters |-> Server, learners |-> {}]))
        boot == [epoch |-> 1, nonce |-> 0, isAdmitted |-> FALSE]
    IN /\ BeginWith([s \in Server |->
                       CASE s = promoted -> [Disk(1, None, before) EXCEPT !.boot = boot]
                         [] s = lost     -> EmptyDisk
                         [] OTHER        -> Disk(1, lost, after)],
                    [s \in Server |-> IF s = lost THEN "Stopped" ELSE "Follower"], None)
       /\ messages = {BootRequest(promoted, boot, 0)}
       /\ damaged = {lost}
       /\ elected = [t \in 1..MaxTerm |-> IF t = 1 THEN {lost} ELSE {}]
ReturnSpec == ReturnInit /\ [][Next]_vars /\ Fairness
FinallyBackInService == FinallyAdmitted /\ LeaderFinally

\* Claims that must fail, so that the properties are known to speak of something.
NeverCommittedInTwoTerms ==
  \A i, j \in DOMAIN committed : committed[i].entry.term = committed[j].entry.term
NeverTransferred ==
  \A m \in messages : m.type = "RequestVote" /\ m.transfer => m.from \notin elected[m.term]
NeverPromoted == CommittedVoters \subseteq InitialVoters
NeverInstalled == \A s, t \in Server : s # t => snapshotIndex[s] = 0 \/ snapshotIndex[t] = 0
NeverServed == served = {}
NeverAdmittedAgain == \A s \in Server : process[s] = 0 \/ ~admitted[s]
NeverJoined == \A s \in Joining : s \in CommittedVoters => ~admitted[s]
NeverRolledBack == \A s \in damaged : role[s] = "Stopped"
================================================================================
