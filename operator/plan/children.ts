/** Children that are not as they should be, and those that are not wanted any more. */
import { BOOTSTRAP_DISK_ANNOTATION } from '../api/walrusCluster.ts';
import { isMonitoring } from '../desired/monitoring.ts';
import { FIRST_ORDINAL } from '../desired/names.ts';
import { isMarked, unmarked } from '../desired/object.ts';
import type { Desired, KubernetesObject } from '../desired/types.ts';
import { placesHeld } from '../observe/types.ts';
import type { ChildView, Observed } from '../observe/types.ts';
import { contains } from './containment.ts';
import type { Finding } from './step.ts';
import type { Write } from './types.ts';

export function keyOf({ kind, name }: { readonly kind: string; readonly name: string }): string {
  return `${kind}/${name}`;
}

/** What the cluster itself needs. */
function neededOf({ statefulSet, others }: Desired): readonly KubernetesObject[] {
  return [...others.filter((object) => !isMonitoring(object)), statefulSet];
}

/** All of it that the API server can have; what only helps people to look comes last. */
function wantedOf(desired: Desired, { unserved }: Observed): readonly KubernetesObject[] {
  const extras = desired.others.filter(isMonitoring).filter(({ kind }) => !unserved.has(kind));
  return [...neededOf(desired), ...extras];
}

function existing({ children, statefulSet }: Observed, object: KubernetesObject): ChildView | null {
  if (object.kind === 'StatefulSet') return statefulSet;
  return children.get(keyOf({ kind: object.kind, name: object.metadata.name })) ?? null;
}

/** Somebody else's object under a name that we need: touched by nobody, and told. */
export function foreignObjects(desired: Desired, observed: Observed): readonly Finding[] {
  return neededOf(desired)
    .map((object) => existing(observed, object))
    .filter((view) => view !== null && !view.isOwned)
    .map((view): Finding => {
      const message =
        `${view?.kind} ${view?.name} exists and does not belong to this WalrusCluster: ` +
        'delete it, or give the WalrusCluster another name';
      return { type: 'ConfigurationValid', reason: 'ForeignObject', message };
    });
}

/** What the API server, or a hook of it, does not take as the spec has it. */
export function refusal(
  { kind, name }: { readonly kind: string; readonly name: string },
  why: string,
): Finding {
  const message = `${kind} ${name} is refused: ${why}`;
  return { type: 'ConfigurationValid', reason: 'Refused', message };
}

function writeOf({ statefulSet }: Desired, observed: Observed, object: KubernetesObject): Write {
  const view = observed.statefulSet;
  if (object !== statefulSet) return { type: 'Apply', object };
  if (view === null) return { type: 'Apply', object: sized(object, observed) };
  if (isMarked(view.object)) return { type: 'Apply', object };
  const { replicas, resourceVersion } = view;
  return { type: 'Apply', object, kept: { replicas, resourceVersion } };
}

/**
 * A StatefulSet that is made names its replicas at once: with fewer than it has pods (it was deleted around them) its
 * controller would delete the rest. Without the mark: it is applied once more, without `replicas`, which are the plan's then.
 */
function sized(object: KubernetesObject, observed: Observed): KubernetesObject {
  const { cluster } = observed;
  const { annotations = {} } = cluster.metadata;
  const hasBegun = annotations[BOOTSTRAP_DISK_ANNOTATION] !== undefined;
  const least = hasBegun ? FIRST_ORDINAL : cluster.spec.replicas;
  const replicas = Math.max(least, placesHeld(observed));
  return { ...unmarked(object), spec: { ...(object['spec'] as object), replicas } };
}

export function childWrites(desired: Desired, observed: Observed): readonly Write[] {
  const wanted = wantedOf(desired, observed);
  const applied = wanted
    .filter((object) => {
      const view = existing(observed, object);
      return view === null || (view.isOwned && !view.isDeleting && !contains(view.object, object));
    })
    .map((object) => writeOf(desired, observed, object));
  const keys = new Set(wanted.map(({ kind, metadata: { name } }) => keyOf({ kind, name })));
  const deleted = [...observed.children.values()]
    .filter((view) => view.isOwned && !view.isDeleting && !keys.has(keyOf(view)))
    .map(({ kind, name, uid }): Write => ({ type: 'Delete', kind, name, uid }));
  return [...applied, ...deleted];
}
