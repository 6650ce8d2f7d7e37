----------------------------- MODULE MCSegment -----------------------------
(* Segment for the model checker: which processes are alike. *)
EXTENDS Segment, TLC

CONSTANTS m1, m2, m3, m4, m5, s1 \* Names of disks for the configurations.

\* The members other than the leader's are interchangeable, and so are the spares: no rule of
\* Segment names one of them. Used for safety only; liveness is checked without symmetry.
Symmetry == Permutations(Members \ {LeaderDisk}) \cup Permutations(Spares)
=============================================================================
