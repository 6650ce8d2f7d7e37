/** Draws a dashboard with its data as an SVG: what Grafana would show, by a renderer of a few hundred lines. Pure. */
import type {
  Panel,
  StatPanel,
  TablePanel,
  TimePanel,
  Threshold,
} from '../../../scripts/monitoring/dashboards/panel.ts';
import { formatted } from './format.ts';

/** A line of a graph, or a value of a number or a row of a table (one point). */
export interface Shown {
  readonly legend: string;
  readonly metric: Readonly<Record<string, string>>;
  readonly points: readonly (readonly [seconds: number, value: number])[];
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

export type Placed =
  | { readonly type: 'row'; readonly title: string; readonly gridPos: Box }
  | {
      readonly type: 'panel';
      readonly panel: Panel;
      readonly gridPos: Box;
      readonly shown: readonly Shown[];
    };

export interface Picture {
  readonly title: string;
  readonly placed: readonly Placed[];
  readonly range: readonly [startSeconds: number, endSeconds: number];
}

const UNIT_WIDTH = 58;
const UNIT_HEIGHT = 32;
const GAP = 6;
const HEAD = 46;
const PALETTE = [
  '#73BF69',
  '#F2CC0C',
  '#5794F2',
  '#FF9830',
  '#F2495C',
  '#B877D9',
  '#37872D',
  '#8AB8FF',
];
const COLORS: Readonly<Record<string, string>> = {
  green: '#37872D',
  yellow: '#CC9D00',
  orange: '#E0752D',
  red: '#C4162A',
  blue: '#1F60C4',
};
const SMALL = { size: 10.5, color: '#9A9AA5' };
const LEGEND_LINES_MAX = 4;
const LEGEND_LINE = 14;
const AXIS_TICKS = 4;
/** For the values of the axis. */
const MARGIN = 76;
/** Of a time below the axis, with some room. */
const TIME_WIDTH = 70;

export function drawing({ title, placed, range }: Picture): string {
  const bottom = Math.max(...placed.map(({ gridPos }) => gridPos.y + gridPos.h));
  const [width, height] = [24 * UNIT_WIDTH + GAP, HEAD + bottom * UNIT_HEIGHT + GAP];
  const parts = placed.map((each) => {
    const box = boxOf(each.gridPos);
    return each.type === 'row'
      ? text([box.x + 4, box.y + 22], `▾ ${each.title}`, { size: 15, color: '#CCCCDC' })
      : panel(each, box, range);
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="Inter, Helvetica, Arial, sans-serif">`,
    `<rect width="${width}" height="${height}" fill="#111217"/>`,
    text([GAP + 4, 30], title, { size: 20, color: '#FFFFFF' }),
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function boxOf({ x, y, w, h }: Box): Box {
  return {
    x: GAP + x * UNIT_WIDTH,
    y: HEAD + y * UNIT_HEIGHT,
    w: w * UNIT_WIDTH - GAP,
    h: h * UNIT_HEIGHT - GAP,
  };
}

function escaped(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

interface TextStyle {
  readonly size: number;
  readonly color: string;
  readonly anchor?: 'start' | 'middle' | 'end';
}

function text(
  [x, y]: readonly [x: number, y: number],
  content: string,
  { size, color, anchor = 'start' }: TextStyle,
): string {
  return `<text x="${round(x)}" y="${round(y)}" font-size="${size}" fill="${color}" text-anchor="${anchor}">${escaped(content)}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function panel(
  { panel: shownPanel, shown }: Placed & { type: 'panel' },
  box: Box,
  range: Picture['range'],
): string {
  const frame = `<rect x="${box.x}" y="${box.y}" width="${box.w}" height="${box.h}" rx="3" fill="#181B1F" stroke="#2C3235"/>`;
  const title = text([box.x + 10, box.y + 19], shownPanel.title, { size: 12.5, color: '#CCCCDC' });
  switch (shownPanel.type) {
    case 'stat':
      return statBody(shownPanel, shown, box);
    case 'timeseries':
      return [frame, title, graphBody(shownPanel, shown, { box, range })].join('\n');
    case 'table':
      return [frame, title, tableBody(shownPanel, shown, box)].join('\n');
  }
}

function colorAt(
  value: number,
  steps: readonly Threshold[] = [{ value: null, color: 'green' }],
): string {
  const reached = steps.filter((step) => step.value === null || value >= step.value).at(-1);
  return COLORS[reached?.color ?? 'green'] ?? '#37872D';
}

function statBody(
  { title, unit, thresholds, mappings }: StatPanel,
  shown: readonly Shown[],
  box: Box,
): string {
  const value = shown[0]?.points.at(-1)?.[1];
  const mapped = mappings?.[String(value)];
  const color = mapped === undefined ? colorAt(value ?? 0, thresholds) : COLORS[mapped.color];
  const words = value === undefined ? 'No data' : (mapped?.text ?? formatted(value, unit));
  return [
    `<rect x="${box.x}" y="${box.y}" width="${box.w}" height="${box.h}" rx="3" fill="${color}"/>`,
    text([box.x + 10, box.y + 19], title, { size: 12, color: '#FFFFFF' }),
    text([box.x + box.w / 2, box.y + box.h / 2 + 24], words, {
      size: 32,
      color: '#FFFFFF',
      anchor: 'middle',
    }),
  ].join('\n');
}

function tableBody({ columns }: TablePanel, shown: readonly Shown[], box: Box): string {
  const names = Object.keys(columns);
  const width = (box.w - 20) / names.length;
  const cells = (values: readonly string[], y: number, color: string): string =>
    values
      .map((value, index) =>
        text([box.x + 12 + index * width, y], value, { size: 12, color: color }),
      )
      .join('\n');
  const rows = shown.map(({ metric }) => names.map((name) => metric[name] ?? ''));
  rows.sort((a, b) => (a.join() < b.join() ? -1 : 1));
  const lines = rows.map((row, index) => cells(row, box.y + 66 + index * 22, '#CCCCDC'));
  const y = box.y + 50;
  const rule = `<line x1="${box.x + 8}" y1="${y}" x2="${box.x + box.w - 8}" y2="${y}" stroke="#2C3235"/>`;
  return [cells(Object.values(columns), box.y + 42, '#6E9FFF'), rule, ...lines].join('\n');
}

interface Plane {
  readonly x: (seconds: number) => number;
  readonly y: (value: number) => number;
  readonly top: number;
  readonly left: number;
  readonly right: number;
}

function graphBody(
  panelShown: TimePanel,
  shown: readonly Shown[],
  { box, range }: { readonly box: Box; readonly range: Picture['range'] },
): string {
  if (shown.length === 0)
    return text([box.x + box.w / 2, box.y + box.h / 2], 'No data', {
      size: 14,
      color: '#888888',
      anchor: 'middle',
    });
  const lines = panelShown.isStacked === true ? stacked(shown) : shown;
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value));
  const highest = Math.max(0, ...values.filter(Number.isFinite));
  const top = panelShown.max ?? niceTop(highest);
  const legendHeight = Math.min(shown.length, LEGEND_LINES_MAX) * LEGEND_LINE + 8;
  const area = {
    left: box.x + MARGIN,
    right: box.x + box.w - 12,
    bottom: box.y + box.h - legendHeight - 22,
  };
  const ceiling = box.y + 32;
  const [start, end] = range;
  const plane: Plane = {
    x: (seconds) => area.left + ((seconds - start) / (end - start)) * (area.right - area.left),
    y: (value) => area.bottom - (value / top) * (area.bottom - ceiling),
    ...{ top, left: area.left, right: area.right },
  };
  const order =
    panelShown.isStacked === true ? [...lines.entries()].reverse() : [...lines.entries()];
  return [
    grid(panelShown, plane, range),
    ...order.map(([index, line]) =>
      path(line, colorOf(index), { plane, isFilled: panelShown.isStacked === true }),
    ),
    ...limits(panelShown, plane),
    legend(panelShown, shown, { x: box.x + 12, y: box.y + box.h - legendHeight + 8, width: box.w }),
  ].join('\n');
}

function colorOf(index: number): string {
  return PALETTE[index % PALETTE.length] ?? '#73BF69';
}

/** Each line upon those before it. */
function stacked(shown: readonly Shown[]): readonly Shown[] {
  const sums = new Map<number, number>();
  return shown.map((line) => ({
    ...line,
    points: line.points.map(([seconds, value]) => {
      const sum = (sums.get(seconds) ?? 0) + value;
      sums.set(seconds, sum);
      return [seconds, sum] as const;
    }),
  }));
}

function niceTop(highest: number): number {
  if (highest <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(highest));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= highest * 1.05) ?? 20;
  return step * power;
}

function grid({ unit }: TimePanel, plane: Plane, [start, end]: Picture['range']): string {
  const values = Array.from(
    { length: AXIS_TICKS + 1 },
    (_, index) => (plane.top * index) / AXIS_TICKS,
  );
  const rows = values.flatMap((value) => {
    const y = round(plane.y(value));
    return [
      `<line x1="${plane.left}" y1="${y}" x2="${plane.right}" y2="${y}" stroke="#2C3235"/>`,
      text([plane.left - 6, y + 4], formatted(value, unit), { ...SMALL, anchor: 'end' }),
    ];
  });
  const gaps = Math.min(AXIS_TICKS, Math.floor((plane.right - plane.left) / TIME_WIDTH) - 1);
  const floor = plane.y(0) + 15;
  const columns = Array.from({ length: gaps + 1 }, (_, index) => {
    const seconds = start + ((end - start) * index) / gaps;
    const clock = new Date(seconds * 1000).toISOString().slice(11, 19);
    const anchor = index === 0 ? 'start' : index === gaps ? 'end' : 'middle';
    return text([plane.x(seconds), floor], clock, { ...SMALL, anchor });
  });
  return [...rows, ...columns].join('\n');
}

function path(
  { points }: Shown,
  color: string,
  { plane, isFilled }: { readonly plane: Plane; readonly isFilled: boolean },
): string {
  const known = points.filter(([, value]) => Number.isFinite(value));
  if (known.length === 0) return '';
  const gap = 3 * stepOf(known);
  const steps = known.map(([seconds, value], index) => {
    const before = known[index - 1]?.[0] ?? seconds;
    const isBegin = index === 0 || seconds - before > gap;
    return `${isBegin ? 'M' : 'L'}${round(plane.x(seconds))} ${round(plane.y(value))}`;
  });
  const line = `<path d="${steps.join('')}" fill="none" stroke="${color}" stroke-width="1.4"/>`;
  if (!isFilled) return line;
  const floor = round(plane.y(0));
  const [first = 0, last = 0] = [known[0]?.[0], known.at(-1)?.[0]];
  const shape = `${steps.join('')}L${round(plane.x(last))} ${floor}L${round(plane.x(first))} ${floor}Z`;
  return `<path d="${shape.replaceAll(/(?<=.)M/g, 'L')}" fill="${color}" fill-opacity="0.35" stroke="none"/>${line}`;
}

function stepOf(points: Shown['points']): number {
  const gaps = points.slice(1).map(([seconds], index) => seconds - (points[index]?.[0] ?? seconds));
  return gaps.length === 0 ? 1 : Math.min(...gaps);
}

/** Thresholds within the graph. */
function limits({ thresholds = [] }: TimePanel, plane: Plane): readonly string[] {
  return thresholds
    .filter(({ value }) => value !== null && value <= plane.top)
    .map(({ value, color }) => {
      const y = round(plane.y(value ?? 0));
      return `<line x1="${plane.left}" y1="${y}" x2="${plane.right}" y2="${y}" stroke="${COLORS[color]}" stroke-dasharray="6 4"/>`;
    });
}

function legend(
  { unit }: TimePanel,
  shown: readonly Shown[],
  { x, y, width }: { readonly x: number; readonly y: number; readonly width: number },
): string {
  const columns = shown.length > LEGEND_LINES_MAX ? Math.ceil(shown.length / LEGEND_LINES_MAX) : 1;
  const column = (width - 24) / columns;
  return shown
    .map(({ legend: name, points }, index) => {
      const left = x + Math.floor(index / LEGEND_LINES_MAX) * column;
      const line = y + (index % LEGEND_LINES_MAX) * LEGEND_LINE;
      const last = points.filter(([, value]) => Number.isFinite(value)).at(-1)?.[1];
      const value = last === undefined ? '' : formatted(last, unit);
      return [
        `<rect x="${round(left)}" y="${line - 4}" width="14" height="3" fill="${colorOf(index)}"/>`,
        text([left + 20, line], name, { size: 10.5, color: '#CCCCDC' }),
        text([left + column - 12, line], value, { ...SMALL, anchor: 'end' }),
      ].join('\n');
    })
    .join('\n');
}
