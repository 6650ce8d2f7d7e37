/**
 * Plants a bug: changes source text while modules are loaded, so that production code holds no switch for it. Call before
 * anything that it changes is imported. A bug cannot quietly stop being one: a text that is not there exactly once fails, and
 * so does a file that was loaded before, or is not loaded at all.
 */
import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';

export interface SourceChange {
  /** Path from the root of the repository. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/**
 * Makes the changes in every module that is loaded from now on.
 * @returns What to call once everything is loaded: it throws unless every change has been made.
 */
export function plant(planted: readonly SourceChange[]): () => void {
  const missing = new Set(planted.map(({ file }) => file));
  registerHooks({
    load(url, context, nextLoad) {
      const result = nextLoad(url, context);
      const changes = planted.filter(({ file }) => url.endsWith(`/${file}`));
      if (changes.length === 0) return result;
      const { source } = result;
      const text = typeof source === 'string' ? source : new TextDecoder().decode(source);
      for (const { file } of changes) missing.delete(file);
      return { ...result, source: changes.reduce(applyChange, text) };
    },
  });
  return () => {
    if (missing.size === 0) return;
    const files = [...missing].join(', ');
    throw new Error(`Nothing is planted in ${files}: loaded before it was to be, or not at all`);
  };
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

/** For a test: that every change applies to the source as it is, changes it, and leaves code. @throws {Error} otherwise */
export function checkChanges(changes: readonly SourceChange[]): void {
  for (const file of new Set(changes.map((change) => change.file))) {
    const source = readFileSync(file, 'utf8');
    const planted = changes.filter((change) => change.file === file).reduce(applyChange, source);
    if (planted === source) throw new Error(`Nothing is changed in ${file}`);
    stripTypeScriptTypes(planted);
  }
}
