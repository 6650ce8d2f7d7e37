/** A StatefulSet of the model: what was applied, and what its status, a tick behind, says of it. */
import type { KubernetesObject } from '../../desired/types.ts';
import type { StatefulSetView } from '../../observe/types.ts';

export class ModelStatefulSet {
  readonly uid: string;
  object: KubernetesObject;
  replicas: number;
  #version = 0;
  /** Counts the templates. */
  #revision = 0;
  #observed = { version: 0, revision: 0 };

  constructor(uid: string, object: KubernetesObject) {
    this.uid = uid;
    this.object = object;
    this.replicas = replicasOf(object) ?? 1;
    this.#changed(true);
  }

  /** Of new pods. */
  get revision(): string {
    return String(this.#revision);
  }

  apply(object: KubernetesObject): void {
    const isOther = JSON.stringify(templateOf(object)) !== JSON.stringify(templateOf(this.object));
    this.replicas = replicasOf(object) ?? this.replicas;
    this.object = object;
    this.#changed(isOther);
  }

  /** Its controller takes up what has changed. */
  tick(): void {
    this.#observed = { version: this.#version, revision: this.#revision };
  }

  view(): StatefulSetView {
    return {
      kind: 'StatefulSet',
      name: this.object.metadata.name,
      uid: this.uid,
      resourceVersion: String(this.#version),
      object: this.object,
      isOwned: true,
      isDeleting: false,
      replicas: this.replicas,
      updateRevision: String(this.#observed.revision),
      observedGeneration: this.#observed.version,
      generation: this.#version,
    };
  }

  #changed(isOtherTemplate: boolean): void {
    this.#version += 1;
    if (isOtherTemplate) this.#revision += 1;
  }
}

export function replicasOf(object: KubernetesObject): number | undefined {
  return (object['spec'] as { replicas?: number }).replicas;
}

function templateOf(object: KubernetesObject): unknown {
  return (object['spec'] as { template: unknown }).template;
}
