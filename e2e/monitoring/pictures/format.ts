/** Values as Grafana writes them, near enough for a picture. */
import type { Unit } from '../../../scripts/monitoring/dashboards/panel.ts';

function scaled(value: number, factor: number, names: readonly string[]): string {
  let [left, index] = [value, 0];
  while (Math.abs(left) >= factor && index < names.length - 1)
    [left, index] = [left / factor, index + 1];
  return `${digits(left)}${names[index]}`;
}

/** Three digits that count. */
function digits(value: number): string {
  if (value === 0) return '0';
  return Number(value.toPrecision(3)).toString();
}

function duration(seconds: number): string {
  if (seconds === 0) return '0 s';
  if (Math.abs(seconds) < 0.001) return `${digits(seconds * 1e6)} µs`;
  if (Math.abs(seconds) < 1) return `${digits(seconds * 1e3)} ms`;
  if (Math.abs(seconds) < 120) return `${digits(seconds)} s`;
  return `${digits(seconds / 60)} min`;
}

const BYTES = [' B', ' KiB', ' MiB', ' GiB', ' TiB'];
const COUNTS = ['', ' K', ' Mil'];

export function formatted(value: number, unit: Unit): string {
  switch (unit) {
    case 's':
      return duration(value);
    case 'bytes':
      return scaled(value, 1024, BYTES);
    case 'Bps':
      return `${scaled(value, 1000, [' B', ' kB', ' MB', ' GB'])}/s`;
    case 'percentunit':
      return `${digits(value * 100)}%`;
    case 'cps':
      return `${scaled(value, 1000, COUNTS)} c/s`;
    case 'ops':
      return `${scaled(value, 1000, COUNTS)} ops/s`;
    case 'reqps':
      return `${scaled(value, 1000, COUNTS)} req/s`;
    default:
      return scaled(value, 1000, COUNTS);
  }
}
