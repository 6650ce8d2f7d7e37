/** Amounts as Kubernetes writes them: `10Gi`, `500m`, `0.5`, 2. */
const QUANTITY =
  /^(?<sign>[+-]?)(?<whole>[0-9]*)\.?(?<part>[0-9]*)(?:(?<unit>[numkMGTPE]|[KMGTPE]i)|[eE](?<exponent>[+-]?[0-9]{1,2}))?$/;

interface QuantityParts {
  readonly sign: string;
  readonly whole: string;
  readonly part: string;
  readonly unit?: string;
  readonly exponent?: string;
}

/** Powers of ten. */
const DECIMAL: Readonly<Record<string, number>> = {
  ...{ n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 },
};
/** Powers of two. */
const BINARY: Readonly<Record<string, number>> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };

/** @returns Below 0 when the first is less, above 0 when it is more; null when either is no amount. */
export function compareAmounts(a: unknown, b: unknown): number | null {
  const one = amountOf(a);
  const other = amountOf(b);
  if (one === null || other === null) return null;
  const decimals = Math.max(one.decimals, other.decimals);
  const difference = withDecimals(one, decimals) - withDecimals(other, decimals);
  return difference < 0n ? -1 : Number(difference > 0n);
}

/** Exact: `digits` / 10^`decimals`. As floating-point numbers 0.7 and 700 * 0.001 are not the same. */
interface Amount {
  readonly digits: bigint;
  readonly decimals: number;
}

function withDecimals({ digits, decimals }: Amount, wanted: number): bigint {
  return digits * 10n ** BigInt(wanted - decimals);
}

function amountOf(value: unknown): Amount | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  const groups = QUANTITY.exec(String(value))?.groups as QuantityParts | undefined;
  if (groups === undefined || groups.whole + groups.part === '') return null;
  const { sign, whole, part, unit = '', exponent = '0' } = groups;
  const digits = BigInt(whole + part) << BigInt(BINARY[unit] ?? 0);
  const decimals = part.length - (DECIMAL[unit] ?? 0) - Number(exponent);
  return { digits: sign === '-' ? -digits : digits, decimals };
}
