/** docs/admin-api.md says of every reason and every request what the code does. */
import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { REFUSAL_REASONS } from '../../../protocol/admin/types.ts';
import { adminRoutes } from '../../io/adminRoutes.ts';
import { AdminApi } from './adminApi.ts';
import type { AdminNode } from './adminApi.ts';
import { answerOf, refusal } from './refusal.ts';

const text = readFileSync('docs/admin-api.md', 'utf8');

function cells(line: string): string[] {
  return line
    .slice(1, -1)
    .split(' | ')
    .map((cell) => cell.trim());
}

test('every reason is documented: its status, a meaning and a remedy', () => {
  const rows = text
    .split('\n')
    .filter((line) => /^\| `[A-Z][A-Za-z]+` \|/.test(line))
    .map(cells);
  expect(rows.map(([reason, status]) => [reason, status])).toEqual(
    REFUSAL_REASONS.map((reason) => [
      `\`${reason}\``,
      String(answerOf(refusal(reason, 'why')).status),
    ]),
  );
  for (const row of rows) {
    expect(row).toHaveLength(4);
    for (const cell of row.slice(2)) expect(cell.length).toBeGreaterThan(10);
  }
});

interface Layer {
  readonly route?: { readonly path: string; readonly stack: readonly { method: string }[] };
  readonly handle?: { readonly stack?: readonly Layer[] };
}

/** The paths that the routes take, as documented: `GET /admin/v1/nodes/N/can-restart`. */
function routesOf(layers: readonly Layer[]): string[] {
  return layers.flatMap(({ route, handle }) => {
    if (route === undefined) return routesOf(handle?.stack ?? []);
    const path = route.path.replace(':node', 'N');
    return route.stack.map(({ method }) => `${method.toUpperCase()} /admin/v1${path}`);
  });
}

test('every request is documented', () => {
  const documented = text
    .split('\n')
    .flatMap((line) => /^\| `((?:GET|POST|DELETE) [^`]+)` \|/.exec(line)?.[1] ?? []);
  // Express types the layers of a router loosely.
  const router = adminRoutes(new AdminApi({} as AdminNode)) as unknown as {
    stack: readonly Layer[];
  };
  expect([...documented].sort()).toEqual(routesOf(router.stack).sort());
});
