import { beforeAll, describe, expect, test } from '@jest/globals';
import fs from 'node:fs';
import path from 'node:path';
import { DASHBOARDS } from './dashboards/index.ts';
import { dashboardJson } from './dashboards/json.ts';
import { knownMetrics, problemsOf } from './testing/knownMetrics.ts';
import type { KnownMetrics } from './testing/knownMetrics.ts';

const PANELS = DASHBOARDS.flatMap(({ title: dashboard, variables, rows }) =>
  rows.flatMap(({ panels }) =>
    panels.map((panel) => ({ dashboard, variables, panel, title: panel.title })),
  ),
);

interface Placed {
  readonly id: number;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
}

describe('the dashboards', () => {
  let known: KnownMetrics;

  beforeAll(async () => {
    known = await knownMetrics();
  });

  test.each(PANELS)('$dashboard, $title: asks for what there is', ({ panel, variables }) => {
    for (const { expr } of panel.queries) {
      expect(problemsOf(expr, known)).toEqual([]);
      const used = [...expr.matchAll(/\$(\w+)/g)].map(([, name]) => name);
      const there = ['__rate_interval', ...variables.map(({ name }) => name)];
      for (const name of used) expect(there).toContain(name);
    }
  });

  test.each(PANELS)('$dashboard, $title: says what it shows, in sentences', ({ panel }) => {
    expect(panel.description).toMatch(/^\w.+\.$/);
  });

  test.each(PANELS)('$dashboard, $title: names its series when there are several', ({ panel }) => {
    if (panel.type !== 'timeseries') return;
    for (const { legend } of panel.queries) expect(legend).not.toBe('');
  });

  test.each(DASHBOARDS)('$title: panels lie beside each other', (dashboard) => {
    const { panels } = dashboardJson(dashboard) as { panels: readonly Placed[] };
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const { gridPos } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken).not.toContain(`${x},${y}`);
          taken.add(`${x},${y}`);
        }
      }
    }
  });

  test('have rows whose lines are full', () => {
    for (const { rows } of DASHBOARDS)
      for (const { title, panels } of rows)
        expect([title, panels.reduce((sum, { width }) => sum + width, 0) % 24]).toEqual([title, 0]);
  });

  test('are called in the runbook as they are', () => {
    const runbook = fs.readFileSync(path.resolve(__dirname, '../../docs/operations.md'), 'utf8');
    const called = [...runbook.matchAll(/\*(Walrus \/ [^*]+)\*, row ([A-Z][a-z]+)/g)];
    expect(called.length).toBeGreaterThan(3);
    for (const [, title, row = ''] of called) {
      const dashboard = DASHBOARDS.find((each) => each.title === title);
      expect(dashboard?.rows.map((each) => each.title)).toContain(row);
    }
  });
});
