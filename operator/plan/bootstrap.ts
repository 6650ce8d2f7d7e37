/** How a cluster begins, once (ADR 0150). */
import type { NodePhase } from '../../protocol/admin/types.ts';
import { BOOTSTRAP_DISK_ANNOTATION, CLUSTER_ID_ANNOTATION } from '../api/walrusCluster.ts';
import { FIRST_ORDINAL } from '../desired/names.ts';
import type { ClaimView } from '../observe/types.ts';
import type { Situation } from './situation.ts';
import { POLL_MS } from './step.ts';
import type { Step } from './step.ts';
import type { Operation, Write } from './types.ts';

/** Instead of a disk: the volumes held a cluster already, so that none is begun here. */
export const ON_EXISTING_VOLUMES = 'existing-volumes';

function operation(step: string, blockedBy: string | null = null): Operation {
  return { kind: 'Bootstrap', ordinal: FIRST_ORDINAL, step, blockedBy };
}

function annotate({ observed }: Situation, annotations: Readonly<Record<string, string>>): Write {
  const { resourceVersion } = observed.cluster.metadata;
  return { type: 'Annotate', annotations, resourceVersion };
}

/**
 * Who the cluster is, before anything else is made.
 * @param newId - Random; taken only when neither the cluster nor its volumes have an id.
 */
export function identify(situation: Situation, newId: string): Step | null {
  if (situation.clusterId !== null) return null;
  const leaving = situation.observed.claims.filter(({ isDeleting }) => isDeleting);
  if (leaving.length > 0) return waitingToGo(leaving);
  const ids = new Set(
    situation.observed.claims.flatMap(({ clusterId }) => (clusterId === null ? [] : [clusterId])),
  );
  if (ids.size > 1) {
    const message = `The volume claims are of several clusters (${[...ids].sort().join(', ')}): delete those that are not wanted`;
    return {
      findings: [{ type: 'ConfigurationValid', reason: 'ForeignObject', message }],
      isLast: true,
    };
  }
  const [existing] = ids;
  const annotations =
    existing === undefined
      ? { [CLUSTER_ID_ANNOTATION]: newId }
      : {
          [CLUSTER_ID_ANNOTATION]: existing,
          [BOOTSTRAP_DISK_ANNOTATION]: begunOn(situation.observed.claims),
        };
  return {
    writes: [annotate(situation, annotations)],
    operation: operation('writing the cluster id down'),
    isLast: true,
  };
}

/** As the claims have it. With none that has it, who is to know is asked later. */
function begunOn(claims: readonly ClaimView[]): string {
  const [disk, ...others] = new Set(claims.flatMap((claim) => claim.bootstrapDisk ?? []));
  return disk === undefined || others.length > 0 ? ON_EXISTING_VOLUMES : disk;
}

/** What is on them is lost, and new pods could not have them: neither taken over nor begun upon. */
function waitingToGo(leaving: readonly ClaimView[]): Step {
  const names = leaving.map(({ name }) => name).join(', ');
  const blockedBy = `being deleted: ${names}`;
  return {
    operation: operation('waiting until the old volume claims are gone', blockedBy),
    requeueAfterMs: POLL_MS,
    isLast: true,
  };
}

/** Those that do not say yet that their cluster has begun. */
function notes(
  { observed, clusterId, bootstrapDisk }: Situation,
  isPrecaution: boolean,
): readonly Write[] {
  if (bootstrapDisk === null) return [];
  return observed.claims
    .filter((claim) => claim.clusterId === clusterId && claim.bootstrapDisk === null)
    .filter(({ isDeleting }) => !isDeleting)
    .map(({ name, uid }) => ({ type: 'NoteClaim', name, uid, bootstrapDisk, isPrecaution }));
}

/** Of later nodes, and of clusters that began with an earlier version: what says so to whoever makes the cluster again. */
export function noteBegun(situation: Situation): Step | null {
  if (situation.bootstrapDisk === null) return isProven(situation) ? notingAgain(situation) : null;
  const writes = hasBegun(situation) ? notes(situation, true) : [];
  return writes.length === 0 ? null : { writes, isLast: false };
}

/** From the first pods until the cluster exists. */
export function bootstrap(situation: Situation): Step | null {
  const { places, bootstrapDisk, clusterId, observed } = situation;
  if (observed.statefulSet === null || clusterId === null || hasBegun(situation)) return null;
  const first = places[0]?.node ?? null;
  if (first?.phase !== 'Joining' || first.diskId === null) {
    // Noted already: what can be mended meanwhile is mended.
    return bootstrapDisk === null ? waiting(first === null) : null;
  }
  if (bootstrapDisk === null) return beginningOn(situation, first.diskId);
  if (bootstrapDisk === first.diskId) return begin(situation, clusterId, first.diskId);
  return onOther(situation, bootstrapDisk, first.diskId);
}

/** Its annotation has gone, or was never restored, and the cluster is there, or its claims say that it began. */
function isProven(situation: Situation): boolean {
  return hasBegun(situation) || ownClaims(situation).some((claim) => claim.bootstrapDisk !== null);
}

function notingAgain(situation: Situation): Step {
  const disk = begunOn(ownClaims(situation));
  return {
    writes: [annotate(situation, { [BOOTSTRAP_DISK_ANNOTATION]: disk })],
    operation: operation('writing down again on which disk it began'),
    isLast: true,
  };
}

function ownClaims({ observed, clusterId }: Situation): readonly ClaimView[] {
  return observed.claims.filter((claim) => claim.clusterId === clusterId);
}

/** The first node's disk is not the one that is noted. */
function onOther(situation: Situation, noted: string, found: string): Step {
  const isNoted = situation.observed.claims.some((claim) => claim.bootstrapDisk !== null);
  const hasProof = noted !== ON_EXISTING_VOLUMES || isNoted;
  return hasProof ? lost(noted, found) : unproven(situation, found);
}

function begin(situation: Situation, clusterId: string, diskId: string): Step {
  const writes = notes(situation, false);
  // Before it begins: whatever happens then, these volumes are never again taken for fresh ones.
  if (writes.length > 0) {
    const step = 'noting on the volume claims that it begins';
    return { writes, operation: operation(step), isLast: true };
  }
  return {
    risky: { type: 'Bootstrap', ordinal: FIRST_ORDINAL, clusterId, diskId },
    operation: operation('beginning the cluster'),
    events: [{ type: 'Normal', reason: 'Bootstrapping', message: beginning(clusterId, diskId) }],
    requeueAfterMs: POLL_MS,
    isLast: true,
  };
}

function beginningOn(situation: Situation, diskId: string): Step {
  return {
    writes: [annotate(situation, { [BOOTSTRAP_DISK_ANNOTATION]: diskId })],
    operation: operation('writing down on which disk it begins'),
    isLast: true,
  };
}

/**
 * The volumes existed, and no claim says that a cluster began on them: it never did, or with an earlier version. When the nodes
 * of all of them say that they are part of none, there is none.
 */
function unproven(situation: Situation, diskId: string): Step {
  const { observed, places } = situation;
  const silent = observed.claims.filter(
    ({ ordinal, volumeName }) =>
      volumeName !== null && places[ordinal - FIRST_ORDINAL]?.node?.phase !== 'Joining',
  );
  if (silent.length === 0) return beginningOn(situation, diskId);
  const names = silent.map(({ name }) => name).join(', ');
  const blockedBy = `the nodes of ${names} cannot be asked`;
  return {
    operation: operation(
      'finding out whether a cluster began on the volumes that existed',
      blockedBy,
    ),
    requeueAfterMs: POLL_MS,
    isLast: false,
  };
}

/** Of nodes that are part of a cluster. One that is stopping may never have been. */
const MEMBERS: ReadonlySet<NodePhase> = new Set(['Registering', 'Serving', 'Draining']);

/** Some node knows the cluster: nothing may ever begin it again. */
function hasBegun({ observed }: Situation): boolean {
  const { cluster, nodes } = observed.admin;
  return cluster !== null || [...nodes.values()].some(({ phase }) => MEMBERS.has(phase));
}

function waiting(isUnreachable: boolean): Step {
  const blockedBy = isUnreachable ? 'the node cannot be asked yet' : null;
  return {
    operation: operation('waiting for the first node', blockedBy),
    requeueAfterMs: POLL_MS,
    // A first template that does not run is mended like any other.
    isLast: false,
  };
}

function beginning(clusterId: string, diskId: string): string {
  return `Beginning the cluster ${clusterId} on node ${FIRST_ORDINAL}, disk ${diskId}`;
}

function lost(noted: string, found: string): Step {
  const past =
    noted === ON_EXISTING_VOLUMES
      ? 'The WalrusCluster was made on volume claims of a cluster that had begun, but'
      : `The cluster was begun on disk ${noted}, but`;
  const message =
    `${past} node ${FIRST_ORDINAL} has the new disk ${found}, and no node that can be asked ` +
    'knows the cluster. Bring the old volumes back, or, if no data is to be kept, delete the WalrusCluster and its ' +
    'volume claims, and make it again';
  return {
    findings: [{ type: 'ConfigurationValid', reason: 'BootstrapDiskLost', message }],
    operation: operation('beginning the cluster', 'BootstrapDiskLost'),
    requeueAfterMs: 10 * POLL_MS,
    // Others may only be slow to start: what helps them goes on.
    isLast: false,
  };
}
