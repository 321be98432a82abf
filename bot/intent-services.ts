import type { Service } from '../core/services/service.ts';

export type ServiceNames = Pick<Service, 'id' | 'name' | 'aliases' | 'targetName' | 'home'>;

/** A word of the text: as written, in small letters, and where it stands. */
export interface Word {
  readonly written: string;
  readonly lower: string;
  readonly start: number;
  readonly end: number;
}

export interface Mention {
  readonly id: string;
  readonly firstWord: number;
  readonly wordCount: number;
}

/** Words that any request may hold and that name nothing. */
const FILLERS = new Set(
  (
    "a an the my our your his her their its this that these those it me us you we i i'd i'll i'm let's lets to for at on in of with and or so as by from via using please pls plz kindly thanks thank thx ty " +
    'cheers hi hello hey there dear now today asap quickly just also then again first ok okay yes yeah yep sure well new another one some something else can could would will shall should may might like love want need ' +
    'able possible is are be am do does go ahead help up here new right away soon all everything everyone team guys folks bot countersign slack teams chat ' +
    'bitte mir mich uns mein meine meinen meinem meiner unser unsere unseren unserem den der die das dem ein eine einen einem einer für mit bei auf an von zu und kannst könntest du ihr sie ich wir möchte ' +
    'le la les un une mon ma mes notre pour avec sur de du des et svp merci el los las mi mis nuestra nuestro para con en y por favor gracias il lo mio mia per o meu minha een mijn onze voor met op'
  ).split(' '),
);

/** What is set up, when its name isn't said. */
const GENERIC = new Set(
  (
    'shop shops store stores storefront webshop webstore onlineshop online website websites site sites web page blog ecommerce commerce account accounts plugin app api apis key keys rest credentials credential ' +
    'access integration integrations connection connections service services system systems tool tools thing things stuff set setup connector link permissions permission read write readonly rw only readwrite full ' +
    'integrationen anbindung verbindung schlüssel dienst zugriff boutique magasin tienda negozio loja winkel url address'
  ).split(' '),
);

export function wordsOf(text: string): Word[] {
  return Array.from(text.matchAll(/[\p{L}\p{N}]+(?:['’][\p{L}]+)?/gu), (match) => ({
    written: match[0],
    lower: match[0].toLowerCase().replaceAll('’', "'"),
    start: match.index,
    end: match.index + match[0].length,
  }));
}

export const isFiller = (word: Word): boolean => FILLERS.has(word.lower) || /^\d{1,2}$/.test(word.lower);
export const isGeneric = (word: Word): boolean => GENERIC.has(singular(word.lower));

/** Every service that the words name, by its id, name or another way to say it, also with a slip of the finger. */
export function findMentions(words: readonly Word[], services: readonly ServiceNames[]): Mention[] {
  const mentions: Mention[] = [];
  for (let at = 0; at < words.length; ) {
    const mention = mentionAt(words, at, services, 'exact') ?? mentionAt(words, at, services, 'slip');
    if (mention) mentions.push(mention);
    at += mention?.wordCount ?? 1;
  }
  return mentions;
}

/** The service that one of the words resembles, though not closely enough to take it for a slip. */
export function nearestService(words: readonly Word[], services: readonly ServiceNames[]): string | undefined {
  const candidates = words.filter((word) => !isFiller(word) && !isGeneric(word) && word.lower.length >= 4);
  const scored = [...new Set(candidates.map((word) => word.lower))]
    .flatMap((word) =>
      services.flatMap((service) =>
        namesOf(service).map((name) => ({ id: service.id, share: distance(word, name) / name.length })),
      ),
    )
    .filter(({ share }) => share <= 0.4)
    .toSorted((a, b) => a.share - b.share);
  return scored[0]?.id;
}

function mentionAt(
  words: readonly Word[],
  at: number,
  services: readonly ServiceNames[],
  how: 'exact' | 'slip',
): Mention | undefined {
  for (const wordCount of [3, 2, 1]) {
    const window = words.slice(at, at + wordCount);
    if (window.length < wordCount) continue;
    const folded = fold(window.map((word) => word.lower).join(''));
    const isPlain = window.some((word) => isFiller(word)) || window.every((word) => isGeneric(word));
    if (how === 'slip' && (isPlain || wordCount > 2)) continue;
    const service = services.find((candidate) =>
      namesOf(candidate).some((name) => (how === 'exact' ? folded === name : isSlipOf(folded, name))),
    );
    if (service) return { id: service.id, firstWord: at, wordCount };
  }
  return undefined;
}

function namesOf(service: ServiceNames): string[] {
  return [...new Set([service.id, service.name, ...service.aliases].map(fold))];
}

function fold(name: string): string {
  return name
    .toLowerCase()
    .replace(/['’]s$/, '')
    .replace(/[^\p{L}\p{N}]/gu, '');
}

function singular(word: string): string {
  return GENERIC.has(word) ? word : word.replace(/'s$|s$/, '');
}

/** One slip in six letters, two in nine. */
function isSlipOf(written: string, name: string): boolean {
  const allowed = name.length >= 9 ? 2 : name.length >= 6 ? 1 : 0;
  return allowed > 0 && Math.abs(written.length - name.length) <= allowed && distance(written, name) <= allowed;
}

/** Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours (Damerau 1964). */
function distance(a: string, b: string): number {
  let [older, previous] = [[] as number[], Array.from({ length: b.length + 1 }, (_, index) => index)];
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1;
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const options = [(previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, (previous[column - 1] ?? 0) + cost];
      current.push(Math.min(...options, isSwap ? (older[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY));
    }
    [older, previous] = [previous, current];
  }
  return previous[b.length] ?? 0;
}
