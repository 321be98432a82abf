import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Row, rounded } from './table.ts';

const FILE = join(import.meta.dirname, 'baseline.json');
/** A ratio that has grown by more than this share is reported. */
const MOST = 0.2;

/** What costs how many times what: less is better, and the machine's speed is in both. */
interface Ratio {
  readonly name: string;
  /** Of rows, by what they are called; the first that fits. */
  readonly of: RegExp;
  /** Absent where the row is a ratio itself. */
  readonly over?: RegExp;
}

const RATIOS: readonly Ratio[] = [
  { name: 'a replayed workflow over a plain script', of: /^WooCommerce at no latency, replay over script$/ },
  {
    name: 'a replayed workflow over a plain script in a browser as lean',
    of: /^WooCommerce at no latency, replay over script in a browser as lean$/,
  },
  {
    name: 'a credential opened, its audit entry included, over an empty transaction',
    of: /credentials opened, 1 in flight$/,
    over: /^an empty transaction of a customer$/,
  },
  {
    name: 'Approve to worker with 10,000 queued over 500 queued',
    of: /the job, 10000 queued$/,
    over: /the job, 500 queued$/,
  },
  {
    name: 'an API call through the egress proxy over a straight one',
    of: /^API call, through/,
    over: /^API call, straight$/,
  },
  { name: 'a model turn over a bare loop', of: /^model turn, the model rung$/, over: /^model turn, bare SDK loop$/ },
  { name: 'database transactions for each operation', of: /^transactions for each, 2 at once, a shop without/ },
];

export type Ratios = Readonly<Record<string, number>>;

/** By medians, as far as their rows were measured. */
export function ratiosOf(rows: readonly Row[]): Ratios {
  const median = (name: RegExp) => rows.find(({ what }) => name.test(what))?.median ?? Number.NaN;
  const all = RATIOS.map(({ name, of, over }) => [name, median(of) / (over ? median(over) : 1)] as const);
  return Object.fromEntries(all.filter(([, ratio]) => Number.isFinite(ratio)));
}

/** A slice warms up less than a whole run, and so has ratios of its own. */
type Kind = 'slice' | 'whole';
const baselineSchema = z.object({
  slice: z.record(z.string(), z.number()),
  whole: z.record(z.string(), z.number()),
});

export function readBaseline(kind: Kind): Ratios {
  return baselineSchema.parse(JSON.parse(readFileSync(FILE, 'utf8')))[kind];
}

/** Those that were measured take the place of those that are stored. */
export function keepBaseline(kind: Kind, measured: Ratios): void {
  const stored = baselineSchema.parse(JSON.parse(readFileSync(FILE, 'utf8')));
  const kept = Object.entries({ ...stored[kind], ...measured }).map(([name, ratio]) => [name, Number(rounded(ratio))]);
  writeFileSync(FILE, `${JSON.stringify({ ...stored, [kind]: Object.fromEntries(kept) }, null, 2)}\n`);
}

/** One line a ratio that was measured and is stored; those that are worse by a fifth say so. Nothing fails by it. */
export function comparison(measured: Ratios, baseline: Ratios): readonly string[] {
  return Object.entries(measured).flatMap(([name, ratio]) => {
    const before = baseline[name];
    if (before === undefined) return [];
    const grown = ratio / before - 1;
    const words = `${name}: × ${rounded(ratio)}, baseline × ${rounded(before)}`;
    return [grown > MOST ? `WORSE by ${Math.round(100 * grown)} %: ${words}` : words];
  });
}
