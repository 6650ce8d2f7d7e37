/** TLC's configuration files (`*.cfg`): replacing constants and reading which properties they name. */

/**
 * Replaces lines `Name = value` of a configuration.
 * @param config - The text of the file.
 * @param constants - New values by name.
 * @returns The text with each named line replaced.
 * @throws {Error} When a name has no such line: a misspelt override would prove nothing.
 */
export function overrideConstants(
  config: string,
  constants: Readonly<Record<string, string>>,
): string {
  let result = config;
  for (const [name, value] of Object.entries(constants)) {
    const line = new RegExp(`^([ \\t]*)${name}[ \\t]*(?:=|<-).*$`, 'm');
    if (!line.test(result)) throw new Error(`Cannot override ${name}: no line "${name} = ..."`);
    const operator = value.startsWith('<-') ? ' ' : ' = ';
    result = result.replace(line, (_, indent: string) => `${indent}${name}${operator}${value}`);
  }
  return result;
}

/**
 * Makes a configuration check one invariant and nothing else, as a witness needs: the claim that
 * it denies must fail, and the others would stop the search before it does.
 * @param config - The text of the file.
 * @param name - The invariant.
 * @returns The text without its other invariants and properties.
 */
export function checkOnly(config: string, name: string): string {
  const section =
    /^[ \t]*(?:INVARIANTS?|PROPERT(?:Y|IES))\b.*\n?(?:(?![ \t]*[A-Z_]{4,}\b).*\n?)*/gm;
  return `${config.replaceAll(section, '').trimEnd()}\nINVARIANT ${name}\n`;
}

/**
 * Lists the names under PROPERTY or PROPERTIES. TLC does not say which temporal property was
 * violated, so a mutant of one has a configuration that names only that.
 * @param config - The text of the file.
 * @returns The names in order.
 */
export function propertyNames(config: string): string[] {
  return namesUnder(config, /^PROPERT(?:Y|IES)$/);
}

/**
 * Lists the names under INVARIANT or INVARIANTS.
 * @param config - The text of the file.
 * @returns The names in order.
 */
export function invariantNames(config: string): string[] {
  return namesUnder(config, /^INVARIANTS?$/);
}

function namesUnder(config: string, section: RegExp): string[] {
  const names: string[] = [];
  let isInside = false;
  for (const word of wordsOf(config)) {
    if (/^[A-Z_]{4,}$/.test(word)) isInside = section.test(word);
    else if (isInside) names.push(word);
  }
  return names;
}

function wordsOf(config: string): string[] {
  const withoutComments = config.replaceAll(/\\\*.*$/gm, '').replaceAll(/\(\*[\s\S]*?\*\)/g, '');
  return withoutComments.split(/\s+/).filter((word) => word !== '');
}
