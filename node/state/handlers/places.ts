/** Rules on sets of places that several commands share. */
import type { MutableMetadata } from '../mutableMetadata.ts';
import { refuse } from '../result.ts';
import type { Refusal } from '../result.ts';
import type { ReplicaPlace } from '../types.ts';

/** Whether two values name the same copy's home. */
export function isSamePlace(a: ReplicaPlace, b: ReplicaPlace): boolean {
  return a.diskId === b.diskId && a.nodeId === b.nodeId;
}

/** Whether a place is in a list. */
export function includesPlace(places: readonly ReplicaPlace[], place: ReplicaPlace): boolean {
  return places.some((other) => isSamePlace(other, place));
}

/** The places of the first list that are not in the second. */
export function placesWithout(
  places: readonly ReplicaPlace[],
  removed: readonly ReplicaPlace[],
): readonly ReplicaPlace[] {
  return places.filter((place) => !includesPlace(removed, place));
}

/** Whether two lists without repeats name the same places, in any order. */
export function areSamePlaces(a: readonly ReplicaPlace[], b: readonly ReplicaPlace[]): boolean {
  return a.length === b.length && a.every((place) => includesPlace(b, place));
}

/** Two copies on one node would be lost together. */
export function checkDistinctNodes(places: readonly ReplicaPlace[]): Refusal | null {
  if (new Set(places.map((place) => place.nodeId)).size === places.length) return null;
  return refuse('MALFORMED', 'Cannot place two copies of a segment on one node');
}

/** Names the first place whose disk is not registered, for its node. */
export function checkRegistered(
  state: MutableMetadata,
  places: readonly ReplicaPlace[],
): Refusal | null {
  const missing = places.find((place) => !state.isRegistered(place));
  if (missing === undefined) return null;
  return refuse(
    'CONFLICT',
    `Cannot use disk ${missing.diskId} of node ${missing.nodeId}: it is lost or not registered`,
  );
}

/** How a place is written in messages. */
export function describePlaces(places: readonly ReplicaPlace[]): string {
  return places.map((place) => `${place.nodeId}/${place.diskId}`).join(', ');
}
