/** Plants a bug: changes source text while modules are loaded. Call before anything of node/ is imported. */
import { registerHooks } from 'node:module';
import { PLANTED_BUGS } from './bugs/index.ts';
import type { PlantedBug, SourceChange } from './bugs/types.ts';

/** @throws {Error} when there is no such bug. */
export function bugNamed(name: string): PlantedBug {
  const bug = PLANTED_BUGS.find((planted) => planted.name === name);
  if (bug !== undefined) return bug;
  const names = PLANTED_BUGS.map((planted) => planted.name).join(', ');
  throw new Error(`There is no planted bug ${name}; there are ${names}`);
}

/** Makes the changes in every module that is loaded from now on. */
export function plant(bug: PlantedBug): void {
  registerHooks({
    load(url, context, nextLoad) {
      const result = nextLoad(url, context);
      const changes = bug.changes.filter(({ file }) => url.endsWith(`/${file}`));
      if (changes.length === 0) return result;
      const { source } = result;
      const text = typeof source === 'string' ? source : new TextDecoder().decode(source);
      return { ...result, source: changes.reduce(applyChange, text) };
    },
  });
}

/** @throws {Error} unless the text to find is there exactly once. */
export function applyChange(text: string, change: SourceChange): string {
  const parts = text.split(change.find);
  if (parts.length !== 2) {
    throw new Error(
      `${change.file} must have this once, has it ${parts.length - 1} times: ${change.find}`,
    );
  }
  return parts.join(change.replace);
}
