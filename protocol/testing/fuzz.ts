/**
 * Fuzzing of decoders: valid inputs are damaged by a seeded random, so that a failure can be repeated. A decoder
 * must succeed or throw a WalrusError with a documented code; nothing else, and without large allocations.
 * FUZZ_COUNT sets the number of damaged inputs for each decoder (`npm run fuzz`: a million); each series then prints a line.
 */
import { expect } from '@jest/globals';
import { ERROR_CODES, WalrusError, messageOf } from '../../base/errors.ts';
import { SeededRandom, between, chance, pick } from '../../base/random.ts';

/** Damaged inputs for each decoder in a normal run. */
const DEFAULT_COUNT = 2_000;
/** Numbers that lengths and counts are often wrong by. */
const EDGE_BYTES = [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff] as const;

/** How many damaged inputs to try. */
export function fuzzCount(): number {
  const wanted = Number(process.env['FUZZ_COUNT'] ?? DEFAULT_COUNT);
  if (!Number.isSafeInteger(wanted) || wanted < 1) throw new Error('FUZZ_COUNT must be a number');
  return wanted;
}

/** A damaged copy of an input: 1 to 4 changes. */
export function mutate(random: SeededRandom, input: Uint8Array): Uint8Array {
  let bytes: Uint8Array = input.slice();
  const changes = between(random, 1, 4);
  for (let i = 0; i < changes; i += 1) bytes = mutateOnce(random, bytes);
  return bytes;
}

function mutateOnce(random: SeededRandom, bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return new Uint8Array([random.uint32() & 0xff]);
  const at = between(random, 0, bytes.length - 1);
  switch (between(random, 0, 6)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << between(random, 0, 7));
      return bytes;
    case 1:
      bytes[at] = random.uint32();
      return bytes;
    case 2:
      bytes[at] = pick(random, EDGE_BYTES);
      return bytes;
    case 3: // a whole field of one value
      bytes.fill(pick(random, EDGE_BYTES), at, at + pick(random, [2, 4, 8]));
      return bytes;
    case 4:
      return bytes.slice(0, at);
    case 5: // a part again, somewhere else
      bytes.copyWithin(between(random, 0, bytes.length - 1), at, at + between(random, 1, 16));
      return bytes;
    default:
      return insert(random, bytes, at);
  }
}

function insert(random: SeededRandom, bytes: Uint8Array, at: number): Uint8Array {
  const count = between(random, 1, 8);
  const longer = new Uint8Array(bytes.length + count);
  longer.set(bytes.subarray(0, at));
  for (let i = 0; i < count; i += 1) longer[at + i] = random.uint32();
  longer.set(bytes.subarray(at), at + count);
  return longer;
}

export interface FuzzResult {
  readonly accepted: number;
  readonly refused: number;
}

/**
 * Gives damaged inputs to a decoder.
 * @throws {Error} With the seed and the input in hex, when the decoder fails in any other way than it may.
 */
export function fuzz(
  seed: number,
  inputs: readonly Uint8Array[],
  decode: (bytes: Uint8Array) => unknown,
): FuzzResult {
  const stackTraceLimit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0; // stacks of refusals take most of the time
  const startMs = performance.now();
  try {
    const result = run(new SeededRandom(seed), inputs, decode);
    if (fuzzCount() !== DEFAULT_COUNT) report(result, performance.now() - startMs);
    return result;
  } catch (error) {
    throw new Error(`fuzz with seed ${seed}: ${messageOf(error)}`, { cause: error });
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function report({ accepted, refused }: FuzzResult, tookMs: number): void {
  const { currentTestName = '' } = expect.getState();
  const counts = `${accepted + refused} inputs, ${accepted} accepted, ${refused} refused`;
  process.stdout.write(`fuzz: ${counts}, ${(tookMs / 1000).toFixed(1)} s  ${currentTestName}\n`);
}

function run(
  random: SeededRandom,
  inputs: readonly Uint8Array[],
  decode: (bytes: Uint8Array) => unknown,
): FuzzResult {
  const count = fuzzCount();
  let accepted = 0;
  for (let index = 0; index < count; index += 1) {
    const isDamaged = chance(random, 0.98);
    const base = isDamaged ? pick(random, inputs) : new Uint8Array(between(random, 0, 64));
    const input = mutate(random, base);
    try {
      decode(input);
      accepted += 1;
    } catch (error) {
      if (error instanceof WalrusError && error.code in ERROR_CODES) continue;
      const hex = Buffer.from(input).toString('hex');
      throw new Error(`run ${index}, input ${hex}: ${messageOf(error)}`, { cause: error });
    }
  }
  return { accepted, refused: count - accepted };
}
