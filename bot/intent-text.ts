import { wordsOf } from './intent-services.ts';

/** A person's words, made plain: no markup, no mention of the bot, no address; the addresses beside them. */
export interface PlainText {
  /** In the person's own capitals, without addresses and e-mail addresses. */
  readonly words: string;
  /** `words` in small letters. */
  readonly lower: string;
  /** As they were written, punctuation around them removed, each once. */
  readonly addresses: readonly string[];
  /** Where each of them stands, as often as it does: after how many of the words. */
  readonly places: readonly { readonly address: string; readonly wordsBefore: number }[];
  /** What was meant as an address and is none, such as `ftp://shop.example.com` or `shop..example.com`. */
  readonly unusable: readonly string[];
  /** Markup and mentions gone, addresses kept, e-mail addresses masked: what a model may read. */
  readonly readable: string;
}

/** Longer messages are no requests; what a person wrote beyond this is not read. */
const READ_CHARACTERS = 4000;

const EMAIL = /(?:mailto:)?[\p{L}\p{N}._%+-]{1,64}@[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){1,8}/giu;
const PATH = `[^\\s<>"|]{0,${READ_CHARACTERS}}`; // whole, however long: a part of it would be another address
const NAMED_HOST =
  '(?:[\\p{L}\\p{N}](?:[\\p{L}\\p{N}-]{0,61}[\\p{L}\\p{N}])?\\.){1,8}(?:xn--[a-z0-9-]{2,40}|\\p{L}{2,24})';
const HOST = `(?<![\\p{L}\\p{N}@._/-])(?:localhost|\\d{1,3}(?:\\.\\d{1,3}){3}|${NAMED_HOST})(?::\\d{1,5})?(?![\\p{L}\\p{N}@-]|\\.[\\p{L}\\p{N}])(?:/${PATH})?`;
const ADDRESS = new RegExp(`https?://${PATH}|${HOST}`, 'giu');
/** None of these is a top-level domain: `Node.js`, `keys.txt`. */
const FILE_ENDINGS = /\.(?:js|ts|json|php|html?|css|xml|png|jpe?g|gif|pdf|txt|csv|docx?|xlsx?|exe)$/i;

export function plainText(text: string): PlainText {
  const readable = withoutMarkup(text.slice(0, READ_CHARACTERS)).replace(EMAIL, ' [e-mail] ');
  const addresses = new Map<string, string>();
  const met: string[] = [];
  const marked = readable.replace(ADDRESS, (match) => {
    const address = trimAddress(match);
    if (!isAddress(address)) return match;
    const first = addresses.get(comparable(address)) ?? address;
    addresses.set(comparable(address), first);
    met.push(first);
    return ` ${MARK} ${match.slice(address.length)} `;
  });
  const words = marked.replaceAll(MARK, ' ');
  const folded = withoutMail(words);
  return {
    words: folded,
    lower: folded.toLowerCase(),
    addresses: [...addresses.values()],
    places: placesOf(marked, met),
    unusable: [
      ...new Set(
        words
          .split(/[\s<>"|()]+/)
          .map(trimAddress)
          .filter(isMeantAsAddress),
      ),
    ],
    readable: readable.replace(/\s+/g, ' ').trim(),
  };
}

/** Stands for an address while the words are counted; nobody can write it, see `withoutMarkup`. */
const MARK = '\ue000';

function placesOf(marked: string, met: readonly string[]): PlainText['places'] {
  const parts = marked.split(MARK);
  let wordsBefore = 0;
  return met.map((address, index) => {
    wordsBefore += wordsOf(withoutMail(parts[index] ?? '')).length;
    return { address, wordsBefore };
  });
}

function withoutMail(words: string): string {
  return words.replaceAll('[e-mail]', ' ').replace(/\s+/g, ' ').trim();
}

/** The one address that was named; where there is more to it, nothing is taken on a guess. */
export function onlyAddress({ addresses, unusable }: PlainText): {
  readonly target: string | undefined;
  readonly unclear?: Unclear;
} {
  const isClear = addresses.length <= 1 && unusable.length === 0;
  return isClear ? { target: addresses[0] } : { target: undefined, unclear: { addresses, unusable } };
}

/** The addresses of a sentence that names several, or something that is none. */
export type Unclear = Pick<PlainText, 'addresses' | 'unusable'>;

/** Two ways of writing the same address compare equal; scheme, capitals and a slash at the end don't count. */
export function comparable(address: string): string {
  return address
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .replace(/\/+$/, '');
}

function withoutMarkup(text: string): string {
  return text
    .replace(/<at[^<>]{0,100}>[^<>]{0,100}<\/at>/gi, ' ')
    .replace(/<[@#!][^<>]{0,200}>/g, ' ')
    .replace(/<(?:mailto:)?([^<>|\s]{1,2000})\|([^<>]{0,2000})>/gi, (_, url: string, label: string) =>
      linked(url, label),
    )
    .replace(/<((?:https?:\/\/|mailto:)[^<>\s]{1,2000})>/gi, ' $1 ')
    .replace(/&nbsp;/g, ' ')
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&amp;/g, '&')
    .normalize('NFKC')
    .replace(/[\u00ad\u200b-\u200f\u2060\ufeff\ue000]/g, '')
    .replace(/[‘’‚‛′]/g, "'")
    .replace(/[“”„‟«»″]/g, '"')
    .replace(/[‐‑‒–—―]/g, '-')
    .replace(/[*`~]+/g, ' ')
    .replace(/(?<![\p{L}\p{N}/_-])_+|_+(?![\p{L}\p{N}/_-])/gu, ' ')
    .replace(/@countersign\b/gi, ' ')
    .replace(/^\s*\/?countersign\b[\s,:]*/i, '');
}

/** Slack turns `shop.example.com` into a link with a scheme that nobody wrote: the label has what was written. */
function linked(url: string, label: string): string {
  return comparable(url) === comparable(label) || url.includes('@') ? ` ${label} ` : ` ${url} `;
}

function trimAddress(match: string): string {
  let address = match;
  for (;;) {
    const next = address.replace(/[.,;:!?'"\]}*]+$/, '');
    const closed = next.endsWith(')') && !next.includes('(') ? next.slice(0, -1) : next;
    if (closed === address) return address;
    address = closed;
  }
}

function isAddress(address: string): boolean {
  if (/^https?:\/\//i.test(address)) return /^https?:\/\/[^/]/i.test(address);
  const [host = ''] = address.split(/[:/]/);
  if (FILE_ENDINGS.test(host)) return false;
  // `… set up woo.Thanks`: a forgotten space after a full stop.
  return !(/^\p{Ll}/u.test(host) && /\.\p{Lu}\p{Ll}+$/u.test(host));
}

const LABEL_CHARACTERS = 63; // RFC 1035, section 2.3.4

/** Of a word that is no address: whether it looks as if it ought to be one. Abbreviations, versions and files don't. */
function isMeantAsAddress(word: string): boolean {
  if (word.includes('://') || /^\d{1,3}(?:\.\d{1,3}){3,}$/.test(word) || /^\[[\da-f:.]+\](?::\d+)?$/i.test(word))
    return true;
  const [host = ''] = word.split(/[:/]/);
  if (!/^[\p{L}\p{N}][\p{L}\p{N}_.-]*\.\p{L}{2,}$/u.test(host) || FILE_ENDINGS.test(host)) return false;
  const labels = host.split('.');
  return (
    labels.some((label) => label === '' || label.includes('_') || label.length > LABEL_CHARACTERS) || labels.length > 9
  );
}
