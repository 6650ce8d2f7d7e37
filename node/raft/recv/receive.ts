/** The switch over messages, after the rules on terms. */
import type { Message } from '../messages.ts';
import type { Raft } from '../raft.ts';
import { requestRead } from '../readIndex.ts';
import { admitTerm } from '../terms.ts';
import type { ServerId } from '../types.ts';
import { recvAppendEntries } from './appendEntries.ts';
import { recvAppendEntriesResponse } from './appendEntriesResponse.ts';
import { recvInstallSnapshot } from './installSnapshot.ts';
import { recvInstallSnapshotResponse } from './installSnapshotResponse.ts';
import { recvRequestVote } from './requestVote.ts';
import { recvRequestVoteResponse } from './requestVoteResponse.ts';
import { recvTimeoutNow } from './timeoutNow.ts';

/** Acts on a message. It may be old, repeated or out of order. */
export function receive(raft: Raft, from: ServerId, message: Message): void {
  if (from === raft.id || !admitTerm(raft, from, message)) return;
  switch (message.type) {
    case 'RequestVote':
      recvRequestVote(raft, from, message);
      return;
    case 'RequestVoteResponse':
      recvRequestVoteResponse(raft, from, message);
      return;
    case 'AppendEntries':
      recvAppendEntries(raft, from, message);
      return;
    case 'AppendEntriesResponse':
      recvAppendEntriesResponse(raft, from, message);
      return;
    case 'InstallSnapshot':
      recvInstallSnapshot(raft, from, message);
      return;
    case 'InstallSnapshotResponse':
      recvInstallSnapshotResponse(raft, from, message);
      return;
    case 'TimeoutNow':
      recvTimeoutNow(raft, from);
      return;
    case 'ReadIndexRequest':
      requestRead(raft, message.context, from);
      return;
    case 'ReadIndexResponse':
      raft.output.readStates.push({ context: message.context, index: message.index });
      return;
  }
}
