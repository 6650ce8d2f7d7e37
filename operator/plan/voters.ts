/**
 * As many metadata voters as wanted, once the nodes for it are there and nothing else is under way. The metadata leader is
 * asked for the number; it promotes or demotes nodes itself, one after the other.
 */
import type { Situation } from './situation.ts';
import { POLL_MS } from './step.ts';
import type { Step } from './step.ts';
import type { Operation } from './types.ts';

/** Where the spec names none. Nodes begin a cluster with as many. */
const METADATA_VOTERS = 3;

export function changeVoters(situation: Situation): Step | null {
  const { observed, places, leader, bootstrapDisk } = situation;
  const { spec } = observed.cluster;
  const { cluster } = observed.admin;
  const wanted = spec.metadataVoters ?? METADATA_VOTERS;
  // By the default, with fewer nodes: as many as they allow, which the nodes see to.
  if (bootstrapDisk === null || cluster === null || wanted > spec.replicas) return null;
  const count = cluster.nodes.filter(({ role }) => role === 'Voter').length;
  if (cluster.metadataVoters === wanted && count === wanted) return null;
  const change = `${count} to ${wanted} metadata voters`;
  if (cluster.metadataVoters === wanted) return waiting(`from ${change}, one after the other`);
  const areThere = places.length >= wanted && places.every(({ isWhole }) => isWhole);
  if (!areThere) return waiting(`waiting for the nodes, to go from ${change}`);
  if (leader === null) return waiting(`waiting for a metadata leader, to go from ${change}`);
  return {
    risky: { type: 'SetVoters', leader, metadataVoters: wanted, epoch: cluster.epoch },
    operation: operation(`asking for ${wanted} metadata voters`),
    events: [{ type: 'Normal', reason: 'ChangingVoters', message: `From ${change}` }],
    requeueAfterMs: POLL_MS,
    isLast: true,
  };
}

function operation(step: string): Operation {
  return { kind: 'ChangeVoters', ordinal: null, step, blockedBy: null };
}

function waiting(step: string): Step {
  return { operation: operation(step), isAside: true, requeueAfterMs: POLL_MS, isLast: true };
}
