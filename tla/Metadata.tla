-------------------------------- MODULE Metadata --------------------------------
(* The metadata Raft of Walrus: the replicated log that says which segments exist, who leads     *)
(* them and where they end. Names are those of the Raft paper (Ongaro, Ousterhout: "In Search of *)
(* an Understandable Consensus Algorithm") and thesis; what is ours is said where it is done:    *)
(*   - a server is a (nodeId, diskId) pair, an identity that ends with its disk (DESIGN I1, I3); *)
(*   - a rebooted server makes no promise before its boot is admitted (DESIGN I2, ADR 0121).     *)
(*                                                                                               *)
(* What is modelled as real nodes do it:                                                         *)
(*   - `disk` is durable, everything else about a server is lost by a crash. A server reads its  *)
(*     disk only when it boots. Hard state is written before any message that depends on it is   *)
(*     sent. A crash between the two is a crash after which the message is never received, so    *)
(*     the two are one step here, except where the node really goes on without waiting: a leader *)
(*     sends an entry that it has not synced itself (Persist is a later step).                   *)
(*   - The network is the set `messages`. Nothing is ever taken out of it: a message may be      *)
(*     received never, late, twice, in any order, also after its sender has crashed. A quorum of *)
(*     replies is counted where it lies, in the network: each reply that has been sent may just  *)
(*     now have arrived, and no reply needs a step of its own.                                   *)
(*   - One AppendEntries carries one entry; nextIndex is any guess of the leader.                *)
(*                                                                                               *)
(* What is not: payloads of commands (an entry is its index, term and kind), chunks of a snapshot*)
(* (an installation that was cut off is one that was not received), clocks. The state machine is *)
(* the log up to commitIndex: a delay between commit and apply shows only as a later read.       *)

EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
  Server,             \* all identities (nodeId, diskId) that may ever exist
  InitialVoters,      \* the voters of the configuration that the cluster is bootstrapped with
  None,               \* no server
  Mutant,             \* "none", or the name of the one guard that is broken
  PreVote,            \* an election begins with a pre-vote (FALSE: at once, which allows more)
  CheckQuorum,        \* a server that hears a leader ignores elections; a leader without a quorum
                      \* steps down (FALSE: allows more)
  Admission,          \* reboots are admitted by boot epoch (FALSE: there is no rolled-back disk)
  TimelyElections,    \* timers fire when due, apart from MaxEarlyTimeouts (FALSE: at any time)
  Unsteady            \* servers that may crash, or hear no leader until their election timer fires

\* How often the environment and the clients may act; terms are bounded for the same reason. They
\* are guards rather than state constraints so that liveness may be checked as well.
CONSTANTS
  MaxTerm, MaxCommands, MaxCrashes, MaxLosses, MaxRollBacks, MaxChanges, MaxSnapshots, MaxReads,
  MaxTransfers, MaxEarlyTimeouts

VARIABLES
  disk,               \* durable: [currentTerm, votedFor, log, snapshotIndex, boot, heard], where
                      \* boot is [epoch, nonce, isAdmitted], and heard[p] the last boot of p
                      \* that this member has confirmed
  currentTerm,        \* volatile copies of what is on the disk ...
  votedFor,
  log,                \* ... whose end may not be synced yet. The log is kept whole: entries up to
  snapshotIndex,      \* snapshotIndex are the snapshot, and only their last term is known
  role,               \* Follower, PreCandidate, Candidate, Leader; Stopped: the disk is gone
  leaderId,           \* the leader heard within the election timeout (used by CheckQuorum only)
  commitIndex,
  admitted,           \* the boot of this process is admitted: it may make promises
  process,            \* which process this is: a reply to an earlier one is not for it
  messages,           \* all messages ever sent
  image,              \* environment: a copy of a disk taken at some time, <<>> when there is none
  damaged,            \* environment: identities whose disk has lost something it had synced
  deaf,               \* environment: of a disk that was put back, those who had not heard by then
                      \* of the life that it has lost
  elected,            \* history: elected[t] are the servers that became leader in term t
  committed,          \* history: the log as committed, each entry with the term that committed it
  served,             \* history: reads served: [index, required]
  spent               \* how much of each Max... is used up

volatile == <<currentTerm, votedFor, log, snapshotIndex, role, leaderId, commitIndex, admitted,
              process>>
environment == <<image, damaged, deaf>>
history == <<elected, committed, served>>
vars == <<disk, volatile, messages, environment, history, spent>>

-----------------------------------------------------------------------------------------------
(* Entries, configurations, quorums *)

Min(a, b) == IF a < b THEN a ELSE b
Max(a, b) == IF a > b THEN a ELSE b

NoConfig == [voters |-> {}, learners |-> {}]
InitialConfig == [voters |-> InitialVoters, learners |-> {}]
Entry(term, kind, config) == [term |-> term, kind |-> kind, config |-> config]

LastTerm(lg) == IF Len(lg) = 0 THEN 0 ELSE lg[Len(lg)].term
TermAt(lg, index) == IF index = 0 THEN 0 ELSE lg[index].term
Last(set) == CHOOSE x \in set : \A y \in set : y <= x
ConfigIndex(lg) == LET at == { i \in DOMAIN lg : lg[i].kind = "config" }
                   IN IF at = {} THEN 0 ELSE Last(at)
ConfigOf(lg) == IF ConfigIndex(lg) = 0 THEN InitialConfig ELSE lg[ConfigIndex(lg)].config

\* The configuration a server uses: the latest in its log, committed or not (paper, section 6);
\* the snapshot keeps the one that was in force at its index.
ConfigAt(lg, commit, snapshot) ==
  CASE Mutant = "ConfigAtCommit" -> ConfigOf(SubSeq(lg, 1, Min(commit, Len(lg))))
    [] Mutant = "SnapshotLosesConfig" /\ ConfigIndex(lg) <= snapshot -> InitialConfig
    [] OTHER -> ConfigOf(lg)
Config(s) == ConfigAt(log[s], commitIndex[s], snapshotIndex[s])
Members(c) == c.voters \cup c.learners

\* A configuration with the term and index of the entry that set it, which say how new it is: what
\* a later leader wrote wins over an entry of an older term that was never committed. A server that
\* joins has an empty log and knows of none.
VersionedConfig(lg) ==
  [config |-> ConfigOf(lg), term |-> TermAt(lg, ConfigIndex(lg)), index |-> ConfigIndex(lg)]
NothingKnown == [config |-> NoConfig, term |-> 0, index |-> 0]
KnownConfig(s, lg) ==
  IF lg = <<>> /\ s \notin InitialVoters THEN NothingKnown ELSE VersionedConfig(lg)
NoNewer(a, b) == a.term < b.term \/ (a.term = b.term /\ a.index <= b.index)

Majority(servers, voters) == 2 * Cardinality(servers \cap voters) > Cardinality(voters)
Quorum(servers, c) ==
  \/ Majority(servers, c.voters)
  \/ /\ Mutant = "LearnerCounts"
     /\ 2 * Cardinality(servers \cap Members(c)) > Cardinality(c.voters)

-----------------------------------------------------------------------------------------------
(* Network and disk *)

Send(m) == messages' = messages \cup {m}
Received(type, s) == { m \in messages : m.type = type /\ s \in m.to }
Running(s) == role[s] # "Stopped"

\* Where timing is assumed (liveness), what a leader said does not arrive after it has gone.
InTime(m) == TimelyElections => role[m.from] = "Leader" /\ currentTerm[m.from] = m.term

\* A member that may promise something: a vote, an acknowledgement, its own candidacy (I2).
MayPromise(s) == admitted[s] \/ Mutant = "PromiseBeforeAdmission"

\* Durable write of term and vote, before the message that depends on it is sent.
PersistHardState(s, term, vote) ==
  disk' = [disk EXCEPT ![s].currentTerm = term, ![s].votedFor = vote]

\* Every message of a higher term makes its receiver a follower of that term (paper, 5.1).
TermOf(s, m) == Max(currentTerm[s], m.term)
VoteIn(s, m) == IF m.term > currentTerm[s] THEN None ELSE votedFor[s]

EmptyDisk ==
  [currentTerm |-> 0, votedFor |-> None, log |-> <<>>, snapshotIndex |-> 0,
   boot |-> [epoch |-> 0, nonce |-> 0, isAdmitted |-> TRUE],
   heard |-> [p \in Server |-> [epoch |-> 0, nonce |-> 0]]]

\* The cluster's first voters begin as admitted. Every other server joins: it is in its first boot
\* and has asked everybody to confirm it.
Joining == IF Admission THEN Server \ InitialVoters ELSE {}
FirstDisk(s) ==
  IF s \in Joining
    THEN [EmptyDisk EXCEPT !.boot = [epoch |-> 1, nonce |-> 0, isAdmitted |-> FALSE]]
    ELSE EmptyDisk
BootRequest(s, boot, id) ==
  [type |-> "Boot", from |-> s, to |-> Server \ {s}, epoch |-> boot.epoch, nonce |-> boot.nonce,
   process |-> id]

Init ==
  /\ disk = [s \in Server |-> FirstDisk(s)]
  /\ currentTerm = [s \in Server |-> 0]
  /\ votedFor = [s \in Server |-> None]
  /\ log = [s \in Server |-> <<>>]
  /\ snapshotIndex = [s \in Server |-> 0]
  /\ role = [s \in Server |-> "Follower"]
  /\ leaderId = [s \in Server |-> None]
  /\ commitIndex = [s \in Server |-> 0]
  /\ admitted = [s \in Server |-> s \notin Joining]
  /\ process = [s \in Server |-> 0]
  /\ messages = { BootRequest(s, FirstDisk(s).boot, 0) : s \in Joining }
  /\ image = [s \in Server |-> <<>>]
  /\ damaged = {}
  /\ deaf = [s \in Server |-> {}]
  /\ elected = [t \in 1..MaxTerm |-> {}]
  /\ committed = <<>>
  /\ served = {}
  /\ spent = [commands |-> 0, crashes |-> 0, losses |-> 0, rollBacks |-> 0, changes |-> 0,
              snapshots |-> 0, reads |-> 0, transfers |-> 0, earlyTimeouts |-> 0]

\* What a leader sends, as one record: `to` all members, an AppendEntries for each `entries[i]` from
\* `firstIndex` on, one entry a message, with leaderCommit as it was then or is now. It is sent in
\* the step that makes it possible, since a message that is sent late, or not at all, is one that is
\* received late, or not at all; the later record of a term holds the earlier ones. nextIndex is
\* a guess of which any may be right. An empty AppendEntries (heartbeat) would say nothing that a
\* repetition of the last entry does not say. The leader need not have synced what it sends.
SendLog(l, lg, commit, snapshot) ==
  LET c == ConfigAt(lg, commit, snapshot)
      earlier == { m \in messages : /\ m.type = "AppendEntries"
                                    /\ m.from = l /\ m.term = currentTerm[l] }
      heard == UNION { m.to : m \in earlier }
      first == { m.firstIndex : m \in earlier } \cup {snapshot + 1}
  IN messages' = (messages \ earlier)
       \cup { [type |-> "AppendEntries", term |-> currentTerm[l], from |-> l,
               to |-> heard \cup (Members(c) \ {l}), entries |-> lg, leaderCommit |-> commit,
               firstIndex |-> CHOOSE i \in first : \A j \in first : i <= j] }
       \cup { [type |-> "InstallSnapshot", term |-> currentTerm[l], from |-> l,
               to |-> Members(c) \ {l}, snapshot |-> SubSeq(lg, 1, index)]
                 : index \in {snapshot} \ {0} }

-----------------------------------------------------------------------------------------------
(* Elections *)

\* The configurations that may be in force, as far as a server can tell: the last one that it knows
\* to be committed, and all behind that in its log.
PossibleConfigs(s) ==
  { ConfigAt(SubSeq(log[s], 1, i), i, snapshotIndex[s]) : i \in commitIndex[s]..Len(log[s]) }

\* Learners and removed servers never campaign. A voter whose removal is not committed may have to
\* (thesis, 4.2.2): nobody else may have its log, or the removal may never be committed. It does not
\* count itself, since it is no voter of the configuration that it uses.
MayCampaign(s) ==
  /\ role[s] \in {"Follower", "PreCandidate", "Candidate"}
  /\ \E c \in PossibleConfigs(s) : s \in c.voters
  /\ MayPromise(s)
  /\ currentTerm[s] < MaxTerm

\* Begin a new term as candidate, with a durable vote for oneself.
Campaign(s, transfer) ==
  /\ PersistHardState(s, currentTerm[s] + 1, s)
  /\ currentTerm' = [currentTerm EXCEPT ![s] = @ + 1]
  /\ votedFor' = [votedFor EXCEPT ![s] = s]
  /\ role' = [role EXCEPT ![s] = "Candidate"]
  /\ leaderId' = [leaderId EXCEPT ![s] = None]
  /\ Send([type |-> "RequestVote", term |-> currentTerm[s] + 1, from |-> s,
           to |-> Config(s).voters \ {s}, lastLogIndex |-> Len(log[s]),
           lastLogTerm |-> LastTerm(log[s]), transfer |-> transfer])
  /\ UNCHANGED <<log, snapshotIndex, commitIndex, admitted, process, environment, history>>

\* Ask whether an election could be won, without a new term and without writing anything.
AskPreVotes(s) ==
  /\ role' = [role EXCEPT ![s] = "PreCandidate"]
  /\ leaderId' = [leaderId EXCEPT ![s] = None]
  /\ Send([type |-> "PreVote", term |-> currentTerm[s] + 1, from |-> s,
           to |-> Config(s).voters \ {s}, lastLogIndex |-> Len(log[s]),
           lastLogTerm |-> LastTerm(log[s])])
  /\ UNCHANGED <<disk, currentTerm, votedFor, log, snapshotIndex, commitIndex, admitted,
                 process, environment, history>>

\* The up-to-date check (paper, 5.4.1): the term of the last entry, then the length.
UpToDate(m, lg) ==
  CASE Mutant = "VoteWithoutUpToDate" -> TRUE
    [] Mutant = "UpToDateByLength" ->
         \/ m.lastLogIndex > Len(lg)
         \/ m.lastLogIndex = Len(lg) /\ m.lastLogTerm >= LastTerm(lg)
    [] OTHER ->
         \/ m.lastLogTerm > LastTerm(lg)
         \/ m.lastLogTerm = LastTerm(lg) /\ m.lastLogIndex >= Len(lg)

\* Check-quorum, the followers' half: whoever heard a leader within the election timeout takes no
\* part in elections, unless that leader asked for it (leadership transfer).
HearsLeader(s) ==
  CheckQuorum /\ leaderId[s] # None /\ Mutant # "ElectionDespiteLeader"

\* A pre-vote changes nothing at the one who is asked. A refusal tells the term of the one who is
\* asked, because a server with a lower term could never win.
HandlePreVote(s, m) ==
  LET granted == /\ m.term > currentTerm[s]
                 /\ UpToDate(m, log[s])
  IN /\ MayPromise(s)
     /\ ~HearsLeader(s) \/ m.term < currentTerm[s]
     /\ granted \/ m.term <= currentTerm[s]
     /\ Send([type |-> "PreVoteReply", from |-> s, to |-> {m.from}, granted |-> granted,
              term |-> IF granted THEN m.term ELSE currentTerm[s]])
     /\ UNCHANGED <<disk, volatile, environment, history, spent>>

\* A quorum would vote for it: now the real election.
WinPreVote(s) ==
  LET granted == { m \in Received("PreVoteReply", s) :
                     m.granted /\ m.term = currentTerm[s] + 1 }
  IN /\ role[s] = "PreCandidate" /\ MayCampaign(s)
     /\ Quorum({ m.from : m \in granted } \cup {s}, Config(s))
     /\ Campaign(s, FALSE)
     /\ UNCHANGED spent

HandleRequestVote(s, m) ==
  LET vote == VoteIn(s, m)
      mayVote == \/ vote \in {None, m.from}
                 \/ Mutant = "VoteTwice"
                 \/ Mutant = "TransferOverridesVote" /\ m.transfer
      grant == mayVote /\ UpToDate(m, log[s]) /\ MayPromise(s)
      newVote == IF grant THEN m.from ELSE vote
  IN /\ m.term >= currentTerm[s]
     /\ ~HearsLeader(s) \/ m.transfer
     /\ (grant /\ vote # m.from) \/ m.term > currentTerm[s]
     /\ IF Mutant = "VoteNotPersisted"
          THEN PersistHardState(s, m.term, VoteIn(s, m))
          ELSE PersistHardState(s, m.term, newVote)
     /\ currentTerm' = [currentTerm EXCEPT ![s] = m.term]
     /\ votedFor' = [votedFor EXCEPT ![s] = newVote]
     /\ role' = [role EXCEPT ![s] = IF m.term > currentTerm[s] THEN "Follower" ELSE @]
     /\ leaderId' = [leaderId EXCEPT ![s] = IF m.term > currentTerm[s] THEN None ELSE @]
     /\ IF grant
          THEN Send([type |-> "Vote", term |-> m.term, from |-> s, to |-> {m.from}])
          ELSE UNCHANGED messages
     /\ UNCHANGED <<log, snapshotIndex, commitIndex, admitted, process, environment, history,
                    spent>>

\* A leader only appends (Leader Append-Only); it sends at once and syncs later.
AppendToLog(l, entry) ==
  /\ log' = [log EXCEPT ![l] = Append(@, entry)]
  /\ SendLog(l, log'[l], commitIndex[l], snapshotIndex[l])

\* A quorum voted for it. The leader's first act is an entry of its own term, not yet synced.
BecomeLeader(s) ==
  LET votes == { m \in Received("Vote", s) : m.term = currentTerm[s] }
  IN /\ role[s] = "Candidate"
     /\ Quorum({ m.from : m \in votes } \cup {s}, Config(s))
     /\ role' = [role EXCEPT ![s] = "Leader"]
     /\ leaderId' = [leaderId EXCEPT ![s] = IF CheckQuorum THEN s ELSE None]
     /\ AppendToLog(s, Entry(currentTerm[s], "noop", NoConfig))
     /\ elected' = [elected EXCEPT ![currentTerm[s]] = @ \cup {s}]
     /\ UNCHANGED <<disk, currentTerm, votedFor, snapshotIndex, commitIndex, admitted, process,
                    environment, committed, served, spent>>

\* A message of a higher term ends a leadership or a candidacy.
HandleHigherTerm(s, m) ==
  /\ m.type = "PreVoteReply" => ~m.granted /\ Mutant # "PreVoteRefusalIgnored"
  /\ m.term > currentTerm[s]
  /\ PersistHardState(s, m.term, None)
  /\ currentTerm' = [currentTerm EXCEPT ![s] = m.term]
  /\ votedFor' = [votedFor EXCEPT ![s] = None]
  /\ role' = [role EXCEPT ![s] = "Follower"]
  /\ leaderId' = [leaderId EXCEPT ![s] = None]
  /\ UNCHANGED <<log, snapshotIndex, commitIndex, admitted, process, messages, environment,
                 history, spent>>

\* Check-quorum, the leader's half. "No quorum answers within an election timeout" is: no quorum
\* is left that could follow. Safety does not need it (a leader without a quorum commits nothing).
CheckQuorumFails(l) ==
  LET mayFollow == { s \in Server : Running(s) /\ currentTerm[s] <= currentTerm[l] }
  IN /\ CheckQuorum /\ Mutant # "NoCheckQuorum"
     /\ role[l] = "Leader"
     /\ ~Quorum(mayFollow, Config(l))
     /\ role' = [role EXCEPT ![l] = "Follower"]
     /\ leaderId' = [leaderId EXCEPT ![l] = None]
     /\ UNCHANGED <<disk, currentTerm, votedFor, log, snapshotIndex, commitIndex, admitted,
                    process, messages, environment, history, spent>>

\* Leadership transfer (thesis, 3.10): to a voter whose log is as long as the leader's own.
SendTimeoutNow(l, target) ==
  LET acks == { m \in Received("AppendReply", l) : m.from = target /\ m.term = currentTerm[l] }
  IN /\ spent.transfers < MaxTransfers
     /\ role[l] = "Leader"
     /\ target \in Config(l).voters \ {l}
     /\ \E m \in acks : m.matchIndex = Len(log[l])
     /\ Send([type |-> "TimeoutNow", term |-> currentTerm[l], from |-> l, to |-> {target}])
     /\ spent' = [spent EXCEPT !.transfers = @ + 1]
     /\ UNCHANGED <<disk, volatile, environment, history>>

HandleTimeoutNow(s, m) ==
  /\ m.term = currentTerm[s]
  /\ role[s] \in {"Follower", "PreCandidate"}
  /\ MayCampaign(s)
  /\ Campaign(s, TRUE)
  /\ UNCHANGED spent

-----------------------------------------------------------------------------------------------
(* Replication *)

ClientRequest(l) ==
  /\ spent.commands < MaxCommands
  /\ role[l] = "Leader"
  /\ AppendToLog(l, Entry(currentTerm[l], "command", NoConfig))
  /\ spent' = [spent EXCEPT !.commands = @ + 1]
  /\ UNCHANGED <<disk, currentTerm, votedFor, snapshotIndex, role, leaderId, commitIndex,
                 admitted, process, environment, history>>

\* The fsync of what the leader appended ends (it may have lost the leadership meanwhile).
Persist(s) ==
  /\ Running(s)
  /\ disk[s].log # log[s]
  /\ disk' = [disk EXCEPT ![s].log = log[s]]
  /\ UNCHANGED <<volatile, messages, environment, history, spent>>

\* The acknowledgement of a follower; a higher one of the same term says all that a lower one says.
\* A process that is not admitted stores but says nothing.
Acknowledge(s, m, matchIndex) ==
  LET lower == { r \in Received("AppendReply", m.from) :
                   r.from = s /\ r.term = m.term /\ r.matchIndex < matchIndex }
      said == { r \in Received("AppendReply", m.from) :
                  r.from = s /\ r.term = m.term /\ r.matchIndex >= matchIndex }
  IN IF MayPromise(s) /\ said = {}
       THEN messages' = (messages \ lower) \cup
              {[type |-> "AppendReply", term |-> m.term, from |-> s, to |-> {m.from},
                matchIndex |-> matchIndex]}
       ELSE UNCHANGED messages

\* The log as it becomes in memory and, before the acknowledgement leaves, on the disk.
StoreLog(s, m, lg, snapshot) ==
  /\ log' = [log EXCEPT ![s] = lg]
  /\ IF Mutant = "AckBeforeFsync" /\ Len(lg) > Len(log[s])
       THEN PersistHardState(s, m.term, VoteIn(s, m))
       ELSE disk' = [disk EXCEPT ![s].currentTerm = m.term, ![s].votedFor = VoteIn(s, m),
                                 ![s].log = lg, ![s].snapshotIndex = snapshot]

\* A repetition that changes nothing is not a step: it would only cost time.
IsNew(s, m) ==
  \/ m.term > currentTerm[s]
  \/ role[s] # "Follower"
  \/ CheckQuorum /\ leaderId[s] # m.from

FollowLeader(s, m) ==
  /\ currentTerm' = [currentTerm EXCEPT ![s] = m.term]
  /\ votedFor' = [votedFor EXCEPT ![s] = VoteIn(s, m)]
  /\ role' = [role EXCEPT ![s] = "Follower"]
  /\ leaderId' = [leaderId EXCEPT ![s] = IF CheckQuorum THEN m.from ELSE None]

\* AppendEntries at a follower (paper, 5.3 and figure 2). A conflicting suffix is cut off in a step
\* of its own, without an answer: a crash may come between the cut and the append.
HandleAppendEntries(s, m, index, leaderCommit) ==
  LET prevLogIndex == index - 1
      prevLogTerm == TermAt(m.entries, prevLogIndex)
      entry == m.entries[index]
      inSnapshot == index <= snapshotIndex[s]
      matches == \/ inSnapshot
                 \/ /\ prevLogIndex <= Len(log[s])
                    /\ \/ TermAt(log[s], prevLogIndex) = prevLogTerm
                       \/ Mutant = "NoPrevLogCheck"
      present == /\ index <= Len(log[s])
                 /\ \/ inSnapshot \/ log[s][index].term = entry.term
                    \/ Mutant = "ConflictKept"
      conflict == matches /\ ~present /\ index <= Len(log[s])
      appended == Append(SubSeq(log[s], 1, prevLogIndex), entry)
      said == \E r \in Received("AppendReply", m.from) :
                r.from = s /\ r.term = m.term /\ r.matchIndex >= index
  IN /\ InTime(m)
     /\ m.term >= currentTerm[s]
     /\ \/ IsNew(s, m) \/ conflict
        \/ matches /\ (~said \/ ~present \/ leaderCommit > commitIndex[s])
        \/ Mutant = "TruncateMatching"
     /\ FollowLeader(s, m)
     /\ CASE ~matches ->
               /\ PersistHardState(s, m.term, VoteIn(s, m))
               /\ UNCHANGED <<log, commitIndex, messages>>
          [] conflict ->
               /\ StoreLog(s, m, SubSeq(log[s], 1, prevLogIndex), snapshotIndex[s])
               /\ UNCHANGED <<commitIndex, messages>>
          [] OTHER ->
               /\ StoreLog(s, m, IF present /\ Mutant # "TruncateMatching" THEN log[s] ELSE appended,
                           snapshotIndex[s])
               /\ commitIndex' = [commitIndex EXCEPT ![s] = Max(@, leaderCommit)]
               /\ Acknowledge(s, m, index)
     /\ UNCHANGED <<snapshotIndex, admitted, process, environment, history, spent>>

\* A message of an older term is answered with the newer one, so that a leader which cannot be
\* followed steps down (needed with pre-vote: nobody else would tell it).
RefuseAppendEntries(s, m) ==
  /\ PreVote /\ MayPromise(s)
  /\ m.term < currentTerm[s]
  /\ Send([type |-> "AppendRefusal", term |-> currentTerm[s], from |-> s, to |-> {m.from}])
  /\ UNCHANGED <<disk, volatile, environment, history, spent>>

\* Who has the entry at the index on its disk, as far as the leader knows. The leader counts
\* itself like the others: only what it has synced.
Holders(l, index) ==
  { m.from : m \in { r \in Received("AppendReply", l) :
                       r.term = currentTerm[l] /\ r.matchIndex >= index } }
  \cup (IF Len(disk[l].log) >= index \/ Mutant = "LeaderCountsUnsynced" THEN {l} ELSE {})

\* The history of what was committed. The first to commit an index says what is in it.
Record(l, index) ==
  committed' = committed \o [ i \in 1..(Max(index, Len(committed)) - Len(committed)) |->
                 [entry |-> log[l][Len(committed) + i], in |-> currentTerm[l]] ]

\* A quorum of the configuration in use holds an entry of the leader's own term; entries of older
\* terms are committed by it, never by counting (paper, 5.4.2 and figure 8).
AdvanceCommitIndex(l, index) ==
  /\ role[l] = "Leader"
  /\ index > commitIndex[l] /\ index <= Len(log[l])
  /\ log[l][index].term = currentTerm[l] \/ Mutant = "CommitOldTermByCounting"
  /\ Quorum(Holders(l, index), Config(l))
  /\ commitIndex' = [commitIndex EXCEPT ![l] = index]
  /\ Record(l, index)
  /\ SendLog(l, log[l], index, snapshotIndex[l])
  /\ UNCHANGED <<disk, currentTerm, votedFor, log, snapshotIndex, role, leaderId, admitted,
                 process, environment, elected, served, spent>>

-----------------------------------------------------------------------------------------------
(* Membership: one server at a time (thesis, 4.1), learners first (DESIGN I3) *)

\* What one change may do: a learner joins; a learner that has caught up becomes a voter; a
\* learner or a voter leaves. (Catching up is for availability; safety does not need it.)
Changes(l) ==
  LET c == Config(l)
      caughtUp == { s \in c.learners : commitIndex[l] = 0 \/ s \in Holders(l, commitIndex[l]) }
  IN { [c EXCEPT !.learners = @ \cup {s}] : s \in Server \ (Members(c) \cup damaged) }
     \cup { [voters |-> c.voters \cup {s}, learners |-> c.learners \ {s}] : s \in caughtUp }
     \cup { [c EXCEPT !.learners = @ \ {s}] : s \in c.learners }
     \cup { [c EXCEPT !.voters = @ \ {s}] : s \in IF Cardinality(c.voters) > 1 THEN c.voters
                                                                              ELSE {} }

\* Environment: no change makes it impossible to see that a disk was put back (see Detectable).
StaysDetectable(c) ==
  \A s \in damaged : Running(s) => ~Majority(deaf[s] \cup {s}, c.voters)

ProposeChange(l, c) ==
  /\ spent.changes < MaxChanges
  /\ role[l] = "Leader"
  /\ \/ ConfigIndex(log[l]) <= commitIndex[l]   \* never two uncommitted changes
     \/ Mutant = "TwoChangesAtOnce"
  /\ \/ TermAt(log[l], commitIndex[l]) = currentTerm[l]  \* an entry of its own term is committed
     \/ Mutant = "ChangeBeforeOwnTermCommit"
  /\ StaysDetectable(c)
  /\ AppendToLog(l, Entry(currentTerm[l], "config", c))
  /\ spent' = [spent EXCEPT !.changes = @ + 1]
  /\ UNCHANGED <<disk, currentTerm, votedFor, snapshotIndex, role, leaderId, commitIndex,
                 admitted, process, environment, history>>

\* A leader that removed itself goes when the change is committed (thesis, 4.2.2), and asks a voter
\* to take over, whatever that one's log.
RemovedLeaderStepsDown(l) ==
  /\ role[l] = "Leader"
  /\ l \notin Config(l).voters
  /\ ConfigIndex(log[l]) <= commitIndex[l]
  /\ role' = [role EXCEPT ![l] = "Follower"]
  /\ leaderId' = [leaderId EXCEPT ![l] = None]
  /\ Send([type |-> "TimeoutNow", term |-> currentTerm[l], from |-> l, to |-> Config(l).voters])
  /\ UNCHANGED <<disk, currentTerm, votedFor, log, snapshotIndex, commitIndex, admitted,
                 process, environment, history, spent>>

-----------------------------------------------------------------------------------------------
(* Snapshots and log compaction *)

\* The state machine is written at what it has applied, and the log is dropped up to there.
TakeSnapshot(s) ==
  LET index == IF Mutant = "SnapshotBeyondCommit" THEN Len(log[s]) ELSE commitIndex[s]
  IN /\ spent.snapshots < MaxSnapshots
     /\ Running(s)
     /\ index > snapshotIndex[s]
     /\ snapshotIndex' = [snapshotIndex EXCEPT ![s] = index]
     /\ disk' = [disk EXCEPT ![s].snapshotIndex = index,
                             ![s].log = SubSeq(log[s], 1, Max(index, Len(@)))]
     /\ spent' = [spent EXCEPT !.snapshots = @ + 1]
     /\ IF role[s] = "Leader" THEN SendLog(s, log[s], index, index)
                               ELSE UNCHANGED messages
     /\ UNCHANGED <<currentTerm, votedFor, log, role, leaderId, commitIndex, admitted, process,
                    environment, history>>

\* A snapshot that ends where the log has the same term is not installed, and the log keeps the
\* entries that follow: they may be acknowledged (paper, figure 13, rule 6). It says only that so
\* much is committed. One that is not newer than what is committed here says nothing.
HandleInstallSnapshot(s, m) ==
  LET index == Len(m.snapshot)
      old == index <= commitIndex[s]
      keep == /\ index <= Len(log[s]) /\ log[s][index].term = LastTerm(m.snapshot)
              /\ Mutant # "SnapshotDropsSuffix"
      lg == IF keep THEN log[s] ELSE m.snapshot
      said == \E r \in Received("AppendReply", m.from) :
                r.from = s /\ r.term = m.term /\ r.matchIndex >= index
  IN /\ m.term >= currentTerm[s]
     /\ IsNew(s, m) \/ ~old \/ ~said
     /\ FollowLeader(s, m)
     /\ IF old
          THEN /\ PersistHardState(s, m.term, VoteIn(s, m))
               /\ UNCHANGED <<log, snapshotIndex, commitIndex>>
          ELSE /\ StoreLog(s, m, lg, IF keep THEN snapshotIndex[s] ELSE index)
               /\ snapshotIndex' = [snapshotIndex EXCEPT ![s] = IF keep THEN @ ELSE index]
               /\ commitIndex' = [commitIndex EXCEPT ![s] = index]
     /\ Acknowledge(s, m, index)
     /\ UNCHANGED <<admitted, process, environment, history, spent>>

-----------------------------------------------------------------------------------------------
(* Read index (thesis, 6.4) *)

\* The leader notes its commitIndex, once it has committed in its own term, and asks whether it is
\* still the leader. `required` is history: what was acknowledged before the read began.
StartRead(l) ==
  /\ spent.reads < MaxReads
  /\ role[l] = "Leader"
  /\ \/ TermAt(log[l], commitIndex[l]) = currentTerm[l]
     \/ Mutant = "ReadBeforeOwnTermCommit"
  /\ Send([type |-> "ReadProbe", term |-> currentTerm[l], from |-> l,
           to |-> Members(Config(l)) \ {l}, id |-> spent.reads + 1, index |-> commitIndex[l],
           required |-> Len(committed)])
  /\ spent' = [spent EXCEPT !.reads = @ + 1]
  /\ UNCHANGED <<disk, volatile, environment, history>>

HandleReadProbe(s, m) ==
  /\ MayPromise(s)
  /\ m.term >= currentTerm[s]
  /\ \/ IsNew(s, m)
     \/ \A r \in Received("ReadReply", m.from) : ~(r.from = s /\ r.term = m.term /\ r.id = m.id)
  /\ FollowLeader(s, m)
  /\ PersistHardState(s, m.term, VoteIn(s, m))
  /\ Send([type |-> "ReadReply", term |-> m.term, from |-> s, to |-> {m.from}, id |-> m.id])
  /\ UNCHANGED <<log, snapshotIndex, commitIndex, admitted, process, environment, history,
                 spent>>

\* A quorum answered this probe or a later one: nobody had a newer term when the read began.
ServeRead(l, m) ==
  LET replies == { r \in Received("ReadReply", l) :
                     /\ r.term = m.term
                     /\ r.id >= m.id \/ Mutant = "ReadCountsOldReplies" }
  IN /\ m.from = l
     /\ role[l] = "Leader"
     /\ currentTerm[l] = m.term
     /\ \/ Quorum({ r.from : r \in replies } \cup {l}, Config(l))
        \/ Mutant = "ReadWithoutQuorum"
     /\ served' = served \cup {[index |-> m.index, required |-> m.required]}
     /\ UNCHANGED <<disk, volatile, messages, environment, elected, committed, spent>>

-----------------------------------------------------------------------------------------------
(* Disks: crash and boot, loss, rollback, admission (DESIGN I1-I3) *)

\* A process starts from what is on the disk, and asks all members to confirm its boot. A boot takes
\* the next epoch and a random nonce, unless the one before was never admitted: that one is tried
\* again, or else a refused disk would count up until it is believed (ADR 0101, 0121).
Boot(s, d) ==
  LET id == spent'.crashes + spent'.rollBacks
      next == IF d.boot.isAdmitted \/ Mutant = "EpochRisesWithEachAttempt"
                THEN [epoch |-> d.boot.epoch + 1, nonce |-> id, isAdmitted |-> FALSE]
                ELSE d.boot
  IN /\ currentTerm' = [currentTerm EXCEPT ![s] = d.currentTerm]
     /\ votedFor' = [votedFor EXCEPT ![s] = d.votedFor]
     /\ log' = [log EXCEPT ![s] = d.log]
     /\ snapshotIndex' = [snapshotIndex EXCEPT ![s] = d.snapshotIndex]
     /\ commitIndex' = [commitIndex EXCEPT ![s] = d.snapshotIndex]
     /\ role' = [role EXCEPT ![s] = "Follower"]
     /\ leaderId' = [leaderId EXCEPT ![s] = None]
     /\ IF Admission
          THEN /\ disk' = [disk EXCEPT ![s] = [d EXCEPT !.boot = next]]
               /\ admitted' = [admitted EXCEPT ![s] = FALSE]
               /\ process' = [process EXCEPT ![s] = id]
               /\ Send(BootRequest(s, next, id))
          ELSE /\ disk' = [disk EXCEPT ![s] = d]
               /\ UNCHANGED <<admitted, process, messages>>

\* Down time is time in which nothing is received, so that crash and boot are one step.
Crash(s) ==
  /\ spent.crashes < MaxCrashes
  /\ Running(s) /\ s \in Unsteady
  /\ spent' = [spent EXCEPT !.crashes = @ + 1]
  /\ Boot(s, disk[s])
  /\ UNCHANGED <<environment, history>>

\* The disk dies or is emptied. What starts there has no superblock with this identity, so that
\* it starts as another one (I1); this one is over.
LoseDisk(s) ==
  /\ spent.losses < MaxLosses
  /\ Running(s)
  /\ spent' = [spent EXCEPT !.losses = @ + 1]
  /\ damaged' = damaged \cup {s}
  /\ disk' = [disk EXCEPT ![s] = EmptyDisk]
  /\ currentTerm' = [currentTerm EXCEPT ![s] = 0]
  /\ votedFor' = [votedFor EXCEPT ![s] = None]
  /\ log' = [log EXCEPT ![s] = <<>>]
  /\ snapshotIndex' = [snapshotIndex EXCEPT ![s] = 0]
  /\ commitIndex' = [commitIndex EXCEPT ![s] = 0]
  /\ leaderId' = [leaderId EXCEPT ![s] = None]
  /\ role' = [role EXCEPT ![s] =
               IF Mutant = "EmptiedDiskVotes" THEN "Follower" ELSE "Stopped"]
  /\ UNCHANGED <<admitted, process, messages, image, deaf, history>>

\* Somebody keeps an image of a disk ...
CopyDisk(s) ==
  /\ spent.rollBacks < MaxRollBacks
  /\ image[s] = <<>> /\ Running(s) /\ s \in Unsteady
  /\ image' = [image EXCEPT ![s] = <<disk[s]>>]
  /\ UNCHANGED <<disk, volatile, messages, damaged, deaf, history, spent>>

\* Every configuration that was ever written: a leader sends an entry in the step that appends it.
Written ==
  {VersionedConfig(<<>>)} \cup UNION
    { { VersionedConfig(SubSeq(m.entries, 1, i)) : i \in DOMAIN m.entries }
      : m \in { n \in messages : n.type = "AppendEntries" } }

\* ... and puts it back. The fault model (ADR 0121): the disk has booted since, and those who have
\* not heard of that are too few to admit it. What is `too few` depends on the configuration that
\* counts. That may be the one of the image and any that was written after it, since each may be
\* the newest that those know who answer; but whoever knows that a later one is committed answers
\* with a later one. Nothing can tell the other cases from a plain reboot.
Detectable(s) ==
  LET old == image[s][1]
      own == KnownConfig(s, old.log)
      notHeard == { p \in Server \ {s} : disk[p].heard[s].epoch < disk[s].boot.epoch }
      certain(p) == KnownConfig(p, SubSeq(log[p], 1, commitIndex[p]))
  IN /\ old.boot.epoch < disk[s].boot.epoch
     /\ \A c \in IF Mutant = "PutBackUnnoticedAfterChange" THEN {own}
                 ELSE { w \in Written : NoNewer(own, w) } :
          ~Majority({ p \in notHeard : NoNewer(certain(p), c) } \cup {s}, c.config.voters)

RollBack(s) ==
  /\ spent.rollBacks < MaxRollBacks
  /\ image[s] # <<>> /\ Running(s)
  /\ Detectable(s) \/ Mutant = "RollBackUnnoticed"
  /\ spent' = [spent EXCEPT !.rollBacks = @ + 1]
  /\ damaged' = damaged \cup {s}
  /\ deaf' = [deaf EXCEPT ![s] =
       { p \in Server \ {s} : disk[p].heard[s].epoch < disk[s].boot.epoch }]
  /\ Boot(s, image[s][1])
  /\ UNCHANGED <<image, history>>

\* Every member remembers durably the last boot it has confirmed of every other one, and confirms
\* only a higher epoch, or the same boot again: the compare-and-set of I2. It need not be admitted
\* itself, for otherwise a cluster that was switched off would never start again. With the answer
\* goes the newest configuration that it knows. (A process that waits asks again, and hears of a
\* newer one; what it would hear after its admission makes no difference.)
HandleBoot(s, m) ==
  LET last == disk[s].heard[m.from]
      reply == [type |-> "BootReply", from |-> s, to |-> {m.from}, epoch |-> m.epoch,
                nonce |-> m.nonce, process |-> m.process,
                known |-> IF Mutant = "AnswerWithoutConfiguration" THEN NothingKnown
                                                                   ELSE KnownConfig(s, log[s])]
  IN /\ \/ m.epoch > last.epoch \/ Mutant = "BootEpochNotCompared"
        \/ m.epoch = last.epoch /\ (m.nonce = last.nonce \/ Mutant = "BootNonceNotCompared")
     /\ reply \notin messages
     /\ m.epoch > last.epoch \/ ~admitted[m.from]
     /\ disk' = [disk EXCEPT ![s].heard[m.from] =
                  IF m.epoch > last.epoch THEN [epoch |-> m.epoch, nonce |-> m.nonce] ELSE @]
     /\ Send(reply)
     /\ UNCHANGED <<volatile, environment, history, spent>>

\* With itself, if it is a voter, a quorum: as many as the server needs anyhow to do anything. It
\* counts by the newest configuration that it knows, its own or one that came with an answer to
\* this very process: its own may be older than its promotion, or than the removal of those who
\* answer. Which answers have arrived, and are not forgotten again, is open; hence any configuration
\* that is the newest in some of them. Only its own log tells a server that it is the only voter.
\* The server notes its admission durably before its first promise.
Admit(s) ==
  LET replies == { m \in Received("BootReply", s) :
                     /\ m.epoch = disk[s].boot.epoch /\ m.nonce = disk[s].boot.nonce
                     /\ m.process = process[s] \/ Mutant = "BootReplyToOtherProcess" }
      own == KnownConfig(s, log[s])
      carried(m) == IF m.known.config.voters = {s} THEN NothingKnown ELSE m.known
      mayCount == IF Mutant = "CountsByOwnConfiguration" THEN {own}
                  ELSE { c \in {own} \cup { carried(m) : m \in replies } :
                           NoNewer(own, c) \/ Mutant = "CountsByOlderConfiguration" }
      confirmed(c) == { m.from : m \in { r \in replies : \/ NoNewer(carried(r), c)
                                                         \/ Mutant = "CountsByOwnConfiguration" } }
      enough(c) == \/ Majority(confirmed(c) \cup {s}, c.config.voters)
                   \/ /\ Mutant = "CountsItselfThoughNoVoter"
                      /\ 2 * Cardinality((confirmed(c) \cap c.config.voters) \cup {s})
                           > Cardinality(c.config.voters)
  IN /\ Running(s) /\ ~admitted[s]
     /\ \E c \in mayCount : enough(c)
     /\ admitted' = [admitted EXCEPT ![s] = TRUE]
     /\ disk' = [disk EXCEPT ![s].boot.isAdmitted = TRUE]
     /\ UNCHANGED <<currentTerm, votedFor, log, snapshotIndex, role, leaderId, commitIndex, process,
                    messages, environment, history, spent>>

-----------------------------------------------------------------------------------------------
(* Time, and the next-state relation *)

Receive(s, m) ==
  CASE m.type = "PreVote" -> HandlePreVote(s, m)
    [] m.type = "RequestVote" -> HandleRequestVote(s, m)
    [] m.type \in {"PreVoteReply", "AppendRefusal"} -> HandleHigherTerm(s, m)
    [] m.type = "TimeoutNow" -> HandleHigherTerm(s, m) \/ HandleTimeoutNow(s, m)
    [] m.type = "AppendEntries" ->
         \/ RefuseAppendEntries(s, m)
         \/ \E index \in m.firstIndex..Len(m.entries) :
              \E leaderCommit \in {0, Min(m.leaderCommit, index)} :
                HandleAppendEntries(s, m, index, leaderCommit)
    [] m.type = "InstallSnapshot" -> HandleInstallSnapshot(s, m)
    [] m.type = "ReadProbe" -> HandleReadProbe(s, m)
    [] m.type = "Boot" -> HandleBoot(s, m)
    [] OTHER -> FALSE                           \* replies are counted where they lie
Handle(s) == Running(s) /\ \E m \in messages : s \in m.to /\ Receive(s, m)

\* What a server does by itself as soon as it can.
Proceed(s) ==
  \/ WinPreVote(s)
  \/ BecomeLeader(s)
  \/ CheckQuorumFails(s)
  \/ Persist(s)
  \/ \E i \in 1..Len(log[s]) : AdvanceCommitIndex(s, i)
  \/ RemovedLeaderStepsDown(s)
  \/ \E m \in messages : m.type = "ReadProbe" /\ ServeRead(s, m)
  \/ Admit(s)

\* A timer is due when nothing else is going on: messages travel faster than election timeouts,
\* no leader is heard, and the random timeouts are far enough apart for one candidate at a time.
Due(s) ==
  /\ \A l \in Server : role[l] = "Leader" => currentTerm[l] < currentTerm[s]
  /\ \A t \in Server : ~ENABLED <<Handle(t) \/ Proceed(t)>>_vars

ElectionTimeout(s) ==
  /\ s \in Unsteady
  /\ MayCampaign(s)
  /\ IF TimelyElections /\ ~Due(s)
       THEN /\ spent.earlyTimeouts < MaxEarlyTimeouts
            /\ spent' = [spent EXCEPT !.earlyTimeouts = @ + 1]
       ELSE UNCHANGED spent
  /\ IF PreVote /\ Mutant # "NoPreVote" THEN AskPreVotes(s) ELSE Campaign(s, FALSE)

Client(s) ==
  \/ ClientRequest(s)
  \/ StartRead(s)
  \/ \E t \in Server : SendTimeoutNow(s, t)
  \/ \E c \in Changes(s) : ProposeChange(s, c)
  \/ TakeSnapshot(s)

Fault(s) == Crash(s) \/ LoseDisk(s) \/ CopyDisk(s) \/ RollBack(s)

Next == \E s \in Server : Handle(s) \/ Proceed(s) \/ ElectionTimeout(s) \/ Client(s) \/ Fault(s)

Spec == Init /\ [][Next]_vars

\* Every message is received in the end, and every server does what it can. No fairness for clients
\* and faults.
Fairness == \A s \in Server : /\ WF_vars(Handle(s))
                              /\ WF_vars(Proceed(s))
                              /\ WF_vars(ElectionTimeout(s))
FairSpec == Spec /\ Fairness

-----------------------------------------------------------------------------------------------
(* Properties of the paper (figure 3) *)

ElectionSafety == \A t \in DOMAIN elected : Cardinality(elected[t]) <= 1

IsPrefix(a, b) == Len(a) <= Len(b) /\ a = SubSeq(b, 1, Len(a))

LeaderAppendOnly ==
  [][ \A s \in Server :
        (role[s] = "Leader" /\ role'[s] = "Leader" /\ currentTerm'[s] = currentTerm[s])
          => IsPrefix(log[s], log'[s]) ]_vars

LogMatching ==
  \A s, t \in Server : log[s] = log[t] \/
    \A i \in DOMAIN log[s] \cap DOMAIN log[t] :
      log[s][i].term = log[t][i].term => SubSeq(log[s], 1, i) = SubSeq(log[t], 1, i)

LeaderCompleteness ==
  \A l \in Server : role[l] = "Leader" =>
    \A i \in DOMAIN committed : committed[i].in < currentTerm[l] =>
      i <= Len(log[l]) /\ log[l][i] = committed[i].entry

\* What anybody has applied is what was committed.
StateMachineSafety ==
  \A s \in Server : /\ commitIndex[s] <= Len(committed)
                    /\ commitIndex[s] <= Len(log[s])
                    /\ \A i \in 1..commitIndex[s] : log[s][i] = committed[i].entry

-----------------------------------------------------------------------------------------------
(* Properties of our own *)

CommittedVoters == ConfigOf([ i \in DOMAIN committed |-> committed[i].entry ]).voters
HasAllCommitted(s) ==
  /\ Len(committed) <= Len(disk[s].log)
  /\ \A i \in DOMAIN committed : disk[s].log[i] = committed[i].entry

\* Those whose disks are whole but lack something committed are never enough to elect a leader.
CommittedIsDurable ==
  LET voters == CommittedVoters
  IN ~Majority({ s \in voters \ damaged : ~HasAllCommitted(s) }, voters)

\* While a majority of the voters' disks lives, one of them has everything that was ever applied.
AppliedNeverLost ==
  LET voters == CommittedVoters
  IN Majority(voters \ damaged, voters) => \E s \in voters \ damaged : HasAllCommitted(s)

DurableConfig(s) == ConfigAt(disk[s].log, commitIndex[s], snapshotIndex[s])

\* A server that would win an election if it crashed and campaigned now.
CouldWin(s) ==
  LET lg == disk[s].log
      voters == DurableConfig(s).voters
      message == [lastLogIndex |-> Len(lg), lastLogTerm |-> LastTerm(lg)]
  IN /\ s \in voters \ damaged
     /\ Majority({ v \in voters \ damaged : UpToDate(message, disk[v].log) }, voters)

\* Leader Completeness, seen before the election.
NextLeaderComplete == \A s \in Server : HasAllCommitted(s) \/ ~CouldWin(s)

\* Two servers that could win, each in its own configuration, need votes of common servers: each
\* majority of the one meets each majority of the other.
Overlap(v, w) == \* smallest majorities of v and w, as far apart as they can be
  LET common == Cardinality(v \cap w)
      need(x) == Cardinality(x) \div 2 + 1
      apart(x, y) == Min(need(x), Cardinality(x \ y))
  IN (need(v) - apart(v, w)) + (need(w) - apart(w, v)) > common
NoWrongOverlap ==
  \A s, t \in Server : CouldWin(s) /\ CouldWin(t)
    => Overlap(DurableConfig(s).voters, DurableConfig(t).voters)

\* Every read sees what was acknowledged before it began.
ReadIndexLinearizable == \A r \in served : r.index >= r.required

\* Whoever may vote remembers each vote that was ever given under its identity (a candidacy is a
\* vote for oneself): an identity whose disk lost a vote never votes again.
VotesBoundToDisks ==
  \A m \in messages : m.type \in {"Vote", "RequestVote"} =>
    LET candidate == IF m.type = "Vote" THEN m.to ELSE {m.from}
    IN Running(m.from) /\ MayPromise(m.from) =>
         \/ disk[m.from].currentTerm > m.term
         \/ disk[m.from].currentTerm = m.term /\ disk[m.from].votedFor \in candidate

\* The same said of the boot: a disk that was put back to an earlier life is never admitted.
PutBackNeverAdmitted == \A s \in damaged : Running(s) => ~admitted[s]

\* With pre-vote and check-quorum, servers that are cut off, crash and come back do not disturb a
\* leader and the quorum that hears it. (For a model whose only Unsteady servers are those.)
Undisturbed == \A s \in Server : currentTerm[s] <= 1

\* A leader with a quorum that follows it, and with an entry of its own term committed.
Leads(l) ==
  /\ role[l] = "Leader"
  /\ TermAt(log[l], commitIndex[l]) = currentTerm[l]
  /\ Majority({ s \in Server : currentTerm[s] = currentTerm[l] }, Config(l).voters)
LeaderFinally == []<>(\E l \in Server : Leads(l))

\* A leader that no quorum can follow does not stay one.
Lonely(l) ==
  role[l] = "Leader" /\ ~Majority({ s \in Server : Running(s) }, Config(l).voters)
NoLonelyLeader == \A l \in Server : []<>~Lonely(l)

\* Whoever boots is admitted in the end. (For a model in which nothing is put back, and a majority of
\* the voters of the newest configuration is left.)
FinallyAdmitted == \A s \in Server : []<>(admitted[s] \/ ~Running(s))

TypeOK ==
  /\ currentTerm \in [Server -> 0..MaxTerm]
  /\ votedFor \in [Server -> Server \cup {None}]
  /\ role \in [Server -> {"Follower", "PreCandidate", "Candidate", "Leader", "Stopped"}]
  /\ leaderId \in [Server -> Server \cup {None}]
  /\ admitted \in [Server -> BOOLEAN]
  /\ \A s \in Server :
       /\ disk[s].currentTerm = currentTerm[s]
       /\ disk[s].snapshotIndex = snapshotIndex[s]
       /\ IsPrefix(disk[s].log, log[s])
       /\ snapshotIndex[s] <= Len(disk[s].log)
================================================================================
