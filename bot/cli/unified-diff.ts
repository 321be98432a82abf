const CONTEXT = 3;

interface Line {
  readonly sign: ' ' | '-' | '+';
  readonly text: string;
}

/** What differs between two texts, as `git diff` says it and `git apply` takes it; nothing where they are the same. */
export function unifiedDiff(before: string, after: string, file: string): readonly string[] {
  if (before === after) return [];
  const lines = compared(before.replace(/\n$/, '').split('\n'), after.replace(/\n$/, '').split('\n'));
  return [`--- a/${file}`, `+++ b/${file}`, ...hunksOf(lines)];
}

/** The common beginning and end are set aside, so that the table is as large as what was changed. */
function compared(a: readonly string[], b: readonly string[]): readonly Line[] {
  let start = 0;
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const same = (texts: readonly string[]) => texts.map((text): Line => ({ sign: ' ', text }));
  const middle = longest(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return [...same(a.slice(0, start)), ...middle, ...same(a.slice(a.length - end))];
}

/** By the longest common subsequence. */
function longest(a: readonly string[], b: readonly string[]): readonly Line[] {
  const width = b.length + 1;
  const table = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number) => table[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      table[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const [old = '', fresh = ''] = [a[i], b[j]];
    if (i < a.length && j < b.length && old === fresh) {
      lines.push({ sign: ' ', text: old });
      i++;
      j++;
    } else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ sign: '-', text: old });
      i++;
    } else {
      lines.push({ sign: '+', text: fresh });
      j++;
    }
  }
  return lines;
}

function hunksOf(lines: readonly Line[]): readonly string[] {
  const changed = lines.flatMap(({ sign }, index) => (sign === ' ' ? [] : [index]));
  const spans: { from: number; to: number }[] = [];
  for (const index of changed) {
    const last = spans.at(-1);
    if (last && index - CONTEXT <= last.to) last.to = index + 1 + CONTEXT;
    else spans.push({ from: Math.max(0, index - CONTEXT), to: index + 1 + CONTEXT });
  }
  return spans.flatMap(({ from, to }) => {
    const before = lines.slice(0, from);
    const own = lines.slice(from, to);
    const range = (without: '+' | '-') => {
      const count = own.filter(({ sign }) => sign !== without).length;
      return `${before.filter(({ sign }) => sign !== without).length + (count > 0 ? 1 : 0)},${count}`;
    };
    return [`@@ -${range('+')} +${range('-')} @@`, ...own.map(({ sign, text }) => `${sign}${text}`)];
  });
}
