/** Planted bugs of the operator: each breaks one of its promises, to show that the stories notice. */
import type { SourceChange } from '../../base/testing/plant.ts';

export type StoryName =
  | 'boundMeanwhile'
  | 'changedMinds'
  | 'cutOff'
  | 'drained'
  | 'fewer'
  | 'forgotten'
  | 'hanging'
  | 'hostWanted'
  | 'hung'
  | 'joinedMeanwhile'
  | 'madeAgain'
  | 'orphaned'
  | 'plans'
  | 'refused'
  | 'sideBySide'
  | 'startingAgain'
  | 'troubled'
  | 'undisturbed';

export interface OperatorBug {
  readonly name: string;
  /** Which finds it. */
  readonly story: StoryName;
  readonly what: string;
  /** Any of these shows it. */
  readonly foundBy: readonly string[];
  readonly changes: readonly SourceChange[];
}

/** The nodes' verdict is asked again before the restart; without that a plan that ignores it is refused there. */
const NOT_ASKED_AGAIN: SourceChange = {
  file: 'operator/apply/applier.ts',
  find: 'if (isGated) await this.#askAgain(observed, ordinal);',
  replace: 'if (isGated) void observed;',
};

export const OPERATOR_BUGS: readonly OperatorBug[] = [
  {
    name: 'RollIgnoresCanRestart',
    story: 'refused',
    what: 'a roll restarts a node that the nodes refuse to let go',
    foundBy: ['NoRefusedRestart'],
    changes: [
      {
        file: 'operator/plan/rolling.ts',
        find: 'if (!canRestart.isAllowed) {',
        replace: 'if (canRestart.epoch < 0) {',
      },
      NOT_ASKED_AGAIN,
    ],
  },
  {
    name: 'RollTakesTheLeader',
    story: 'undisturbed',
    what: 'the metadata leader is restarted without handing over',
    foundBy: ['LeaderMovesFirst'],
    changes: [
      {
        file: 'operator/plan/rolling.ts',
        find: 'if (ordinal === leader && hasHeir(situation, leader)) {',
        replace: 'if (ordinal < 0) {',
      },
    ],
  },
  {
    name: 'TransfersWithoutHeir',
    story: 'plans',
    what: 'the only voter is asked for ever to hand over what nobody can take',
    foundBy: ['Converges'],
    changes: [
      {
        file: 'operator/plan/rolling.ts',
        find: 'if (ordinal === leader && hasHeir(situation, leader)) {',
        replace: 'if (ordinal === leader && situation.places.length > 1) {',
      },
    ],
  },
  {
    name: 'RecoversOntoFailure',
    story: 'startingAgain',
    what: 'a node that starts again is moved to a revision that does not run',
    foundBy: ['StopsWhereItFails'],
    changes: [
      {
        file: 'operator/plan/recovery.ts',
        find: 'if (failing !== null) return isLong && !mayComeBack(pod, failing);',
        replace: 'if (failing !== null) return true;',
      },
    ],
  },
  {
    name: 'RecoversWherePulled',
    story: 'startingAgain',
    what: 'a node whose image cannot be pulled for long is moved to a revision that does not run',
    foundBy: ['StopsWhereItFails'],
    changes: [
      {
        file: 'operator/plan/recovery.ts',
        find: 'if (isLong && LASTING_TROUBLES.has(pod.trouble)) return true;',
        replace: 'if (isLong && LASTING_TROUBLES.size > 0) return true;',
      },
    ],
  },
  {
    name: 'RecoversOntoHanging',
    story: 'hanging',
    what: 'a node that starts again is moved to a revision that is not seen to run',
    foundBy: ['StopsWhereItFails'],
    changes: [
      {
        file: 'operator/plan/recovery.ts',
        find: 'return coming.every((place) => !mayComeBack(pod, place));',
        replace: 'return coming.every((place) => place.isCurrent);',
      },
    ],
  },
  {
    name: 'FailureForgotten',
    story: 'startingAgain',
    what: 'a revision whose container runs for a moment between two crashes is taken for one that runs',
    foundBy: ['FailureStaysTold'],
    changes: [
      {
        file: 'operator/plan/situation.ts',
        find: 'return places.find(isStill) ?? null;',
        replace: 'return places.find(isStill) === undefined ? null : null;',
      },
    ],
  },
  {
    name: 'RecoversWhilePaused',
    story: 'startingAgain',
    what: 'a node that starts again is upgraded while upgrades are paused',
    foundBy: ['PausedRestartsNobody'],
    changes: [
      {
        file: 'operator/plan/recovery.ts',
        find: 'if (!isRevisionKnown(situation) || isPaused(situation)) return null;',
        replace: 'if (!isRevisionKnown(situation)) return null;',
      },
    ],
  },
  {
    name: 'ReadyTooEarly',
    story: 'plans',
    what: 'a change that is only written is called Ready',
    foundBy: ['ReadyIsTrue'],
    changes: [
      {
        file: 'operator/plan/conditions.ts',
        find: 'return hasAll && isRevisionKnown(situation) && places.every(({ isCurrent }) => isCurrent);',
        replace: 'return hasAll && typeof isRevisionKnown === "function";',
      },
    ],
  },
  {
    name: 'VerdictNotAskedAgain',
    story: 'changedMinds',
    what: 'a restart is done on a verdict that is old by then',
    foundBy: ['NoRefusedRestart'],
    changes: [NOT_ASKED_AGAIN],
  },
  {
    name: 'RestartsPastTheBudget',
    story: 'drained',
    what: 'a restart takes no heed of the drain of a host at the same time',
    foundBy: ['OneAtATime'],
    changes: [
      {
        file: 'operator/apply/applier.ts',
        find: 'if (isWithinBudget) await this.#evict({ namespace, name }, uid);',
        replace: 'if (isWithinBudget === null) await this.#evict({ namespace, name }, uid);',
      },
    ],
  },
  {
    name: 'JoinedMeanwhile',
    story: 'joinedMeanwhile',
    what: 'a node that waited to join is restarted for it after it has joined',
    foundBy: ['NoRefusedRestart'],
    changes: [
      {
        file: 'operator/apply/applier.ts',
        find: 'else await this.#askWhetherItServes(observed, ordinal);',
        replace: '',
      },
    ],
  },
  {
    name: 'BootstrapTwice',
    story: 'plans',
    what: 'a first node with a new disk begins the cluster again',
    foundBy: ['BeginsOnce'],
    changes: [
      {
        file: 'operator/plan/bootstrap.ts',
        find: 'if (bootstrapDisk === first.diskId) return',
        replace: 'if (bootstrapDisk !== ON_EXISTING_VOLUMES) return',
      },
    ],
  },
  {
    name: 'BeginsWithoutNotes',
    story: 'plans',
    what: 'a cluster begins before its volume claims say so',
    foundBy: ['NotesThatItBegins'],
    changes: [
      {
        file: 'operator/plan/bootstrap.ts',
        find: 'if (writes.length > 0) {',
        replace: 'if (writes.length < 0) {',
      },
    ],
  },
  {
    name: 'StoppingHasBegun',
    story: 'madeAgain',
    what: 'a node that stops before it has joined is taken for one that knows the cluster',
    foundBy: ['Converges'],
    changes: [
      {
        file: 'operator/plan/bootstrap.ts',
        find: 'MEMBERS.has(phase)',
        replace: '(MEMBERS.has(phase) || phase === "Stopping")',
      },
    ],
  },
  {
    name: 'BeginningForgotten',
    story: 'forgotten',
    what: 'a cluster whose annotation is lost is taken for one that has not begun',
    foundBy: ['BeginsOnce', 'GrowsWhole'],
    changes: [
      {
        file: 'operator/plan/bootstrap.ts',
        find: 'return isProven(situation) ? notingAgain(situation) : null;',
        replace: 'return situation.places.length < 0 ? notingAgain(situation) : null;',
      },
    ],
  },
  {
    name: 'NotesNotRead',
    story: 'madeAgain',
    what: 'volumes of a cluster that had begun are taken for fresh ones',
    foundBy: ['BeginsOnce'],
    changes: [
      {
        file: 'operator/plan/bootstrap.ts',
        find: 'flatMap((claim) => claim.bootstrapDisk ?? [])',
        replace: 'flatMap((): string[] => [])',
      },
      {
        file: 'operator/plan/bootstrap.ts',
        find: 'noted !== ON_EXISTING_VOLUMES || isNoted',
        replace: 'noted !== ON_EXISTING_VOLUMES || isNoted === undefined',
      },
    ],
  },
  {
    name: 'BeginsUnasked',
    story: 'madeAgain',
    what: 'volumes without a note are taken for fresh ones before all of their nodes have said so',
    foundBy: ['BeginsOnce'],
    changes: [
      {
        file: 'operator/plan/bootstrap.ts',
        find: 'if (silent.length === 0) return',
        replace: 'if (silent.length >= 0) return',
      },
    ],
  },
  {
    name: 'StatusEachPass',
    story: 'undisturbed',
    what: 'the status is written although nothing of it has changed',
    foundBy: ['IdleWritesNothing'],
    changes: [
      {
        file: 'operator/controller/reconciler.ts',
        find: 'if (!isDeepStrictEqual(status, cluster.status))',
        replace: '',
      },
    ],
  },
  {
    name: 'AppliesEachPass',
    story: 'undisturbed',
    what: 'children are applied although they are as they should be',
    foundBy: ['Converges', 'IdleWritesNothing'],
    changes: [
      {
        file: 'operator/plan/children.ts',
        find: '(view.isOwned && !view.isDeleting && !contains(view.object, object))',
        replace: '(view.isOwned && !view.isDeleting)',
      },
    ],
  },
  {
    name: 'SizeFromMembers',
    story: 'undisturbed',
    what: 'the wanted size is what members are seen',
    foundBy: ['Converges', 'NeverShrinks'],
    changes: [
      {
        file: 'operator/plan/scaling.ts',
        find: 'const wanted = observed.cluster.spec.replicas;',
        replace:
          'const wanted = observed.admin.cluster?.nodes.length ?? observed.cluster.spec.replicas;',
      },
    ],
  },
  {
    name: 'FenceIgnored',
    story: 'hung',
    what: 'an operator that does not hold the lease any more writes on',
    foundBy: ['DeposedWritesNothing', 'NoRefusedRestart'],
    changes: [
      {
        file: 'operator/kube/lease.ts',
        find: 'if (!isHeld) throw new Deposed(',
        replace: 'if (isHeld === undefined) throw new Deposed(',
      },
    ],
  },
  {
    name: 'LeaseTakenAtOnce',
    story: 'undisturbed',
    what: 'the lease of another is taken before it has expired',
    foundBy: ['DeposedWritesNothing'],
    changes: [
      {
        file: 'operator/kube/lease.ts',
        find: 'return nowMs - this.#seen.atMs > (spec.leaseDurationSeconds ?? LEASE_S) * 1000;',
        replace: 'return true;',
      },
    ],
  },
  {
    name: 'ApplyResetsReplicas',
    story: 'undisturbed',
    what: 'the generic apply of the StatefulSet sets its replicas',
    foundBy: ['GrowsWhole', 'NeverShrinks'],
    changes: [
      {
        file: 'operator/desired/statefulSet.ts',
        find: 'serviceName: namesOf(cluster).nodes,',
        replace: 'serviceName: namesOf(cluster).nodes, replicas: cluster.spec.replicas,',
      },
    ],
  },
  {
    name: 'MadeWithOneReplica',
    story: 'orphaned',
    what: 'a StatefulSet that is made again around its pods begins with one of them',
    foundBy: ['NeverShrinks'],
    changes: [
      {
        file: 'operator/plan/children.ts',
        find: 'Math.max(least, placesHeld(observed))',
        replace: 'Math.max(least, 0 * placesHeld(observed))',
      },
    ],
  },
  {
    name: 'ReplicasTakenBack',
    story: 'orphaned',
    what: 'the replicas with which a StatefulSet was made are owned by nobody once it is applied without them',
    foundBy: ['NeverShrinks'],
    changes: [
      {
        file: 'operator/apply/applier.ts',
        find: 'if (kept !== undefined) await this.#keepReplicas(object, kept);',
        replace: 'void kept;',
      },
    ],
  },
  {
    name: 'TakesVolumesBack',
    story: 'fewer',
    what: 'a place is taken back although its pod has had a volume',
    foundBy: ['NeverShrinks'],
    changes: [
      {
        file: 'operator/plan/scaling.ts',
        find: 'ordinal > placesHeld(observed);',
        replace: 'placesHeld(observed) > 0;',
      },
    ],
  },
  {
    name: 'TakesMembersBack',
    story: 'fewer',
    what: 'any last place is taken back, whoever is there',
    foundBy: ['NeverShrinks'],
    changes: [
      {
        file: 'operator/plan/scaling.ts',
        find: 'wanted < replicas && isTakenBack(situation)',
        replace: 'wanted < replicas && typeof isTakenBack === "function"',
      },
    ],
  },
  {
    name: 'HostTaken',
    story: 'hostWanted',
    what: 'a pod is restarted while another one waits for a host, which takes its',
    foundBy: ['KeepsItsHost'],
    changes: [
      {
        file: 'operator/plan/rolling.ts',
        find: 'if (homeless !== null) return hostWanted(ordinal, homeless);',
        replace: 'if (homeless?.ordinal === 0) return hostWanted(ordinal, homeless);',
      },
    ],
  },
  {
    name: 'BoundMeanwhile',
    story: 'boundMeanwhile',
    what: 'a place is taken back although its pod has found a host meanwhile',
    foundBy: ['NeverShrinks'],
    changes: [
      {
        file: 'operator/apply/applier.ts',
        find: 'if (to < from) await this.#askWhetherItIsUnused(cluster, from);',
        replace: '',
      },
    ],
  },
  {
    name: 'GrowsBeforeCaughtUp',
    story: 'undisturbed',
    what: 'a node is added while another one has not caught up',
    foundBy: ['GrowsWhole'],
    changes: [
      {
        file: 'operator/plan/scaling.ts',
        find: 'if (missing !== undefined) return {',
        replace: 'if (missing?.ordinal === -1) return {',
      },
    ],
  },
  {
    name: 'VotersBeforeNodes',
    story: 'plans',
    what: 'more voters are asked for before the nodes are there, and whole',
    foundBy: ['VotersAreThere'],
    changes: [
      {
        file: 'operator/plan/voters.ts',
        find: 'if (!areThere) return waiting(`waiting for the nodes, to go from ${change}`);',
        replace: '',
      },
    ],
  },
  {
    name: 'NotReadyServesNothing',
    story: 'cutOff',
    what: 'a pod that is not ready is taken for one that serves nothing',
    foundBy: ['NoRefusedRestart'],
    changes: [
      {
        file: 'operator/plan/situation.ts',
        find: 'if (node !== null) return isIdle(node);',
        replace: 'if (node === null) return true;',
      },
    ],
  },
  {
    name: 'ExpiredWatchGoesOn',
    story: 'troubled',
    what: 'a watch that has expired is taken up where it was, for ever',
    foundBy: ['Converges'],
    changes: [
      {
        file: 'operator/kube/listWatch.ts',
        find: 'if (isExpired) this.#resourceVersion = null;',
        replace: '',
      },
    ],
  },
  {
    name: 'ClaimIgnored',
    story: 'sideBySide',
    what: 'an operator acts on a cluster that another installation looks after',
    foundBy: ['OneInstallationActs'],
    changes: [
      {
        file: 'operator/controller/reconciler.ts',
        find: 'else if (operator !== lease) await this.#leave(cluster, operator);',
        replace: 'else if (operator === "") await this.#leave(cluster, lease);',
      },
    ],
  },
  {
    name: 'ClaimTakenOver',
    story: 'sideBySide',
    what: 'of two installations that claim a cluster at once, the later one takes it from the other',
    foundBy: ['OneInstallationActs'],
    changes: [
      {
        file: 'operator/apply/applier.ts',
        find: 'body: { metadata: { annotations, resourceVersion } },',
        replace: 'body: { metadata: { annotations } },',
      },
    ],
  },
  {
    name: 'SilentWatchLives',
    story: 'troubled',
    what: 'a watch that says nothing is waited for, for ever',
    foundBy: ['Converges'],
    changes: [
      {
        file: 'operator/kube/listWatch.ts',
        find: 'this.#options.clock.setTimer(SILENCE_MS_MAX, () => abort.abort())',
        replace: 'this.#options.clock.setTimer(SILENCE_MS_MAX, () => undefined)',
      },
    ],
  },
];
