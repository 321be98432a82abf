import type { Measure } from './benchmark.ts';
import { type Samples, type Summary, summarise } from './samples.ts';

export interface Row extends Summary {
  readonly what: string;
  readonly unit: Measure['unit'];
  /** In words, such as `median ≤ 50 ms`; absent where the figure is for information. */
  readonly target?: string;
  readonly isMet?: boolean;
  /** As they came, to see a drift. */
  readonly values: Samples;
}

/** @throws RangeError when nothing was measured. */
export function toRow({ what, unit, values, target }: Measure): Row {
  const summary = summarise(values);
  const row = { what, unit, ...summary, values };
  if (!target) return row;
  return { ...row, target: `${target.of} ≤ ${target.atMost} ${unit}`, isMet: summary[target.of] <= target.atMost };
}

const COLUMNS = ['what', 'n', 'min', 'median', 'p95', 'p99/max', 'target', 'met'] as const;

/** One line a row under one of headings; of times the worst is p99, of rates the largest is the best. */
export function renderTable(rows: readonly Row[]): string {
  const cells = [COLUMNS, ...rows.map(cellsOf)];
  const widths = COLUMNS.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  const lines = cells.map((line) => line.map((cell, column) => aligned(cell, column, widths[column] ?? 0)).join('  '));
  return lines.map((line) => line.trimEnd()).join('\n');
}

function cellsOf(row: Row): readonly string[] {
  const figures = [row.min, row.median, row.p95, row.unit.startsWith('/') ? row.max : row.p99];
  const met = row.isMet === undefined ? '' : row.isMet ? 'yes' : 'NO';
  return [row.what, String(row.n), ...figures.map((value) => figureWords(value, row.unit)), row.target ?? '', met];
}

/** With its unit; what is counted has no fractions. */
export function figureWords(value: number, unit: Measure['unit']): string {
  const isCount = unit === 'calls' || unit === 'tokens';
  return `${isCount ? Math.round(value).toLocaleString('en') : rounded(value)} ${unit}`;
}

/** Three digits that count. */
export function rounded(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 || size === 0 ? 2 : 4);
}

function aligned(cell: string, column: number, width: number): string {
  return column >= 1 && column <= 5 ? cell.padStart(width) : cell.padEnd(width);
}
