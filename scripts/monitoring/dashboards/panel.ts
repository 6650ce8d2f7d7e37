/** The panels of a Grafana dashboard, as they are declared; layout.ts places them and dashboard.ts makes JSON of them. */

/** Grafana's words for units. */
export type Unit =
  | 'short'
  | 'none'
  | 'percentunit'
  | 's'
  | 'bytes'
  | 'Bps'
  | 'ops'
  | 'reqps'
  | 'cps'
  | 'dateTimeFromNow';

export interface Query {
  readonly expr: string;
  /** `{{label}}` is filled in. */
  readonly legend: string;
}

/** From `value` on it has this colour; the first one has none. */
export interface Threshold {
  readonly value: number | null;
  readonly color: 'green' | 'yellow' | 'orange' | 'red' | 'blue';
}

interface PanelBase {
  readonly title: string;
  /** What it shows, and what is good. */
  readonly description: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  readonly thresholds?: readonly Threshold[];
  /** Of 24. */
  readonly width: number;
}

/** One number, as it is now. */
export interface StatPanel extends PanelBase {
  readonly type: 'stat';
  readonly mappings?: Readonly<Record<string, { readonly text: string; readonly color: string }>>;
  /** Show the label instead of the number. */
  readonly showsName?: boolean;
}

/** Lines over time. */
export interface TimePanel extends PanelBase {
  readonly type: 'timeseries';
  /** One upon the other, for parts of a whole. */
  readonly isStacked?: boolean;
  readonly max?: number;
}

/** A row for each series, as it is now. */
export interface TablePanel extends PanelBase {
  readonly type: 'table';
  /** Labels that are shown, in this order, with their headings. */
  readonly columns: Readonly<Record<string, string>>;
}

export type Panel = StatPanel | TimePanel | TablePanel;

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** A choice at the top of a dashboard. */
export interface Variable {
  readonly name: string;
  readonly label: string;
  readonly query: string;
  /** Several at once, all of them at first. */
  readonly isMulti?: boolean;
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly rows: readonly Row[];
}

export const GOOD_AT_ZERO: readonly Threshold[] = [
  { value: null, color: 'green' },
  { value: 1, color: 'red' },
];
export const PLAIN: readonly Threshold[] = [{ value: null, color: 'blue' }];

export function thresholds(warning: number, critical: number): readonly Threshold[] {
  return [
    { value: null, color: 'green' },
    { value: warning, color: 'yellow' },
    { value: critical, color: 'red' },
  ];
}

export function stat(panel: Omit<StatPanel, 'type'>): StatPanel {
  return { type: 'stat', ...panel };
}

export function graph(panel: Omit<TimePanel, 'type'>): TimePanel {
  return { type: 'timeseries', ...panel };
}

export function table(panel: Omit<TablePanel, 'type'>): TablePanel {
  return { type: 'table', ...panel };
}

const QUANTILES: Readonly<Record<string, number>> = { p50: 0.5, p99: 0.99, 'p99.9': 0.999 };

/** Quantiles of a histogram. @param selector - Of its `_bucket`. @param by - Labels that stay apart. */
export function quantiles(
  selector: string,
  which: readonly (keyof typeof QUANTILES)[],
  by: readonly string[] = [],
): readonly Query[] {
  const labels = [...by, 'le'].join(', ');
  const legend = by.map((label) => `{{${label}}} `).join('');
  return which.map((name) => ({
    expr: `histogram_quantile(${QUANTILES[name]}, sum by (${labels}) (rate(${selector}[$__rate_interval])))`,
    legend: `${legend}${name}`,
  }));
}
