/** What a planted bug is. */
import type { SourceChange } from '../../../base/testing/plant.ts';
import type { Property } from '../properties.ts';
import type { ScenarioKind } from '../scenarios.ts';

export interface PlantedBug {
  readonly name: string;
  /** Of DESIGN section 2, or of the Raft paper. */
  readonly rule: string;
  readonly what: string;
  readonly changes: readonly SourceChange[];
  /** What must find it: one of these. A run that fails otherwise, or crashes, shows nothing about the rule. */
  readonly foundBy: readonly [Property, ...Property[]];
  /** The scenario that aims at the rule; undefined: any run will do. */
  readonly focus?: ScenarioKind;
  /** Seeds 1..seeds find it: several times the mean that was measured (`--bugs --measure`). */
  readonly seeds: number;
  /** One that finds it in the present code, tried first. When it does so no more, take the one that `--bugs` prints. */
  readonly knownSeed?: number;
}
