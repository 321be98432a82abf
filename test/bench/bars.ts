/** One bar of a plot, with the spread around its end. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** What stands at its end, such as `3.2 s`. */
  readonly words: string;
}

export interface Plot {
  readonly title: string;
  /** What a longer bar means. */
  readonly subtitle: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 720;
const LABELS = 250;
const ENDS = 90; // for the words at the end of the longest bar
const TOP = 58;
const STEP = 26;
const BAR = 14;

/** A drawing that stands by itself and follows the reader's light or dark, as an image in a page does: no script, no font of its own. */
export function barsSvg({ title, subtitle, bars }: Plot): string {
  const most = Math.max(...bars.map(({ high, value }) => Math.max(high, value)), Number.MIN_VALUE);
  const x = (value: number) => LABELS + (value / most) * (WIDTH - LABELS - ENDS);
  const height = TOP + bars.length * STEP + 12;
  const rows = bars.map(({ label, value, low, high, words }, index) => {
    const [top, middle] = [TOP + index * STEP, TOP + index * STEP + BAR / 2];
    const spread =
      high > low
        ? `<path class="spread" d="M${n(x(low))} ${n(middle)}H${n(x(high))}M${n(x(low))} ${n(middle - 3)}v6M${n(x(high))} ${n(middle - 3)}v6"/>`
        : '';
    return `<text x="${LABELS - 10}" y="${n(middle + 4)}" text-anchor="end">${escaped(label)}</text>
<rect class="bar" x="${LABELS}" y="${n(top)}" width="${n(Math.max(1, x(value) - LABELS))}" height="${BAR}" rx="2"/>
${spread}<text class="value" x="${n(x(Math.max(high, value)) + 8)}" y="${n(middle + 4)}">${escaped(words)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title">
<title id="title">${escaped(title)}</title>
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.head { font-size: 15px; font-weight: 600; }
.quiet { fill: #59636e; }
.value { font-variant-numeric: tabular-nums; }
.bar { fill: #3f7d5f; }
.spread { stroke: #1f2328; stroke-opacity: .55; fill: none; }
.base { stroke: #59636e; stroke-opacity: .5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .bar { fill: #58a683; }
  .spread { stroke: #e6edf3; }
}
</style>
<text class="head" x="0" y="18">${escaped(title)}</text>
<text class="quiet" x="0" y="38">${escaped(subtitle)}</text>
<line class="base" x1="${LABELS - 0.5}" y1="${TOP - 6}" x2="${LABELS - 0.5}" y2="${height - 6}"/>
${rows.join('\n')}
</svg>
`;
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
