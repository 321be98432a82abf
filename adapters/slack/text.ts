import type { RichTextBlock, RichTextElement, RichTextSection } from '@slack/types';
import { clip } from '../../core/plain-text.ts';
import type { Person, RichText, Span } from '../../core/ports/chat.ts';
import { LIMITS } from './limits.ts';

/** Slack reads these three as its own markup, everywhere (docs.slack.dev, formatting message text). */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Escaped text of at most so many characters, with no entity cut in two. */
export function clipEscaped(text: string, most: number): string {
  const whole = escaped(text);
  if (whole.length <= most) return whole;
  return `${whole.slice(0, most - 1).replace(/&[a-z]{0,3}$/, '')}…`;
}

/** What a person wrote, in plain words: links by their address, names without their brackets, our own mention gone. */
export function readText(text: string, botUserId: string): string {
  return text
    .replaceAll(`<@${botUserId}>`, ' ')
    .replace(/<(?:https?|mailto|tel):[^<>]{1,3000}>/g, readLink)
    .replace(/<[#@!][^<>|]{0,200}\|([^<>]{0,200})>/g, '$1')
    .replace(/<!(here|channel|everyone)>/g, '@$1')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
    .trim();
}

/** Slack makes `<http://shop.example.com|shop.example.com>` of `shop.example.com`: what was written is the label then. */
function readLink(link: string): string {
  const [url = '', label] = link.slice(1, -1).split('|');
  const bare = url.replace(/^(?:https?:\/\/|mailto:|tel:)/, '').replace(/\/$/, '');
  return label !== undefined && label.replace(/\/$/, '') === bare ? label : url;
}

/** As plain words, for where Slack takes no markup. */
export function wordsOf(text: RichText): string {
  return text.map(wordOf).join('');
}

function wordOf(span: Span): string {
  switch (span.kind) {
    case 'person':
      return span.person.name;
    case 'time':
      return fallback(span);
    default:
      return span.text;
  }
}

/** Rich text is data: Slack reads no markup in it, so nothing has to be escaped and nothing can be smuggled in. */
export function elementsOf(text: RichText, isBold = false): RichTextElement[] {
  return text.flatMap((span) => elementOf(span, isBold));
}

function elementOf(span: Span, isBold: boolean): RichTextElement[] {
  const style = isBold ? { style: { bold: true } } : {};
  switch (span.kind) {
    case 'text':
      return plain(span.text, style);
    case 'bold':
      return plain(span.text, { style: { bold: true } });
    case 'code':
      return plain(span.text, { style: { code: true } });
    case 'time':
      return [
        { type: 'date', timestamp: seconds(span.at), format: FORMATS[span.form], fallback: fallback(span), ...style },
      ];
    case 'person':
      return isSlackId(span.person)
        ? [{ type: 'user', user_id: span.person.userId }]
        : plain(span.person.name, { style: { bold: true } });
    case 'link': {
      const url = safeUrl(span.url);
      return url === undefined ? plain(span.text, style) : [{ type: 'link', url, text: span.text, ...style }];
    }
    default:
      return span satisfies never;
  }
}

/** Only Slack's own ids name somebody to Slack. */
function isSlackId({ platform, userId }: Person): boolean {
  return platform === 'slack' && /^[UW][A-Z0-9]+$/.test(userId);
}

/** Slack refuses an empty text. */
export function plain(text: string, style: { style?: { bold?: boolean; code?: boolean; italic?: boolean } } = {}) {
  return text === '' ? [] : [{ type: 'text', text, ...style } as const];
}

/** Of so many characters at most; an empty one is a space. */
export function section(elements: readonly RichTextElement[], most: number = LIMITS.richText): RichTextSection {
  let left = most;
  const kept: RichTextElement[] = [];
  for (const element of elements) {
    if (left <= 1) break;
    const isText = element.type === 'text' && element.text.length > left;
    kept.push(isText ? { ...element, text: clip(element.text, left) } : element);
    left -= element.type === 'text' ? element.text.length : 20;
  }
  return { type: 'rich_text_section', elements: kept.length > 0 ? kept : [{ type: 'text', text: ' ' }] };
}

export function richText(elements: RichTextBlock['elements']): RichTextBlock {
  return { type: 'rich_text', elements };
}

const MARKUP = /[*_~`]/;

/** For the small grey print, which takes Slack's markup alone; `undefined` where the words themselves look like markup. */
export function markupOf(text: RichText): string | undefined {
  const parts = text.map((span) => {
    switch (span.kind) {
      case 'text':
        return MARKUP.test(span.text) ? undefined : escaped(span.text);
      case 'bold':
        return MARKUP.test(span.text) ? undefined : `*${escaped(span.text)}*`;
      case 'code':
        return MARKUP.test(span.text) ? undefined : `\`${escaped(span.text)}\``;
      case 'time':
        return `<!date^${seconds(span.at)}^${FORMATS[span.form]}^${fallback(span)}>`;
      case 'person':
        return isSlackId(span.person) ? `<@${span.person.userId}>` : escaped(span.person.name);
      case 'link':
        return undefined;
      default:
        return span satisfies never;
    }
  });
  return parts.includes(undefined) ? undefined : parts.join('');
}

const FORMATS = { time: '{time}', datetime: '{date_short_pretty} at {time}' } as const;

function seconds(at: Date): number {
  return Number.isNaN(at.getTime()) ? 0 : Math.floor(at.getTime() / 1000);
}

/** Where a client cannot show dates, and in plain words: universal time, said so. */
function fallback({ at, form }: Extract<Span, { kind: 'time' }>): string {
  if (Number.isNaN(at.getTime())) return 'an unknown time';
  const [day, time] = at.toISOString().slice(0, 16).split('T');
  return form === 'time' ? `${time} UTC` : `${day} ${time} UTC`;
}

/** http and https only: no other address may stand in a link or behind a button. */
export function safeUrl(url: string): string | undefined {
  if (url.length > LIMITS.url || !URL.canParse(url)) return undefined;
  const { protocol, href } = new URL(url);
  return protocol === 'http:' || protocol === 'https:' ? href : undefined;
}
