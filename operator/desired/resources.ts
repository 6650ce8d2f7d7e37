/** What each node asks for, and may take: each amount that the spec leaves out has its default. */
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { compareAmounts } from './quantity.ts';

type Amounts = Readonly<Record<string, string | number>>;

const REQUESTS: Amounts = { cpu: '250m', memory: '256Mi' };
const LIMITS: Amounts = { memory: '1Gi' };

/**
 * A default gives way to what is given: a request is never more than a given limit, nor a limit less than a given request, which the API server
 * would refuse.
 */
export function resourcesOf({ spec }: WalrusCluster): object {
  const { requests = {}, limits = {} } = spec.resources ?? {};
  return {
    requests: withDefaults(requests, REQUESTS, (fallback, name) => lesser(fallback, limits[name])),
    limits: withDefaults(limits, LIMITS, (fallback, name) => greater(fallback, requests[name])),
  };
}

type Amount = string | number;

function withDefaults(
  given: Amounts,
  defaults: Amounts,
  fit: (fallback: Amount, name: string) => Amount,
): Amounts {
  const fitted = Object.entries(defaults).map(([name, fallback]) => [name, fit(fallback, name)]);
  return { ...Object.fromEntries(fitted), ...given } as Amounts;
}

function lesser(fallback: Amount, given: Amount | undefined): Amount {
  return given !== undefined && (compareAmounts(given, fallback) ?? 0) < 0 ? given : fallback;
}

function greater(fallback: Amount, given: Amount | undefined): Amount {
  return given !== undefined && (compareAmounts(given, fallback) ?? 0) > 0 ? given : fallback;
}
