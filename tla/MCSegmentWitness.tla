-------------------------- MODULE MCSegmentWitness --------------------------
(* States and steps that the real Segment must be able to reach: an invariant proved of a    *)
(* model that never gets there says nothing. Each is claimed to be unreachable, and the claim *)
(* must fail.                                                                                 *)
EXTENDS MCSegment

CONSTANT Witness \* Which claim is made.

Reached ==
    CASE Witness = "SealedOntoFreshDisk" ->
            meta.state = "SEALED" /\ meta.replicas \cap Spares # {}
      [] Witness = "TwoCoordinatorsCopy" ->
            \E e, g \in Epochs : e # g /\ recovery[e].phase = "copying"
                                       /\ recovery[g].phase = "copying"
      [] Witness = "SealedBeyondAcknowledged" ->
            meta.state = "SEALED" /\ Len(meta.content) > CommittedOffset
      [] Witness = "BytesBeyondTheEnd" ->
            meta.state = "SEALED" /\ \E d \in meta.replicas : Len(log[d]) > Len(meta.content)
      [] Witness = "RolledBackDiskWaits" ->
            meta.state = "SEALED" /\ \E d \in Members : status[d] = "down"
                                                       /\ bootEpoch[d] < registered[d]
      [] Witness = "SealedWhileMemberLost" ->
            meta.state = "SEALED" /\ acked # {} /\ \E d \in damaged : status[d] = "lost"
      [] OTHER -> FALSE

Taken ==
    CASE Witness = "ZombieAcknowledges" ->
            meta.state = "RECOVERING" /\ acked' # acked
      [] Witness = "CloseOfADeadLeader" ->
            meta.state = "OPEN" /\ meta'.state = "SEALED" /\ ~leader.alive
      [] Witness = "FencedMemberAcknowledges" ->
            \E d \in Members : fence[d] > 0 /\ ackSent'[d] > ackSent[d]
      [] OTHER -> FALSE

WitnessNotReached == ~Reached

WitnessNotTaken == [][~Taken]_vars
=============================================================================
