import { type OperationId, parseOperationId } from '../core/ids.ts';
import { isFiller, isGeneric, type Mention, type ServiceNames, type Word } from './intent-services.ts';
import type { PlainText } from './intent-text.ts';

/** One message, as the grammar looks at it. */
export interface Said {
  readonly plain: PlainText;
  readonly words: readonly Word[];
  readonly mentions: readonly Mention[];
  readonly services: readonly ServiceNames[];
}

// Base forms only: `connected` and `the connection` report, `connect` asks.
export const STRONG =
  "set[ -]?up|settup|set (?:[\\p{L}\\p{N}']+ ){1,6}up|con+ect|integrate|intergrate|instal+|configure|hook (?:[\\p{L}\\p{N}']+ ){0,6}up|wire (?:[\\p{L}\\p{N}']+ ){0,6}up|onboard|link up|" +
  '(?:mind|about|start|begin|with|on) (?:setting up|connecting|integrating|installing|configuring)|' +
  'einrichten|einzurichten|richte (?:[\\p{L}\\p{N}]+ ){0,6}ein|aufsetzen|setze? (?:[\\p{L}\\p{N}]+ ){0,6}auf|verbinden?|anbinden|binde (?:[\\p{L}\\p{N}]+ ){0,6}an|integrieren?|konfigurieren?|koppeln?|kopple|installieren?|anschließen|' +
  'configurer?|connecter?|connectez|installez|relier?|intégrer?|configura[r]?|configurare|conectar?|conecta|instalar?|integrar?|vincular?|collega(?:re)?|koppelen|instellen|verbind';
const WEAK =
  'add|create|generate|make|get|give|need|want|enable|activate|start|register|link|use|issue|provision|renew|brauchen?|erstellen?|generieren?|hinzufügen|ajouter?|crear|añadir';
export const STRONG_VERB = new RegExp(`(?<![\\p{L}\\p{N}])(?:${STRONG})(?![\\p{L}\\p{N}])`, 'u');
export const WEAK_VERB = new RegExp(`(?<![\\p{L}\\p{N}])(?:${WEAK})(?![\\p{L}\\p{N}])`, 'gu');

const NAMED =
  /(?:^|\s)(?:for|at|of|named|called|connect|integrate|up|store|shop|für|bei|pour|para|per)\s+(?:(?:my|our|the)\s+)?(?:(?:store|shop)\s+)?["'(]?([a-z0-9][a-z0-9-]*)["')]?(?=$|[\s.,!?;])/gu;
const NO_NAMES = /^(?:set|read|write|re|pre|e|co)-|-(?:up|only|write|in)$/;

/**
 * A target without a dot, of a service that has such: `set up Shopify for my-shop`. A word with a hyphen or a digit where a
 * name belongs is one; any other word only when nothing else in the sentence is left to explain.
 */
export function targetNamed(said: Said, serviceId: string | undefined): string | undefined {
  const pattern = said.services.find(({ id }) => id === serviceId)?.targetName;
  if (pattern === undefined) return undefined;
  const rest = leftover(said).map(({ lower }) => lower);
  const names = [...said.plain.lower.matchAll(NAMED)]
    .map(([, name = '']) => name)
    .filter((name) => pattern.test(name) && !NO_NAMES.test(name) && operationIdIn(name) === undefined)
    .filter((name) => /[a-z0-9]-[a-z0-9]|\p{L}\d|\d\p{L}/u.test(name) || (rest.length === 1 && rest[0] === name));
  const [name, other] = new Set(names);
  return other === undefined ? name : undefined;
}

export function wantsWrite(lower: string): boolean {
  const asked =
    /\bread ?(?:[/&+_-]|and|plus)? ?write\b|\brw\b|\bwrit(?:e|ing) (?:access|permissions?|rights|scope|key)\b|\b(?:with|incl\w*|plus|need|want) (?:it )?write\b(?! (?:me|us|to|back)\b)|\b(?:full|all) (?:access|permissions|rights|control)\b|schreib(?:zugriff|recht|en)|vollzugriff/;
  const refused =
    /\b(?:no|not|without|w\/o|don't (?:need|want|give)|never|ohne|kein\w*|nicht)\b[^.,;!?]{0,24}(?:write|writing|full access|schreib\w*|vollzugriff)|\bread[ -]?only\b|\bonly read\b|\bnur les/;
  return asked.test(lower) && !refused.test(lower);
}

/** Words that are neither a service nor a verb nor part of any polite request. */
export function leftover({ words, mentions, plain }: Said): Word[] {
  const named = new Set(
    mentions.flatMap(({ firstWord, wordCount }) => Array.from({ length: wordCount }, (_, index) => firstWord + index)),
  );
  const verbs = new Set(plain.lower.match(WEAK_VERB));
  const strong = STRONG_VERB.exec(plain.lower);
  const isInVerb = (word: Word) =>
    strong !== null && word.start >= strong.index && word.end <= strong.index + strong[0].length;
  return words.filter(
    (word, index) =>
      !named.has(index) && !isFiller(word) && !isGeneric(word) && !verbs.has(word.lower) && !isInVerb(word),
  );
}

export function operationIdIn(lower: string): OperationId | undefined {
  const match = /(?<![\p{L}\p{N}-])op-[0-9a-z]{8}(?![\p{L}\p{N}])/u.exec(lower);
  return match ? parseOperationId(match[0]) : undefined;
}

const UNTIL =
  /^(?:for|at|on|to|with|via|using|from|in|into|and|so|because|when|if|but|für|bei|auf|mit|an|pour|avec|sur|para|con|en|per)$/;

/** What the verb is about: `set up the *Google Analytics* account for us`, else what follows `to` or `with`. */
export function objectOf({ plain, words }: Said, verb: RegExpExecArray): Word[] {
  const end = verb.index + verb[0].length;
  const inside = words.filter((word) => word.start > verb.index && word.end < end && / up$/.test(verb[0]));
  const after = words.filter((word) => word.start >= end && !/[.;!?\n]/.test(plain.words.slice(end, word.start)));
  const stop = after.findIndex((word) => UNTIL.test(word.lower));
  const direct = naming([...inside, ...(stop < 0 ? after : after.slice(0, stop))]);
  if (direct.length > 0) return direct;
  const preposition = after.findIndex((word) => /^(?:to|with|mit|an|avec|con)$/.test(word.lower));
  const indirect = preposition < 0 ? [] : after.slice(preposition + 1);
  const next = indirect.findIndex((word) => UNTIL.test(word.lower));
  return naming(next < 0 ? indirect : indirect.slice(0, next));
}

/** The first words in a row that name something. */
function naming(words: readonly Word[]): Word[] {
  const isName = (word: Word) => !isFiller(word) && !isGeneric(word);
  const start = words.findIndex(isName);
  if (start < 0) return [];
  const rest = words.slice(start, start + 3);
  const end = rest.findIndex((word) => !isName(word));
  return end < 0 ? rest : rest.slice(0, end);
}
