import { type Said, STRONG_VERB, targetNamed, wantsWrite } from './intent-said.ts';
import { isFiller, isGeneric, type Mention, type Word } from './intent-services.ts';
import type { Unclear } from './intent-text.ts';

/** One of several services that a sentence asks for. */
export interface Wish {
  readonly service: string;
  /** As the person wrote it; absent where none is clearly its own. */
  readonly target?: string;
  readonly wantsWrite: boolean;
}

/** Several services at once: `set up WooCommerce and Stripe for shop.example.com`. */
export interface SetUpTogether {
  readonly kind: 'set_up_together';
  /** Each service once, in the order in which they were named. */
  readonly wishes: readonly Wish[];
  /** Names, as written, of what stands in the list and can't be set up. */
  readonly unknownServices?: readonly string[];
  /** Why addresses were named and none of them was taken. */
  readonly unclear?: Unclear;
}

const REFUSED =
  /(?<!\p{L})(?:not|no|without|w\/o|except|excluding|minus|nor|neither|never|instead of|rather than|nicht|kein\p{L}*|ohne|statt|außer|sans|sauf|pas|sin|ni|non|niet|zonder)(?: \p{L}+){0,2}[ "'(]*$/u;

/** Services that are asked for: without those that are named to be left out, as in `set up WooCommerce, not Stripe`. */
export function askedFor({ mentions, words, plain }: Said): readonly Mention[] {
  return mentions.filter((mention, index) => {
    const before = mentions[index - 1];
    const from = before ? endOf(before, words) : 0;
    return !REFUSED.test(plain.lower.slice(from, words[mention.firstWord]?.start ?? 0));
  });
}

const OR = /(?<!\p{L})(?:or|either|whichever|oder|entweder|ou|vs|versus)(?!\p{L})|(?<=\s)o(?=\s)/u;
const AND = /[,;&+]|(?<!\p{L})(?:and|plus|also|then|as well as|along with|together with|und|sowie|et|y|e|ed)(?!\p{L})/u;
const LATER =
  /(?<!\p{L})(?:later|tomorrow|maybe|perhaps|eventually|some ?day|next (?:week|month|year)|not yet|später|morgen|vielleicht)(?!\p{L})/u;
/** Verbs that ask for one more thing in the middle of a sentence; `we use Stripe` asks for nothing. */
const ASKS = /^(?:add|create|generate|make|need|want|enable|activate|brauchen?|erstellen?|ajouter?|añadir)$/;
/** Of what stands between two names of a list: these join them, and nothing else does. */
const JOINS =
  /^(?:and|plus|also|as|well|both|along|together|with|then|too|und|sowie|auch|et|y|e|en|ed|the|a|an|my|our|der|die|das|mein|meine|unser|unseren?)$/;
const SAYS =
  /^(?:is|are|was|were|has|have|had|works?|runs?|can|will|does|did|already|needs?|should|ist|sind|hat|funktioniert|läuft)$/;

export type Several =
  | { readonly kind: 'together'; readonly intent: SetUpTogether; readonly isSure: boolean }
  /** `WooCommerce or Stripe?` asks which. */
  | { readonly kind: 'choice' }
  /** More than the grammar follows. */
  | { readonly kind: 'unclear' };

/** @returns `undefined` where no more than one service is asked for, or they are no list: `connect WooCommerce to Stripe`. */
export function several(said: Said): Several | undefined {
  const asked = askedFor(said);
  if (new Set(asked.map(({ id }) => id)).size < 2) return undefined;
  const between = asked.slice(1).map((mention, index) => gapBefore(said, asked[index], mention));
  const head = said.plain.lower.slice(0, said.words[asked[0]?.firstWord ?? 0]?.start ?? 0);
  if (OR.test(head) || between.some(({ text }) => OR.test(text))) return { kind: 'choice' };
  const isListed = ({ text }: Gap, index: number) =>
    AND.test(text) || (/[.!]/.test(text) && (STRONG_VERB.test(text) || asked[index]?.id === asked[index + 1]?.id));
  if (!between.every(isListed)) return undefined;
  if (LATER.test(said.plain.lower) || asked.some((mention) => isSpokenOf(said, mention))) return { kind: 'unclear' };
  const unknown = between.map((gap) => unknownIn(said, gap));
  if (unknown.includes(undefined)) return { kind: 'unclear' };
  const unknownServices = unknown.flatMap((name) => (name ? [name] : []));
  const intent = together(said, asked);
  return {
    kind: 'together',
    intent: { ...intent, ...(unknownServices.length > 0 && { unknownServices }) },
    isSure: asked.every((mention) => isFollowedByNothing(said, mention)),
  };
}

/** What stands between two names. */
interface Gap {
  /** In small letters, without the addresses. */
  readonly text: string;
  readonly words: readonly Word[];
  readonly hasAddress: boolean;
  /** Words that ask for nothing and join nothing. */
  readonly names: readonly Word[];
}

function gapBefore(said: Said, before: Mention | undefined, mention: Mention): Gap {
  const { words, plain } = said;
  const first = before ? before.firstWord + before.wordCount : 0;
  const own = words.slice(first, mention.firstWord);
  const text = plain.lower.slice(before ? endOf(before, words) : 0, words[mention.firstWord]?.start ?? 0);
  const verb = STRONG_VERB.exec(text)?.[0].split(/[ -]/) ?? [];
  const named = new Set(said.mentions.flatMap((each) => words.slice(each.firstWord, each.firstWord + each.wordCount)));
  const isIdle = (word: Word) =>
    named.has(word) || isFiller(word) || isGeneric(word) || verb.includes(word.lower) || IDLE.has(word.lower);
  return {
    text,
    words: own,
    hasAddress: plain.places.some(({ wordsBefore }) => wordsBefore >= first && wordsBefore <= mention.firstWord),
    names: own.filter((word) => !isIdle(word) && !ASKS.test(word.lower) && !JOINS.test(word.lower)),
  };
}

/** Of rights, and of names that are left out. */
const IDLE = new Set(
  'write writing rights schreibzugriff schreibrechte vollzugriff not no without but except excluding nor instead rather than nicht ohne statt aber sans'.split(
    ' ',
  ),
);

/** The name of something else in the list, as in `WooCommerce, Xero and Stripe`; '' where there is none. `undefined`: no list. */
function unknownIn({ plain }: Said, { names, text }: Gap): string | undefined {
  const [first] = names;
  const last = names.at(-1);
  if (!first || !last) return '';
  const name = plain.words.slice(first.start, last.end);
  const isListed = new RegExp(
    `(?:[,;&+]|(?<!\\p{L})(?:and|plus|und|et|y)(?!\\p{L})) *(?:(?:and|the|our|my) )?${escaped(name.toLowerCase())} *(?:[,;&+]|(?:and|plus|und|et|y)(?!\\p{L}))`,
    'u',
  );
  return names.length <= 3 && isListed.test(text) ? name : undefined;
}

function escaped(name: string): string {
  return name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** `Stripe is connected`, `Stripe works`: spoken of, unless what follows is its address. */
function isSpokenOf({ words, plain }: Said, mention: Mention): boolean {
  const next = mention.firstWord + mention.wordCount;
  const [verb, preposition] = words.slice(next, next + 2);
  if (!verb || !SAYS.test(verb.lower) || /[.,;!?]/.test(plain.words.slice(endOf(mention, words), verb.start)))
    return false;
  const after = /^(?:at|on|under|unter|bei|auf)$/.test(preposition?.lower ?? '') ? 2 : 1;
  return !plain.places.some(({ wordsBefore }) => wordsBefore === next + after);
}

/** `Stripe dashboard` may be something else: whoever can should look twice. */
function isFollowedByNothing({ words, plain }: Said, mention: Mention): boolean {
  const next = words[mention.firstWord + mention.wordCount];
  if (!next || plain.places.some(({ wordsBefore }) => wordsBefore === mention.firstWord + mention.wordCount))
    return true;
  const isApart = plain.words.slice(endOf(mention, words), next.start) !== ' ';
  return isApart || isFiller(next) || isGeneric(next) || JOINS.test(next.lower) || IDLE.has(next.lower);
}

/** What each of these services gets of the addresses and rights that the sentence names. Pure. */
export function together(said: Said, asked: readonly Mention[]): SetUpTogether {
  const groups = groupsOf(said, asked);
  const services = [...new Set(asked.map(({ id }) => id))];
  const targets = targetsOf(said, groups, services);
  const forAll = FOR_ALL.test(said.plain.lower);
  const wishes = services.map((service): Wish => {
    const own = groups.filter(({ ids }) => ids.includes(service)).map(({ text }) => text);
    const lower = forAll ? said.plain.lower : [headOf(said, asked), ...own].join(' . ');
    const target = targets?.get(service);
    return { service, ...(target !== undefined && { target }), wantsWrite: wantsWrite(lower) };
  });
  const { addresses, unusable } = said.plain;
  return { kind: 'set_up_together', wishes, ...(targets === undefined && { unclear: { addresses, unusable } }) };
}

const FOR_ALL =
  /(?<!\p{L})(?:(?:for|on|to|in|für|bei|pour|para) (?:both|all|each|every|beide|alle|jede|tous|ambos)|(?:both|all|each)(?: of them)? (?:with|need|get|should|must))(?!\p{L})/u;

/** Names that stand in a row, and what follows them until the next ones: that is said of all of them. */
interface Group {
  readonly ids: readonly string[];
  readonly text: string;
  /** Addresses between the group before and this one. */
  readonly before: readonly string[];
  /** Of these, what leads straight to it: `b.example.com to Shopify`. */
  readonly into: readonly string[];
  /** Addresses between this group and the next one, without what leads straight to that one. */
  readonly after: readonly string[];
}

/** Said of what stands before them alone. */
const RIGHTS = /^(?:read|write|rw|readonly|readwrite|only|full|access|permissions?)$/;
const LEADS = /^(?:to|into|with|on|onto|the|our|my|mit|an|avec|à|a|con|met|aan)$/;

function groupsOf(said: Said, asked: readonly Mention[]): readonly Group[] {
  const rows: Mention[][] = [];
  for (const mention of asked) {
    const row = rows.at(-1);
    const gap = gapBefore(said, row?.at(-1), mention);
    const isJoin = (word: Word) => JOINS.test(word.lower) || (isGeneric(word) && !RIGHTS.test(word.lower));
    const isJoined = !gap.hasAddress && gap.words.every(isJoin);
    if (row && isJoined) row.push(mention);
    else rows.push([mention]);
  }
  const { words, plain } = said;
  const startOf = (index: number) => rows[index]?.[0]?.firstWord ?? words.length;
  const beyond = (index: number) => {
    const last = rows[index]?.at(-1);
    return last ? last.firstWord + last.wordCount : 0;
  };
  const before = (index: number) =>
    plain.places.filter(({ wordsBefore }) => wordsBefore >= beyond(index - 1) && wordsBefore <= startOf(index));
  const into = (index: number) =>
    before(index)
      .filter(({ wordsBefore }) => {
        const between = words.slice(wordsBefore, startOf(index));
        return between.length > 0 && between.every(({ lower }) => LEADS.test(lower));
      })
      .map(({ address }) => address);
  return rows.map((row, index) => {
    const last = row.at(-1);
    return {
      ids: [...new Set(row.map(({ id }) => id))],
      text: plain.lower.slice(last ? endOf(last, words) : 0, words[startOf(index + 1)]?.start ?? plain.lower.length),
      before: before(index).map(({ address }) => address),
      into: index < rows.length ? into(index) : [],
      after: before(index + 1)
        .map(({ address }) => address)
        .filter((address) => index + 1 >= rows.length || !into(index + 1).includes(address)),
    };
  });
}

/**
 * Service → address, as far as the sentence says so; `undefined`: it names several addresses, or something that is none, and
 * whose they are can't be told.
 */
function targetsOf(
  said: Said,
  groups: readonly Group[],
  services: readonly string[],
): ReadonlyMap<string, string> | undefined {
  const { addresses, unusable } = said.plain;
  const needsOne = (id: string) => said.services.find((known) => known.id === id)?.home === undefined;
  const takers = services.filter(needsOne);
  if (unusable.length > 0) return undefined;
  const [only, other] = addresses;
  const each = other === undefined ? undefined : inTurn(groups, addresses);
  if (other !== undefined && !each) return undefined;
  const targets = new Map<string, string>();
  if (each) {
    for (const [group, address] of each) {
      const able = group.ids.filter(needsOne);
      for (const id of able.length > 0 ? able : group.ids) {
        if ((targets.get(id) ?? address) !== address) return undefined;
        targets.set(id, address);
      }
    }
  } else if (only !== undefined) {
    const holds = (side: 'into' | 'after' | 'before') => groups.find((group) => group[side].includes(only));
    const near = holds('into') ?? holds('after') ?? holds('before');
    const [taker, second] = takers;
    const its = second === undefined ? [taker] : (near?.ids.filter(needsOne) ?? []);
    for (const id of its) if (id !== undefined) targets.set(id, only);
  }
  for (const id of takers.filter((taker) => !targets.has(taker))) {
    const name = nameFor(said, groups, id);
    if (name !== undefined) targets.set(id, name);
  }
  return targets;
}

/** Several addresses belong to groups in one way only: each follows its group, goes before it, or leads straight to it. */
function inTurn(
  groups: readonly Group[],
  addresses: readonly string[],
): readonly (readonly [Group, string])[] | undefined {
  const pair = (own: (group: Group) => readonly string[]) => {
    const pairs = groups.flatMap((group) => own(group).map((address) => [group, address] as const));
    const isOneEach = groups.every((group) => new Set(own(group)).size <= 1);
    return isOneEach && addresses.every((address) => pairs.some(([, its]) => its === address)) ? pairs : undefined;
  };
  if (groups.some(({ into }) => into.length > 0)) return pair(({ into, after }) => (into.length > 0 ? into : after));
  if (groups[0]?.before.length === 0) return pair(({ after }) => after);
  return groups.at(-1)?.after.length === 0 ? pair(({ before }) => before) : undefined;
}

/** A target without a dot, such as Shopify's, where it follows the name of its own service. */
function nameFor(said: Said, groups: readonly Group[], id: string): string | undefined {
  const group = groups.find(({ ids }) => ids.includes(id));
  const name = targetNamed(said, id);
  return name !== undefined && group?.text.includes(name) ? name : undefined;
}

function headOf({ plain, words }: Said, asked: readonly Mention[]): string {
  return plain.lower.slice(0, words[asked[0]?.firstWord ?? 0]?.start ?? 0);
}

function endOf({ firstWord, wordCount }: Mention, words: readonly Word[]): number {
  return words[firstWord + wordCount - 1]?.end ?? 0;
}
