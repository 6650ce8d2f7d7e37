---------------------------- MODULE DiskIdentity ----------------------------
(***************************************************************************)
(* How a disk gets admitted at boot (I2): the steps that Segment takes as  *)
(* one action, Boot.  One disk identity, its medium, the process on it and *)
(* its entry in the metadata.  The medium may be put back to an old image  *)
(* while the process is off; the process may crash after every step.       *)
(*                                                                         *)
(* The superblock holds bootEpoch, the nonce of that boot, and whether the *)
(* metadata are known to have it.  A boot that was not yet registered is   *)
(* tried again with the same epoch and nonce, it does not count up.        *)
(***************************************************************************)
EXTENDS Naturals

CONSTANTS
    MaxEpoch,   \* Highest boot epoch looked at.
    MaxNonce,   \* How many boots draw a nonce.
    MaxWrites,  \* How many records the disk acknowledges.
    Mutant

VARIABLES
    medium,     \* The superblock and content: [epoch, nonce, registered, writes].
    metadata,   \* What is registered: [epoch, nonce].
    process,    \* "off", "booting", "running", or "refused" (for good: the disk is LOST).
    images,     \* Images that somebody keeps; at most one at a time.
    nonces,     \* How many nonces have been drawn; stands for randomness.
    acked,      \* Ghost: how many writes the identity has acknowledged.
    isStale     \* Ghost: the medium was put back and lacks acknowledged writes.

vars == <<medium, metadata, process, images, nonces, acked, isStale>>

Init ==
    /\ medium = [epoch |-> 1, nonce |-> 1, registered |-> TRUE, writes |-> 0]
    /\ metadata = [epoch |-> 1, nonce |-> 1]
    /\ process = "running"
    /\ images = {}
    /\ nonces = 1
    /\ acked = 0
    /\ isStale = FALSE

CountsUp == medium.registered \/ Mutant = "EpochRisesWithEachAttempt"

\* Before anything else, durably.
BootWrites ==
    /\ process = "off" /\ Mutant # "RegisteredBeforeWritten"
    /\ process' = "booting"
    /\ IF CountsUp
       THEN /\ medium.epoch < MaxEpoch /\ nonces < MaxNonce
            /\ medium' = [medium EXCEPT !.epoch = @ + 1, !.nonce = nonces + 1,
                                        !.registered = FALSE]
            /\ nonces' = nonces + 1
       ELSE UNCHANGED <<medium, nonces>>
    /\ UNCHANGED <<metadata, images, acked, isStale>>

IsNext ==
    IF Mutant = "EpochRisesWithEachAttempt" THEN medium.epoch > metadata.epoch
    ELSE medium.epoch = metadata.epoch + 1

IsSame ==
    /\ medium.epoch = metadata.epoch
    /\ medium.nonce = metadata.nonce \/ Mutant = "NonceNotCompared"

\* The compare-and-set in the metadata. Its answer may be lost: BootNotes need not follow.
MetadataRegisters ==
    /\ process = "booting" /\ ~medium.registered /\ IsNext
    /\ metadata' = [epoch |-> medium.epoch, nonce |-> medium.nonce]
    /\ UNCHANGED <<medium, process, images, nonces, acked, isStale>>

\* The answer: it is noted durably and the process serves.
BootNotes ==
    /\ process = "booting" /\ IsSame
    /\ medium' = [medium EXCEPT !.registered = TRUE]
    /\ process' = "running"
    /\ UNCHANGED <<metadata, images, nonces, acked, isStale>>

BootIsRefused ==
    /\ process = "booting" /\ ~IsSame /\ ~IsNext
    /\ process' = "refused"
    /\ UNCHANGED <<medium, metadata, images, nonces, acked, isStale>>

\* The other order: metadata first, superblock second.
BootRegistersFirst ==
    /\ Mutant = "RegisteredBeforeWritten" /\ process = "off"
    /\ IF medium.epoch = metadata.epoch
       THEN /\ medium.epoch < MaxEpoch /\ process' = "booting"
            /\ metadata' = [metadata EXCEPT !.epoch = @ + 1]
       ELSE process' = "refused" /\ UNCHANGED metadata
    /\ UNCHANGED <<medium, images, nonces, acked, isStale>>

BootWritesSecond ==
    /\ Mutant = "RegisteredBeforeWritten" /\ process = "booting"
    /\ medium' = [medium EXCEPT !.epoch = metadata.epoch]
    /\ process' = "running"
    /\ UNCHANGED <<metadata, images, nonces, acked, isStale>>

Write ==
    /\ process = "running" /\ acked < MaxWrites
    /\ acked' = acked + 1
    /\ medium' = [medium EXCEPT !.writes = @ + 1]
    /\ UNCHANGED <<metadata, process, images, nonces, isStale>>

\* Also after a refusal: an operator or a supervisor starts the node again and again.
Crash ==
    /\ process # "off"
    /\ process' = "off"
    /\ UNCHANGED <<medium, metadata, images, nonces, acked, isStale>>

ImageIsTaken ==
    /\ images' = {medium}
    /\ UNCHANGED <<medium, metadata, process, nonces, acked, isStale>>

\* The assumption: the disk has been registered with a later boot since the image was taken.
ImageIsPutBack ==
    /\ process = "off"
    /\ \E image \in images :
        /\ image.epoch < metadata.epoch
        /\ medium' = image
        /\ isStale' = TRUE
    /\ UNCHANGED <<metadata, process, images, nonces, acked>>

Next ==
    \/ BootWrites \/ MetadataRegisters \/ BootNotes \/ BootIsRefused
    \/ BootRegistersFirst \/ BootWritesSecond
    \/ Write \/ Crash \/ ImageIsTaken \/ ImageIsPutBack

Spec == Init /\ [][Next]_vars

TypeOK ==
    /\ medium.epoch \in 1..MaxEpoch /\ metadata.epoch \in 1..MaxEpoch
    /\ medium.nonce \in 1..MaxNonce /\ metadata.nonce \in 1..MaxNonce
    /\ process \in {"off", "booting", "running", "refused"}
    /\ nonces \in 1..MaxNonce

\* A disk that serves has everything that its identity has acknowledged.
AdmittedIsCurrent == process = "running" => medium.writes = acked

\* A disk that was never put back is never refused, wherever its boots crashed.
IntactNeverRefused == process = "refused" => isStale
=============================================================================
