------------------------------ MODULE MCChain ------------------------------
(***************************************************************************)
(* Model checking of Chain: symmetry, and claims that must fail because    *)
(* the state they deny is one that the proofs are about (witnesses).       *)
(***************************************************************************)
EXTENDS Chain, TLC

\* Holders are alike, and so are producers. Safety only: TLC's liveness check does not allow it.
Symmetry == Permutations(Holders) \union Permutations(Producers)

Sealed == {s \in 1..Last : Chain[s].state = "SEALED"}

\* A recovery finds records that the leader did not know to be committed.
NothingSavedByRecovery == \A s \in Sealed : Chain[s].end <= known[s]

\* Bytes beyond the sealed end are left behind.
NothingCut == \A s \in Sealed : Len(log[s]) <= Chain[s].end

\* A leader answers a retry from the state that it took over.
NoRetryAcrossSegments ==
    \A s \in 2..Last : process[s] = "serving" =>
        \A p \in Producers : \A x \in ProducerState(s, p).recent :
            x.offset < Chain[s].base =>
                \E a \in acks : a.record = Record(p, ProducerState(s, p).epoch, x.sequence)

\* A leader serves on after its segment was sealed.
NoDeposedServing == \A s \in Sealed : process[s] # "serving"

\* A record that its leader could not commit is carried over and acknowledged.
NothingCarried ==
    \A a \in acks : a.record.kind = "plain" =>
        Cardinality({s \in Segments : \E i \in 2..Len(log[s]) : log[s][i] = a.record}) = 1

\* A recovery loses its race against another one.
NoRecoveryOvertaken == \A x, y \in ends : x.segment = y.segment => x.epoch = y.epoch

\* The state of a producer outlives the segment that held its records.
NoStateBeyondRetention ==
    \A s \in 1..Last : process[s] = "serving" =>
        \A p \in Producers : \A x \in ProducerState(s, p).recent : x.offset >= LogStart(Chain)

NothingQuarantined == \A n \in Holders, s \in Segments : disk[n][s] # "quarantined"

=============================================================================
