/** A dashboard as Grafana imports it (schema 39, Grafana 10 and newer). Pure; the same input gives the same bytes. */
import type { Dashboard, Panel, Row, StatPanel, TablePanel, TimePanel, Variable } from './panel.ts';

const SCHEMA_VERSION = 39;
const COLUMNS = 24;
const HEIGHTS = { stat: 4, timeseries: 8, table: 8 } as const satisfies Record<
  Panel['type'],
  number
>;
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
const LETTERS = 'ABCDEFGH';

interface Position {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

export function dashboardJson(dashboard: Dashboard): unknown {
  const { uid, title, description, variables, rows } = dashboard;
  return {
    uid,
    title,
    description,
    tags: ['walrus'],
    editable: true,
    graphTooltip: 1,
    schemaVersion: SCHEMA_VERSION,
    timezone: 'browser',
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    annotations: { list: [] },
    links: [
      {
        title: 'Walrus',
        type: 'dashboards',
        tags: ['walrus'],
        asDropdown: true,
        includeVars: true,
        keepTime: true,
      },
    ],
    templating: { list: [datasourceVariable(), ...variables.map(variableJson)] },
    panels: place(rows),
  };
}

function datasourceVariable(): unknown {
  return { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' };
}

function variableJson({ name, label, query, isMulti = false }: Variable): unknown {
  return {
    name,
    label,
    type: 'query',
    datasource: DATASOURCE,
    query: { query, refId: name },
    refresh: 2, // when the time range changes
    sort: 1,
    multi: isMulti,
    includeAll: isMulti,
    ...(isMulti ? { current: { text: 'All', value: '$__all' }, allValue: '.*' } : {}),
  };
}

/** Rows one below the other; in each, panels from left to right and on to the next line. */
function place(rows: readonly Row[]): unknown[] {
  const placed: unknown[] = [];
  let y = 0;
  for (const { title, panels } of rows) {
    placed.push({
      id: placed.length + 1,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
      panels: [],
    });
    y += 1;
    let x = 0;
    let lineHeight = 0;
    for (const panel of panels) {
      if (x + panel.width > COLUMNS) [x, y, lineHeight] = [0, y + lineHeight, 0];
      const h = HEIGHTS[panel.type];
      placed.push({ id: placed.length + 1, ...panelJson(panel, { x, y, w: panel.width, h }) });
      x += panel.width;
      lineHeight = Math.max(lineHeight, h);
    }
    y += lineHeight;
  }
  return placed;
}

function panelJson(panel: Panel, gridPos: Position): object {
  const { type, title, description } = panel;
  const isNow = type !== 'timeseries';
  return {
    type,
    title,
    description,
    datasource: DATASOURCE,
    gridPos,
    targets: panel.queries.map(({ expr, legend }, index) => ({
      refId: LETTERS.charAt(index),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      ...(isNow ? { instant: true, range: false } : { range: true }),
      ...(type === 'table' ? { format: 'table' } : {}),
    })),
    ...detailsOf(panel),
  };
}

function detailsOf(panel: Panel): object {
  switch (panel.type) {
    case 'stat':
      return statDetails(panel);
    case 'timeseries':
      return timeDetails(panel);
    case 'table':
      return tableDetails(panel);
  }
}

function thresholdSteps({ thresholds = [{ value: null, color: 'green' }] }: Panel): object {
  return { mode: 'absolute', steps: thresholds };
}

function statDetails(panel: StatPanel): object {
  const { unit, mappings = {}, showsName = false } = panel;
  const options = Object.fromEntries(
    Object.entries(mappings).map(([value, shown], index) => [value, { ...shown, index }]),
  );
  return {
    fieldConfig: {
      defaults: {
        unit,
        color: { mode: 'thresholds' },
        thresholds: thresholdSteps(panel),
        mappings: Object.keys(options).length === 0 ? [] : [{ type: 'value', options }],
      },
      overrides: [],
    },
    options: {
      colorMode: 'background',
      graphMode: 'none',
      textMode: showsName ? 'name' : 'auto',
      justifyMode: 'auto',
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
    },
  };
}

function timeDetails(panel: TimePanel): object {
  const { unit, isStacked = false, max, thresholds } = panel;
  return {
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...(max === undefined ? {} : { max }),
        color: { mode: 'palette-classic' },
        thresholds: thresholdSteps(panel),
        custom: {
          lineWidth: 1,
          fillOpacity: isStacked ? 30 : 8,
          showPoints: 'never',
          stacking: { mode: isStacked ? 'normal' : 'none', group: 'A' },
          thresholdsStyle: { mode: thresholds === undefined ? 'off' : 'line' },
        },
      },
      overrides: [],
    },
    options: {
      legend: { displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'max'] },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
  };
}

function tableDetails({ unit, columns }: TablePanel): object {
  const names = Object.keys(columns);
  return {
    fieldConfig: { defaults: { unit, custom: { align: 'auto', filterable: true } }, overrides: [] },
    options: { showHeader: true, cellHeight: 'sm' },
    transformations: [
      { id: 'filterFieldsByName', options: { include: { names } } },
      {
        id: 'organize',
        options: {
          indexByName: Object.fromEntries(names.map((name, index) => [name, index])),
          renameByName: columns,
        },
      },
    ],
  };
}
