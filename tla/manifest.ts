/**
 * The manifests `*.models.json`: which models, mutants and witnesses a specification has, and what
 * each of them must show. Pure: checks decoded JSON, reads no files.
 */

/** A configuration of the real specification; it must pass. */
export interface Model {
  readonly name: string;
  readonly size: 'small' | 'large';
  readonly module: string;
  readonly config: string;
  /** One sentence: what the configuration covers. */
  readonly checks: string;
  /** The exact count that TLC prints; absent where symmetry lets it vary. */
  readonly distinctStates?: number;
  readonly constants?: Readonly<Record<string, string>>;
}

/** A broken specification, or a negated claim of reachability; it must fail as named. */
export interface Mutant {
  readonly name: string;
  readonly rule: string;
  /** One sentence: what is broken, or which state is shown to be reachable. */
  readonly change: string;
  readonly module: string;
  readonly config: string;
  readonly constants?: Readonly<Record<string, string>>;
  /** The INVARIANT, the PROPERTY, or `Deadlock`. */
  readonly violates: string;
}

/** All that is known of one specification. */
export interface Manifest {
  readonly spec: string;
  readonly models: readonly Model[];
  readonly mutants: readonly Mutant[];
  readonly witnesses: readonly Mutant[];
}

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Checks a decoded manifest and gives it its type.
 * @param json - The decoded JSON.
 * @param source - The file's name, for messages.
 * @returns The manifest; `witnesses` is empty where the file has none.
 * @throws {Error} When a field is missing, unknown or of the wrong type.
 */
export function parseManifest(json: unknown, source: string): Manifest {
  const object = toObject(json, source);
  refuseUnknown(object, ['spec', 'models', 'mutants', 'witnesses'], source);
  const parsed: Manifest = {
    spec: toText(object['spec'], `${source}: spec`),
    models: toList(object['models'], `${source}: models`).map((item, index) =>
      parseModel(item, `${source}: models[${String(index)}]`),
    ),
    mutants: toList(object['mutants'], `${source}: mutants`).map((item, index) =>
      parseMutant(item, `${source}: mutants[${String(index)}]`),
    ),
    witnesses: toList(object['witnesses'] ?? [], `${source}: witnesses`).map((item, index) =>
      parseMutant(item, `${source}: witnesses[${String(index)}]`),
    ),
  };
  refuseRepeatedNames(parsed, source);
  return parsed;
}

function parseModel(json: unknown, where: string): Model {
  const object = toObject(json, where);
  const known = ['name', 'size', 'module', 'config', 'checks', 'distinctStates', 'constants'];
  refuseUnknown(object, known, where);
  const { size, distinctStates } = object as { size?: unknown; distinctStates?: unknown };
  if (size !== 'small' && size !== 'large') throw new Error(`${where}: size is small or large`);
  if (distinctStates !== undefined && !isCount(distinctStates)) {
    throw new Error(`${where}: distinctStates is a whole number`);
  }
  return {
    name: toText(object['name'], `${where}: name`),
    size,
    module: toText(object['module'], `${where}: module`),
    config: toText(object['config'], `${where}: config`),
    checks: toText(object['checks'], `${where}: checks`),
    ...(distinctStates === undefined ? {} : { distinctStates }),
    ...parseConstants(object['constants'], where),
  };
}

function parseMutant(json: unknown, where: string): Mutant {
  const object = toObject(json, where);
  const known = ['name', 'rule', 'change', 'module', 'config', 'constants', 'violates'];
  refuseUnknown(object, known, where);
  return {
    name: toText(object['name'], `${where}: name`),
    rule: toText(object['rule'], `${where}: rule`),
    change: toText(object['change'], `${where}: change`),
    module: toText(object['module'], `${where}: module`),
    config: toText(object['config'], `${where}: config`),
    violates: toText(object['violates'], `${where}: violates`),
    ...parseConstants(object['constants'], where),
  };
}

function parseConstants(json: unknown, where: string): { constants?: Record<string, string> } {
  if (json === undefined) return {};
  const entries = Object.entries(toObject(json, `${where}: constants`)).map(
    ([name, value]) => [name, toText(value, `${where}: constants.${name}`)] as const,
  );
  return { constants: Object.fromEntries(entries) };
}

function refuseRepeatedNames(manifest: Manifest, source: string): void {
  const seen = new Set<string>();
  for (const { name } of [...manifest.models, ...manifest.mutants, ...manifest.witnesses]) {
    if (seen.has(name)) throw new Error(`${source}: the name ${name} is used twice`);
    seen.add(name);
  }
}

function refuseUnknown(object: JsonObject, known: readonly string[], where: string): void {
  const unknown = Object.keys(object).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new Error(`${where}: unknown field ${unknown}`);
}

function toObject(json: unknown, where: string): JsonObject {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as JsonObject;
  throw new Error(`${where}: is not an object`);
}

function toList(json: unknown, where: string): readonly unknown[] {
  if (Array.isArray(json)) return json;
  throw new Error(`${where}: is not a list`);
}

function toText(json: unknown, where: string): string {
  if (typeof json === 'string' && json !== '') return json;
  throw new Error(`${where}: is not a text`);
}

function isCount(json: unknown): json is number {
  return Number.isSafeInteger(json) && Number(json) >= 0;
}
