/**
 * Planted bugs: each breaks one rule of the design, to show that the simulator finds it. They are changes of the
 * source text, made while the module is loaded (`--bug NAME`): production code holds no switch for them. A text
 * that is not found exactly once fails, so that a bug cannot quietly stop being one.
 */
import { ADMISSION_BUGS } from './admission.ts';
import { BEGINNING_BUGS } from './beginning.ts';
import { CLOSING_BUGS } from './closing.ts';
import { DAMAGE_BUGS } from './damage.ts';
import { METADATA_BUGS } from './metadata.ts';
import { READING_BUGS } from './reading.ts';
import { WRITE_PATH_BUGS } from './writePath.ts';
import type { PlantedBug } from './types.ts';

export const PLANTED_BUGS: readonly PlantedBug[] = [
  ...WRITE_PATH_BUGS,
  ...CLOSING_BUGS,
  ...READING_BUGS,
  ...METADATA_BUGS,
  ...DAMAGE_BUGS,
  ...ADMISSION_BUGS,
  ...BEGINNING_BUGS,
];

/** Whether a run that breaks a property shows that a bug is found. */
export function isFoundBy(bug: PlantedBug | undefined, property: string): boolean {
  return bug?.foundBy.some((expected) => expected === property) === true;
}

/** @throws {Error} when there is no such bug. */
export function bugNamed(name: string): PlantedBug {
  const bug = PLANTED_BUGS.find((planted) => planted.name === name);
  if (bug !== undefined) return bug;
  const names = PLANTED_BUGS.map((planted) => planted.name).join(', ');
  throw new Error(`There is no planted bug ${name}; there are ${names}`);
}
