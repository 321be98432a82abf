import { clip } from '../../core/plain-text.ts';
import type { Person, RichText, Span } from '../../core/ports/chat.ts';
import type { Mention, TextRun } from './elements.ts';
import { LIMITS } from './limits.ts';

/** Somebody whom a message names, as Teams writes it beside the text. */
export interface MentionEntity {
  readonly text: string;
  readonly id: string;
  readonly name: string;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
  '&nbsp;': ' ',
  '&amp;': '&',
};

/** What a person wrote, in plain words: our own mention gone, others by their name, no entity and no unbreakable space. */
export function readText(text: string, mentions: readonly MentionEntity[], botId: string): string {
  const withoutUs = mentions
    .filter(({ id, text: written }) => id === botId && written !== '')
    .reduce((words, { text: written }) => words.replaceAll(written, ' '), text);
  return withoutUs
    .replace(/<at\b[^<>]{0,200}>([^<>]{0,200})<\/at>/gi, '$1')
    .replace(/&(?:lt|gt|quot|#39|nbsp|amp);/g, (entity) => ENTITIES[entity] ?? entity)
    .replaceAll('\u00a0', ' ')
    .replaceAll('\r\n', '\n')
    .replace(/ {2,}/g, ' ')
    .trim();
}

type Style = Pick<TextRun, 'weight' | 'isSubtle' | 'size' | 'color'>;

/** Text as runs, of at most so many characters; people are named in bold. An empty one is a space. */
export function runsOf(text: RichText, most: number, style: Style = {}): readonly TextRun[] {
  const runs: TextRun[] = [];
  let left = most;
  for (const span of text) {
    if (left <= 0) break;
    const run = runOf(span, left, style);
    if (run.text === '') continue;
    runs.push(run);
    left -= span.kind === 'time' ? 20 : run.text.length;
  }
  return runs.length > 0 ? runs.reduce(joined, []) : [{ type: 'TextRun', text: ' ' }];
}

/** What looks the same is one run, which takes fewer bytes; two braces don't meet by that, see `inert`. */
function joined(runs: readonly TextRun[], run: TextRun): readonly TextRun[] {
  const before = runs.at(-1);
  const { text: _, ...style } = before ?? { type: 'TextRun', text: '' };
  const { text, ...own } = run;
  if (!before || run.selectAction || JSON.stringify(style) !== JSON.stringify(own)) return [...runs, run];
  const between = before.text.endsWith('{') && text.startsWith('{') ? '\u200b' : '';
  return [...runs.slice(0, -1), { ...before, text: `${before.text}${between}${text}` }];
}

function runOf(span: Span, most: number, style: Style): TextRun {
  const run = (words: string, more: Partial<TextRun> = {}): TextRun => ({
    ...{ type: 'TextRun', text: inert(clip(words, most)) },
    ...style,
    ...more,
  });
  switch (span.kind) {
    case 'text':
      return run(span.text);
    case 'bold':
      return run(span.text, { weight: 'Bolder' });
    case 'code':
      return run(span.text, { fontType: 'Monospace' });
    case 'time':
      return { ...run(''), text: timeOf(span) };
    case 'person':
      return run(span.person.name, { weight: 'Bolder' });
    case 'link': {
      const url = safeUrl(span.url);
      return url === undefined
        ? run(span.text)
        : run(span.text, {
            color: 'Accent',
            selectAction: { type: 'Action.OpenUrl', title: clip(span.text, 60), url },
          });
    }
    default:
      return span satisfies never;
  }
}

/** Clients fill in `{{DATE(…)}}` wherever it stands, so that braces of others are kept apart by what shows nothing. */
function inert(words: string): string {
  return words.replaceAll('{{', '{\u200b{');
}

/** In the reader's own time zone (adaptivecards.io, text features: date and time functions take no milliseconds). */
function timeOf({ at, form }: Extract<Span, { kind: 'time' }>): string {
  if (Number.isNaN(at.getTime())) return 'an unknown time';
  const stamp = `${at.toISOString().slice(0, 19)}Z`;
  return form === 'time' ? `{{TIME(${stamp})}}` : `{{DATE(${stamp},COMPACT)}} {{TIME(${stamp})}}`;
}

/** People of Teams, whom a text can call; others are only named. */
export function isMentioned(span: Span): boolean {
  return span.kind === 'person' && span.person.platform === 'teams';
}

/** The same as Markdown, for the one element that can name people; every mark that is not ours is escaped. */
export function markdownOf(
  text: RichText,
  most: number,
): { readonly text: string; readonly mentions: readonly Mention[] } {
  const mentions: Mention[] = [];
  let left = most;
  const words = text.map((span) => {
    if (left <= 0) return '';
    if (span.kind === 'person' && isMentioned(span)) {
      const mention = mentionOf(span.person);
      mentions.push(mention);
      left -= span.person.name.length;
      return mention.text;
    }
    if (span.kind === 'time') return timeOf(span);
    const said = span.kind === 'person' ? span.person.name : span.text;
    const shown = escaped(inert(clip(said, left)));
    left -= said.length;
    return span.kind === 'bold' || span.kind === 'person' ? bold(shown) : shown;
  });
  return { text: words.join(''), mentions };
}

/** Marks stand outside of blanks: `** a**` would be shown as it is. */
function bold(words: string): string {
  const [, before = '', inner = '', after = ''] = /^(\s*)([\s\S]*?)(\s*)$/.exec(words) ?? [];
  return inner === '' ? words : `${before}**${inner}**${after}`;
}

/** CommonMark: any ASCII punctuation may be escaped by a backslash, and means nothing then. */
function escaped(words: string): string {
  return words.replace(/[!-/:-@[-`{-~]/g, '\\$&');
}

/** Letters, digits and what stands in names: nothing that could end the mention or begin another one. */
function mentionOf({ userId, name }: Person): Mention {
  const plain = name.replace(/[^\p{L}\p{M}\p{N} .'’-]/gu, ' ').trim() || 'somebody';
  return { type: 'mention', text: `<at>${plain}</at>`, mentioned: { id: userId, name: plain } };
}

/** As plain words. */
export function wordsOf(text: RichText): string {
  return text
    .map((span) => {
      if (span.kind === 'person') return span.person.name;
      return span.kind === 'time' ? `${span.at.toISOString().slice(0, 16).replace('T', ' ')} UTC` : span.text;
    })
    .join('');
}

/** http and https only: no other address may stand in a link, behind a button or as a picture. */
export function safeUrl(url: string, base?: string): string | undefined {
  if (!URL.canParse(url, base)) return undefined;
  const { protocol, href } = new URL(url, base);
  return (protocol === 'http:' || protocol === 'https:') && href.length <= LIMITS.url ? href : undefined;
}
