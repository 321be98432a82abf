import type { Day } from '../../core/console/figures.ts';
import { type Html, html } from '../../core/markup.ts';
import type { QueueDepth } from '../../core/operations/dead-letters.ts';
import { duration, number, time } from './words.ts';

const WIDTH = 600;
const HEIGHT = 120;
const BASE = 104;

interface Series {
  readonly name: string;
  readonly tone: string;
  readonly values: readonly number[];
}

/** Bars of the last days, and of the queue's last day, drawn here: no script, and what they show stands as a table beneath. */
export function plots(days: readonly Day[], depths: readonly QueueDepth[]): Html {
  const of = (pick: (day: Day) => number) => days.map(pick);
  const row = (day: Day, cells: readonly string[]) =>
    html`<tr><td>${dayWords(day.day)}</td>${cells.map((cell) => html`<td class="right">${cell}</td>`)}</tr>`;
  const used = days.filter(
    (day) => day.completed + day.failed + day.replayed + day.relocated + day.model + day.human > 0,
  );
  const completed = of(({ completed: n }) => n).reduce((sum, n) => sum + n, 0);
  const failed = of(({ failed: n }) => n).reduce((sum, n) => sum + n, 0);
  const rate =
    completed + failed === 0
      ? 'nothing has ended yet'
      : `${Math.round((100 * completed) / (completed + failed))} % completed`;
  const table = (caption: string, heads: readonly string[], cells: (day: Day) => readonly string[]) =>
    html`<details><summary>As a table</summary><div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table><thead><tr><th scope="col">Day</th>${heads.map((head) => html`<th scope="col" class="right">${head}</th>`)}</tr></thead><tbody>${used.map((day) => row(day, cells(day)))}</tbody></table></div></details>`;
  return html`<div class="plots">
<section class="panel"><h2>Success</h2><p class="quiet">${rate}: ${number(completed)} completed, ${number(failed)} failed.</p>${stacked(
    'Completed and failed operations a day',
    days,
    [
      { name: 'completed', tone: 'good', values: of(({ completed: n }) => n) },
      { name: 'failed', tone: 'bad', values: of(({ failed: n }) => n) },
    ],
    dayOf,
  )}${table('Success, day by day', ['Completed', 'Failed'], (day) => [number(day.completed), number(day.failed)])}</section>
<section class="panel"><h2>Duration</h2><p class="quiet">Machine time of completed operations, a day: half of them took no longer than the median.</p>${beside(
    'Median and 95th percentile of the duration a day',
    days,
    [
      { name: 'median', tone: 'good', values: of(({ medianMs }) => medianMs ?? 0) },
      { name: '95th percentile', tone: 'still', values: of(({ p95Ms }) => p95Ms ?? 0) },
    ],
  )}${table('Duration, day by day', ['Median', '95th percentile'], (day) => [ms(day.medianMs), ms(day.p95Ms)])}</section>
<section class="panel"><h2>How elements were found</h2><p class="quiet">Replayed as recorded, relocated after a change, by the model, or by a person.</p>${stacked(
    'Steps a day, by how their element was found',
    days,
    [
      { name: 'replayed', tone: 'good', values: of(({ replayed: n }) => n) },
      { name: 'relocated', tone: 'still', values: of(({ relocated: n }) => n) },
      { name: 'model', tone: 'waits', values: of(({ model: n }) => n) },
      { name: 'human', tone: 'bad', values: of(({ human: n }) => n) },
    ],
    dayOf,
  )}${table('Rungs, day by day', ['Replayed', 'Relocated', 'Model', 'Person'], (day) => [day.replayed, day.relocated, day.model, day.human].map(number))}</section>
${queue(depths)}
</div>`;
}

function queue(depths: readonly QueueDepth[]): Html {
  const busy = depths.filter(({ waiting, running }) => waiting + running > 0);
  const rows = busy.map(
    ({ at, waiting, running }) =>
      html`<tr><td>${time(at, 'time')}</td><td class="right">${number(waiting)}</td><td class="right">${number(running)}</td></tr>`,
  );
  const most = Math.max(0, ...depths.map(({ waiting }) => waiting));
  return html`<section class="panel"><h2>Queue</h2><p class="quiet">Operations at each half hour of the last day; ${most === 0 ? 'none waited' : html`${number(most)} waited at most`}.</p>${stacked(
    'Operations that waited and ran, at each half hour of the last day',
    depths,
    [
      { name: 'running', tone: 'good', values: depths.map(({ running }) => running) },
      { name: 'waiting', tone: 'waits', values: depths.map(({ waiting }) => waiting) },
    ],
    ({ at }) => time(at, 'date'),
  )}<details><summary>As a table</summary><div class="scroll" role="region" aria-label="Queue, by half hours" tabindex="0"><table><thead><tr><th scope="col">At</th><th scope="col" class="right">Waiting</th><th scope="col" class="right">Running</th></tr></thead><tbody>${rows}</tbody></table></div></details></section>`;
}

function ms(value: number | null): string {
  return value === null ? '–' : duration(value);
}

function stacked<Slot>(
  label: string,
  slots: readonly Slot[],
  series: readonly Series[],
  words: (slot: Slot) => Html | string,
): Html {
  const most = Math.max(
    1,
    ...slots.map((_, index) => series.reduce((sum, { values }) => sum + (values[index] ?? 0), 0)),
  );
  const slot = WIDTH / slots.length;
  const bars = slots.flatMap((_, index) => {
    let top = BASE;
    return series.map(({ tone, values }) => {
      const height = ((values[index] ?? 0) / most) * (BASE - 8);
      top -= height;
      return bar(tone, index * slot + 2, top, slot - 4, height);
    });
  });
  return chart(label, [slots[0], slots.at(-1)], series, bars, words);
}

function beside(label: string, days: readonly Day[], series: readonly Series[]): Html {
  const most = Math.max(1, ...series.flatMap(({ values }) => values));
  const slot = WIDTH / days.length;
  const width = (slot - 4) / series.length;
  const bars = days.flatMap((_, index) =>
    series.map(({ tone, values }, place) => {
      const height = ((values[index] ?? 0) / most) * (BASE - 8);
      return bar(tone, index * slot + 2 + place * width, BASE - height, width, height);
    }),
  );
  return chart(label, [days[0], days.at(-1)], series, bars, dayOf);
}

function bar(tone: string, x: number, y: number, width: number, height: number): Html {
  if (height <= 0) return html``;
  return html`<rect class="${tone}" x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}" rx="1.5"/>`;
}

function chart<Slot>(
  label: string,
  [first, last]: readonly [Slot | undefined, Slot | undefined],
  series: readonly Series[],
  bars: readonly Html[],
  words: (slot: Slot) => Html | string,
): Html {
  const key = series.map(
    ({ name, tone }) =>
      html`<li><svg width="10" height="10" aria-hidden="true" focusable="false"><rect class="${tone}" width="10" height="10" rx="3"/></svg> ${name}</li>`,
  );
  return html`<svg class="plot" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}; the table beneath says the same"><line x1="0" y1="${BASE + 0.5}" x2="${WIDTH}" y2="${BASE + 0.5}"/>${bars}</svg><div class="scale"><span>${first && words(first)}</span><span>${last && words(last)}</span><ul role="list">${key}</ul></div>`;
}

function dayOf({ day }: Day): string {
  return dayWords(day);
}

function dayWords(day: Date): string {
  return day.toLocaleDateString('en-GB', { timeZone: 'UTC', day: 'numeric', month: 'short' });
}
