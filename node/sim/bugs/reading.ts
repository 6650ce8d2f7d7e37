/** Planted bugs of reading: what is given to readers, and where they go on (DESIGN 1.3, S1). */
import { HOST, LOSS, RECOVERY } from './barriers.ts';
import type { PlantedBug } from './types.ts';

const CURSORS = 'node/server/sharedCursors.ts';

export const READING_BUGS: readonly PlantedBug[] = [
  {
    name: 'ReadsPastCommitted',
    focus: 'powerFailureAtAcknowledgement',
    rule: 'W5',
    what: 'a member gives what it has, committed or not',
    foundBy: ['OffsetNeverReused', 'CommittedReadsOnly'],
    seeds: 40,
    knownSeed: 2,
    changes: [
      {
        file: HOST,
        find: 'const bound = segment.endOffset ?? hosted.committedOffset;',
        replace: 'const bound = segment.endOffset ?? hosted.replica.tail;',
      },
    ],
  },
  {
    name: 'ReadsPastTheEnd',
    focus: 'lagAndLose',
    rule: 'S1',
    what: 'a member of a sealed segment gives what it has beyond the end',
    foundBy: ['OffsetNeverReused', 'CommittedReadsOnly'],
    seeds: 40,
    knownSeed: 3,
    changes: [
      {
        file: HOST,
        find: 'const bound = segment.endOffset ?? hosted.committedOffset;',
        replace:
          'const bound = segment.endOffset === null ? hosted.committedOffset : hosted.replica.tail;',
      },
    ],
  },
  {
    name: 'StaleLease',
    rule: 'GET',
    what: 'a leader that was replaced while it was cut off says that there is nothing more before it hears of it',
    focus: 'staleLeader',
    foundBy: ['SharedCursor'],
    seeds: 20,
    knownSeed: 4,
    changes: [
      {
        file: 'node/controller/heartbeat.ts',
        find: 'if (this.isFresh) this.#renew(untilMs);',
        replace: 'if (!this.#isStopped) this.#renew(untilMs);',
      },
    ],
  },
  {
    name: 'LeaseWithoutQuorum',
    rule: 'GET',
    what: 'a metadata leader that is cut off gives leases until it notices, and another one takes their nodes for dead',
    focus: 'staleLeader',
    foundBy: ['SharedCursor'],
    seeds: 60,
    knownSeed: 1,
    changes: [
      {
        file: 'node/controller/controller.ts',
        find: 'await this.#barrier.wait();',
        replace: 'await Promise.resolve();',
      },
    ],
  },
  {
    name: 'ReplacedUnaware',
    rule: 'GET',
    what: 'another leader is put in the place of one that lives, has its lease, and does not know of it yet',
    focus: 'unfitLeader',
    foundBy: ['SharedCursor'],
    seeds: 200,
    knownSeed: 47,
    changes: [
      {
        file: RECOVERY,
        find: 'while (this.#options.mayStillLead(segment, decidedIndex)) {',
        replace: 'while (this.#options.mayStillLead(segment, decidedIndex) && segment.epoch < 0) {',
      },
    ],
  },
  {
    name: 'EndNotLookedAt',
    rule: 'GET',
    what: 'a node says that a topic has nothing more, of which one partition was not looked at: its new leader did not know of it yet',
    focus: 'lateSuccessor',
    foundBy: ['SharedCursor'],
    seeds: 90,
    knownSeed: 64,
    changes: [
      {
        file: CURSORS,
        find: 'if (handed.length > 0 || isEnd || failure !== null) return { handed, isEnd, failure };',
        replace:
          'if (failure === null) return { handed, isEnd: isEnd || handed.length === 0, failure };',
      },
    ],
  },
  {
    name: 'CursorNotDurable',
    rule: 'GET',
    what: "a new leader begins the topic's shared cursor anew",
    foundBy: ['SharedCursor'],
    seeds: 40,
    changes: [
      {
        file: CURSORS,
        find: 'const position = committedPosition(router.metadata, SHARED_GROUP, name) ?? offset(0);',
        replace:
          'const position = offset(committedPosition(router.metadata, SHARED_GROUP, name) === -1 ? 1 : 0);',
      },
    ],
  },
  {
    name: 'CursorSkipsUnconfirmed',
    rule: 'GET',
    what: 'a shared cursor counts what it has handed out as delivered',
    focus: 'lostDeliveries',
    foundBy: ['SharedCursor'],
    seeds: 40,
    changes: [
      {
        file: 'node/server/partitionCursor.ts',
        find: 'const lowest = this.#underWay.lowestBelow(this.#position);',
        replace:
          'const lowest = this.#underWay.lowestBelow(this.#position);\n    if (lowest >= 0) return this.#position;',
      },
    ],
  },
  {
    name: 'CursorGoesAhead',
    rule: 'GET',
    what: 'a shared cursor hands out newer records while older ones are under way through another node',
    focus: 'lostDeliveries',
    foundBy: ['SharedCursor'],
    seeds: 40,
    changes: [
      {
        file: 'node/server/underWay.ts',
        find: 'return this.#held.size === 0 || this.#taker === taker;',
        replace: 'return this.#held.size >= 0 || this.#taker === taker;',
      },
      {
        file: 'node/server/underWay.ts',
        find: 'return this.#taker === taker && this.#held.delete(at);',
        replace: 'return this.#held.delete(at);',
      },
    ],
  },
  {
    name: 'LostAnswerLeftOut',
    rule: 'GET',
    what: 'a node whose answer was lost gets newer records in the next one',
    focus: 'lostDeliveries',
    foundBy: ['SharedCursor'],
    seeds: 40,
    changes: [
      {
        file: 'node/server/underWay.ts',
        find: 'call.received === last.sequence',
        replace: 'call.received !== -1',
      },
    ],
  },
  {
    name: 'BrokenConnectionDelivers',
    rule: 'GET',
    what: 'a record counts as delivered when its connection breaks before its client is known to have it',
    focus: 'lostReplies',
    foundBy: ['SharedCursor'],
    seeds: 20,
    knownSeed: 1,
    changes: [
      {
        file: 'node/server/receipts.ts',
        find: 'each.settle(isInOrder && releasedAtMs !== null);',
        replace: 'each.settle(isInOrder || releasedAtMs !== undefined);',
      },
    ],
  },
  {
    name: 'WrittenIsDelivered',
    rule: 'GET',
    what: 'a record counts as delivered when its reply is written',
    focus: 'lostReplies',
    foundBy: ['SharedCursor'],
    seeds: 20,
    knownSeed: 1,
    changes: [
      {
        file: 'node/server/receipts.ts',
        find: 'this.#groups.push(group);',
        replace: 'this.#groups.push(group);\n    this.#settleFirst(-1);',
      },
    ],
  },
  {
    name: 'LookupWithoutBarrier',
    rule: 'linearizable',
    what: 'a node that does not know a topic says so without asking the metadata leader',
    foundBy: ['MetadataLinearizable'],
    seeds: 20,
    changes: [
      {
        file: 'node/server/router.ts',
        find: '    await this.barrier();\n    const found',
        replace: '    const found',
      },
    ],
  },
  {
    name: 'LateCommitCounts',
    focus: 'lateProposals',
    rule: 'client',
    what: 'a commit is applied whenever it comes, also behind newer ones',
    foundBy: ['GroupPositions'],
    seeds: 60,
    changes: [
      {
        file: 'client/groupPositions.ts',
        find: 'unchangedSince: this.#knownAt,',
        replace: 'unchangedSince: this.#knownAt === -1 ? 0 : undefined,',
      },
    ],
  },
  {
    name: 'CommitsWhatIsFetched',
    rule: 'client',
    what: 'a consumer commits the positions of what it has fetched, handed out or not',
    foundBy: ['ConsumerOrder', 'GroupPositions'],
    seeds: 20,
    changes: [
      {
        file: 'client/consumer.ts',
        find: '({ partition, position }) => ({ partition, offset: position })',
        replace: '({ partition, fetchOffset }) => ({ partition, offset: fetchOffset })',
      },
    ],
  },
  {
    name: 'ReplyBufferReused',
    rule: 'buffers',
    what: 'the records of a reply are in a buffer that is used again before they are sent',
    foundBy: ['Library', ...LOSS],
    seeds: 20,
    changes: [
      {
        file: 'node/server/binarySession.ts',
        find: 'this.#stream.write(part, index === last ? onReleased : undefined);',
        replace:
          'this.#stream.write(part, index === last ? onReleased : undefined);\n' +
          "      if (call.name === 'Fetch' && index === last) part.fill(0xdb);",
      },
    ],
  },
];
