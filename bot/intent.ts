import type { OperationId } from '../core/ids.ts';
import type { Model } from '../core/ports/model.ts';
import { findSecrets, type SecretKind } from '../core/redaction.ts';
import type { OperationType } from '../core/services/service.ts';
import { askModel } from './intent-model.ts';
import {
  leftover,
  objectOf,
  operationIdIn,
  type Said,
  STRONG,
  STRONG_VERB,
  targetNamed,
  WEAK_VERB,
  wantsWrite,
} from './intent-said.ts';
import { findMentions, isGeneric, nearestService, type ServiceNames, type Word, wordsOf } from './intent-services.ts';
import { askedFor, type SetUpTogether, several } from './intent-several.ts';
import { onlyAddress, plainText, type Unclear } from './intent-text.ts';

/** What is done with a stored key at the service itself. */
export type KeyChange = Extract<OperationType, 'credential_rotation' | 'credential_revocation'>;

/** What a person wants. Services are ids; a target stands as the person wrote it. */
export type Intent =
  /** `unknownService` is the name, as written, of something that can't be set up. */
  | {
      readonly kind: 'set_up';
      readonly service: string | undefined;
      readonly unknownService?: string;
      readonly target: string | undefined;
      /** Why there is no target although addresses were named. */
      readonly unclear?: Unclear;
      readonly wantsWrite: boolean;
    }
  | SetUpTogether
  | { readonly kind: 'target'; readonly target: string }
  | { readonly kind: 'audit'; readonly operationId?: OperationId }
  | { readonly kind: 'cancel'; readonly operationId?: OperationId }
  | { readonly kind: 'pause' | 'resume' | 'retry'; readonly operationId?: OperationId }
  /** The key that is stored for a service is to be rotated or revoked. */
  | {
      readonly kind: 'key';
      readonly type: KeyChange;
      readonly service: string;
      readonly target: string | undefined;
      readonly unclear?: Unclear;
    }
  /** A service's stored keys, or an address, are to be tried. */
  | { readonly kind: 'test'; readonly service: string; readonly target?: string }
  | { readonly kind: 'help' }
  /** The way into the console. */
  | { readonly kind: 'console' }
  | { readonly kind: 'greeting' }
  /** `what` is for people: `a WooCommerce API key`. The text must go nowhere. */
  | { readonly kind: 'secret_pasted'; readonly what: string }
  /** `nearest` is the id of the service that was probably meant or is spoken of. */
  | { readonly kind: 'unsure'; readonly nearest?: string };

/** `isSure` is false where a model could understand more than the grammar did. */
export interface Parsed {
  readonly intent: Intent;
  readonly isSure: boolean;
}

/**
 * Grammar first; a model is asked only when the grammar is unsure, and never about a text that holds a secret.
 * A model that is unavailable or answers nonsense changes nothing.
 */
export async function understand(text: string, services: readonly ServiceNames[], model?: Model): Promise<Intent> {
  const { intent, isSure } = parseIntent(text, services);
  if (isSure || !model || intent.kind === 'secret_pasted') return intent;
  const plain = plainText(text);
  const operationId = operationIdIn(plain.lower);
  return (await askModel(model, plain, services, { wantsWrite: wantsWrite(plain.lower), operationId })) ?? intent;
}

/** Words to an intent by grammar alone. Pure, and linear in the text's length. */
export function parseIntent(text: string, services: readonly ServiceNames[]): Parsed {
  const [secret] = findSecrets(text);
  if (secret) return sure({ kind: 'secret_pasted', what: SECRET_WORDS[secret.kind] });
  const plain = plainText(text);
  const words = wordsOf(plain.words);
  const said: Said = { plain, words, mentions: findMentions(words, services), services };
  return (
    steer(said) ??
    toConsole(said) ??
    audit(said) ??
    cancel(said) ??
    test(said) ??
    ofKey(said) ??
    help(said) ??
    setUp(said) ??
    smallTalk(said) ??
    target(said) ??
    unsure(said)
  );
}

const SECRET_WORDS = {
  application_password: 'an application password',
  authorization_header: 'a sign-in header',
  cloud_key: 'a cloud provider’s key',
  countersign_token: 'a token of this program',
  jwt: 'an access token',
  model_key: 'an API key',
  one_time_code: 'a one-time code',
  password: 'a password',
  private_key: 'a private key',
  service_key: 'an API key or token',
  shopify_token: 'a Shopify token',
  slack_token: 'a Slack token',
  source_control_token: 'an access token',
  stripe_key: 'a Stripe key',
  url_credentials: 'an address with a password in it',
  woocommerce_key: 'a WooCommerce API key',
} satisfies { [K in SecretKind]: string };

const NOT =
  "do n[o']?t|don'?t|do not|never|not|no|no longer|stop|avoid|won't|shouldn't|mustn't|wouldn't|can't|cannot|nicht|niemals|keine?n?|ne|pas|nunca|non|niet";
const NEGATED = new RegExp(
  `(?<![\\p{L}\\p{N}])(?:${NOT})(?: [\\p{L}\\p{N}']+){0,3} (?:${STRONG})(?![\\p{L}\\p{N}])|(?:${STRONG})(?![\\p{L}\\p{N}])[^.,;!?]{0,80}(?<!\\p{L})(?:nicht|niemals|pas|niet)(?!\\p{L}| (?:with|mit))`,
  'u',
);
const ANY_NOT = new RegExp(`(?<![\\p{L}\\p{N}])(?:${NOT})(?![\\p{L}\\p{N}])`, 'u');

const OPENING =
  '(?:(?:hi|hello|hey|hallo|ok|okay|so|and|but|well|oh|please|pls|plz|bitte|just|actually|no|yes|there|thanks)[ ,.!:-]+)*';
const QUESTION = new RegExp(
  `^${OPENING}(?:what|what's|whats|how|how's|why|when|which|who|who's|whose|where|wie|was|warum|wann|welche[rs]?|wer|wo|comment|pourquoi|qué|cómo|does|did|doesn't|isn't|has|is|are|was|were|do|have|should|ist|sind|hat|haben)\\b`,
  'u',
);
const POLITE = new RegExp(
  `^${OPENING}(?:is it (?:possible|ok|okay)|is there (?:a|any) (?:way|chance)|are you able|how about|what about|do you mind|do you think you)\\b`,
  'u',
);
const HOW_TO =
  /\b(?:how|wie) (?:do|can|could|should|would|to|kann|geht)\b|^(?:what can|what do you do|what are you|what is this|who are you|which services|what services|what commands|how does (?:this|it)|how do you|do you (?:support|do|work|know)|wie funktioniert|was kannst|was machst)/u;
const HELP =
  /^(?:\/?help(?: me)?(?: please| pls| with this)?|\?+|hilfe|aide|ayuda|aiuto|commands?|usage|menu|info|options|i need (?:some )?help|(?:can|could) you help(?: me)?(?: please)?|help wanted)[ .!?]*$/u;
const TROUBLE =
  /(?<!\p{L})(?:fail(?:s|ed|ing|ure)?|broken?|errors?|crash\w*|stuck|problems?|issues?|doesn't work|not working|went wrong|is wrong|slow|fehler|kaputt|funktioniert nicht)(?!\p{L})/u;
const REPORT =
  /^(?:(?:i|we|they|he|she|you|ich|wir)(?:'ve| have| had)? (?:just |already |recently |once )*(?:set[ -]?up|install|connect)(?!\p{L}))|(?<!\p{L})(?:already|yesterday|last (?:week|month|year|night)|ago|previously|gestern|bereits)(?!\p{L})/u;

function audit({ plain }: Said): Parsed | undefined {
  const operationId = operationIdIn(plain.lower);
  const isAsked =
    /^\/?audit\b|\baudit (?:trail|log|of|for)\b|\b(?:show|see|get|open|export|give)\b.{0,40}\b(?:audit|trail|log|history|protokoll)\b|^what (?:happened|did you do|have you done)|^(?:status|history|protokoll|was ist passiert)\b/.test(
      plain.lower,
    );
  const isOnlyId = operationId !== undefined && !CANCEL_WORD.test(plain.lower) && !STRONG_VERB.test(plain.lower);
  if (!isAsked && !isOnlyId) return undefined;
  if (!isOnlyId && STRONG_VERB.test(plain.lower) && !/^\/?audit\b/.test(plain.lower)) return undefined;
  return sure({ kind: 'audit', ...(operationId && { operationId }) });
}

const CANCEL =
  'cancel|abort|stop|halt|quit|abbrechen|abbruch|stopp|storniere|stornieren|annuler|annule|cancelar|cancela|annulla';
const CANCEL_WORD = new RegExp(`(?<!\\p{L})(?:${CANCEL})(?!\\p{L})`, 'u');
const CANCEL_START = new RegExp(
  `^${OPENING}(?:(?:can|could|would|will) you |i (?:want|would like|need) to |i'd like to |let's |du kannst |kannst du )?(?:please |just )?(?:${CANCEL})(?!\\p{L})`,
  'u',
);
const CALLED_OFF = new RegExp(
  `^${OPENING}(?:never ?mind|forget (?:it|that|about it)|call it off|don't bother|brich (?:es |das )?ab|lass es)[ .!]*$`,
  'u',
);

function cancel(said: Said): Parsed | undefined {
  const { lower } = said.plain;
  if (CALLED_OFF.test(lower)) return sure({ kind: 'cancel' });
  if (!CANCEL_WORD.test(lower) || ANY_NOT_CANCEL.test(lower)) return undefined;
  const operationId = operationIdIn(lower);
  if (operationId) return sure({ kind: 'cancel', operationId });
  if (!CANCEL_START.test(lower)) return undefined;
  const rest = leftover(said).filter((word) => !CANCEL_OBJECTS.has(word.lower) && !CANCEL_WORD.test(word.lower));
  return rest.length === 0 ? sure({ kind: 'cancel' }) : { intent: { kind: 'unsure' }, isSure: false };
}

const STEERED =
  '(?:(?: (?:it|that|this|the|operation|request|run|please|bitte|now|for now|me|my|es|das|die|den))| op-[0-9a-z]{8}){0,4}[ .!?]*$';
const STEERING = (
  [
    ['pause', 'pause|pausiere|pausieren|pausar|pausa'],
    ['resume', 'resume|unpause|un-pause|fortsetzen|setze? fort|weitermachen|reprendre|reprends|reanudar|riprendi'],
    [
      'retry',
      'retry|re-try|try (?:it |this |that )?again|once more|nochmal(?: versuchen)?|noch einmal(?: versuchen)?|réessayer|réessaie|reintentar|riprova',
    ],
  ] as const
).map(([kind, verbs]) => ({
  kind,
  pattern: new RegExp(
    `^${OPENING}(?:(?:can|could|would|will) (?:you|we) |let's |kannst du )?(?:please |just )?(?:${verbs})(?!\\p{L})${STEERED}`,
    'u',
  ),
}));

/** `pause`, `resume op-…`, `please try it again`: the whole sentence, or it is something else. */
function steer({ plain }: Said): Parsed | undefined {
  const wanted = STEERING.find(({ pattern }) => pattern.test(plain.lower));
  if (!wanted) return undefined;
  const operationId = operationIdIn(plain.lower);
  return sure({ kind: wanted.kind, ...(operationId && { operationId }) });
}

const CONSOLE = new RegExp(
  `^${OPENING}(?:(?:can|could|would|will) (?:you|we|i) |i (?:want|would like|need) (?:to )?|i'd like (?:to )?|let me |kannst du )?(?:please |just )?(?:(?:open|show|see|get|give|send|öffne|zeige?|ouvre|abrir|abre|apri)(?: up)?(?: me| us| mir)? )?(?:the |a link to the |my |our |die |la )?(?:web )?(?:console|konsole|dashboard)(?: (?:for me|please|pls|bitte|link))*[ .!?]*$`,
  'u',
);

/** `console`, `open the console please`: the whole sentence, or it is something else. */
function toConsole({ plain }: Said): Parsed | undefined {
  return CONSOLE.test(plain.lower) ? sure({ kind: 'console' }) : undefined;
}

const TEST = new RegExp(
  `^${OPENING}(?:(?:can|could|would|will) you |kannst du )?(?:please |just )?(?:test|check|try out|teste|testen|prüfe?n?|überprüfe?n?|vérifie[rz]?|tester|probar|prueba|verifica)(?!\\p{L})`,
  'u',
);

/** `test WooCommerce`, `please check WooCommerce for shop.example.com`: no more than that. */
function test(said: Said): Parsed | undefined {
  const [mention] = said.mentions;
  const { lower } = said.plain;
  if (!mention || !TEST.test(lower) || STRONG_VERB.test(lower) || ANY_NOT.test(lower)) return undefined;
  const { target, unclear } = onlyAddress(said.plain);
  const rest = leftover(said).filter(({ lower: word }) => !TESTED.has(word) && !TEST.test(word));
  if (unclear || rest.length > 0 || said.mentions.some(({ id }) => id !== mention.id)) return undefined;
  return sure({ kind: 'test', service: mention.id, ...(target !== undefined && { target }) });
}

const CHANGES = (
  [
    [
      'credential_rotation',
      'rotate|renew|replace|roll|exchange|rotiere?n?|erneuere?n?|ersetzen?|renouvele[rz]?|remplace[rz]?|renueva|rinnova',
    ],
    ['credential_revocation', 'revoke|invalidate|expire|end|widerrufen?|révoque[rz]?|revocar?|revoca'],
  ] as const
).map(([type, verbs]) => ({
  type,
  pattern: new RegExp(
    `^${OPENING}(?:(?:can|could|would|will) (?:you|we) |i (?:want|would like|need) to |let's |kannst du )?(?:please |just )?(?:${verbs})(?!\\p{L})`,
    'u',
  ),
}));
const KEY_WORD = /^(?:keys?|credentials?|passwords?|tokens?|secrets?|schlüssels?|passworts?|clés?|claves?|chiave)$/;
const OF_KEY = new Set('old current stored existing application password token secret alten jetzigen'.split(' '));

/** `rotate the WooCommerce key for shop.example.com`, `please revoke our Stripe key`: no more than that. */
function ofKey(said: Said): Parsed | undefined {
  const [mention] = said.mentions;
  const { lower } = said.plain;
  const change = CHANGES.find(({ pattern }) => pattern.test(lower));
  if (!mention || !change || STRONG_VERB.test(lower) || ANY_NOT.test(lower)) return undefined;
  if (!said.words.some(({ lower: word }) => KEY_WORD.test(word))) return undefined;
  const { target = targetNamed(said, mention.id), ...addressed } = onlyAddress(said.plain);
  const isRest = ({ lower: word }: Word) => !OF_KEY.has(word) && !change.pattern.test(word) && word !== target;
  if (said.mentions.some(({ id }) => id !== mention.id) || leftover(said).some(isRest)) return undefined;
  return sure({ kind: 'key', type: change.type, service: mention.id, target, ...addressed });
}

const TESTED = new Set(
  'connection keys again works whether still it verbindung schlüssel connexion conexión'.split(' '),
);

const ANY_NOT_CANCEL = new RegExp(
  `(?<!\\p{L})(?:don'?t|do not|never|not|nicht)(?: \\p{L}+){0,2} (?:${CANCEL})(?!\\p{L})`,
  'u',
);
const CANCEL_OBJECTS = new Set(
  'it that this all everything operation operations request run running process immediately now setting going doing alles das'.split(
    ' ',
  ),
);

function help({ plain, words }: Said): Parsed | undefined {
  if (HELP.test(plain.lower)) return sure({ kind: 'help' });
  if (words.length === 0 && !/[\p{L}\p{N}]/u.test(plain.readable))
    return sure({ kind: plain.lower.includes('?') ? 'help' : 'greeting' });
  return HOW_TO.test(plain.lower) && !POLITE.test(plain.lower) ? sure({ kind: 'help' }) : undefined;
}

function setUp(said: Said): Parsed | undefined {
  const { lower } = said.plain;
  const verb = STRONG_VERB.exec(lower);
  const [mention] = said.mentions;
  if (!verb && !mention) return weakWithoutService(said);
  const spokenOf: Intent = { kind: 'unsure', ...(mention && { nearest: mention.id }) };
  if (NEGATED.test(lower) || (!verb && ANY_NOT.test(lower))) return sure(spokenOf);
  if (QUESTION.test(lower) && !POLITE.test(lower)) return sure(spokenOf);
  if (TROUBLE.test(lower) || REPORT.test(lower)) return { intent: spokenOf, isSure: false };
  if (mention) {
    const asked = askedFor(said);
    if (asked.length === 0 || (!verb && leftover(said).length > 0)) return { intent: spokenOf, isSure: false };
    const list = several(said);
    if (list?.kind === 'together') return list;
    if (list) return { intent: spokenOf, isSure: list.kind === 'choice' };
    const service = asked[0]?.id ?? mention.id;
    return { intent: request(said, { service }), isSure: asked.every(({ id }) => id === service) };
  }
  return verb ? withoutService(said, verb) : undefined;
}

/** `set up my shop`, `set up Xero`, `set up wookomerz`: a verb that asks, and no service that we know. */
function withoutService(said: Said, verb: RegExpExecArray): Parsed {
  const name = objectOf(said, verb);
  if (name.length === 0) return sure(request(said, {}));
  const nearest = nearestService(name, said.services);
  if (nearest) return { intent: { kind: 'unsure', nearest }, isSure: false };
  if (name.some((word) => OTHER_ERRANDS.has(word.lower))) return { intent: { kind: 'unsure' }, isSure: false };
  return sure(request(said, { unknownService: name.map((word) => word.written).join(' ') }));
}

/** `I need an API key`, and nothing else in it. */
function weakWithoutService(said: Said): Parsed | undefined {
  const isAsked = said.plain.lower.match(WEAK_VERB) !== null && said.words.some(isGeneric);
  if (!isAsked || leftover(said).length > 0 || ANY_NOT.test(said.plain.lower)) return undefined;
  return QUESTION.test(said.plain.lower) ? undefined : sure(request(said, {}));
}

const OTHER_ERRANDS = new Set(
  'meeting meetings call calls reminder appointment lunch dinner calendar event alarm interview room table printer'.split(
    ' ',
  ),
);
function request(said: Said, what: { service?: string; unknownService?: string }): Intent {
  const addressed = onlyAddress(said.plain);
  const named = addressed.target === undefined && !addressed.unclear ? targetNamed(said, what.service) : undefined;
  return {
    kind: 'set_up',
    service: what.service,
    ...(what.unknownService !== undefined && { unknownService: what.unknownService }),
    ...(named === undefined ? addressed : { target: named }),
    wantsWrite: wantsWrite(said.plain.lower),
  };
}

function smallTalk({ plain, words }: Said): Parsed | undefined {
  const rest = plain.lower
    .replace(
      /(?<!\p{L})(?:hi|hiya|hello|hey|yo|howdy|good (?:morning|afternoon|evening|day)|hallo|moin|servus|grüß gott|guten (?:morgen|tag|abend)|bonjour|salut|hola|buenos días|ciao|buongiorno|olá|thanks|thank you|thx|ty|cheers|danke(?:schön)?|merci|gracias|grazie|ok|okay|great|perfect|cool|nice|super|how are you|a lot|so much|very much|everyone|team|bot|there|all|countersign)(?!\p{L})/gu,
      ' ',
    )
    .replace(/[^\p{L}\p{N}]/gu, '');
  return rest === '' && words.length > 0 && plain.addresses.length === 0 ? sure({ kind: 'greeting' }) : undefined;
}

const TARGET_WORDS = new Set(
  "it's its is use try address domain url link host located running runs lives under the that'd unter lautet adresse ist est es".split(
    ' ',
  ),
);

/** An address alone, or with words that only present it: `it's shop.example.com`. */
function target(said: Said): Parsed | undefined {
  const [address, other] = said.plain.addresses;
  if (address === undefined || other !== undefined || QUESTION.test(said.plain.lower)) return undefined;
  const rest = leftover(said).filter((word) => !TARGET_WORDS.has(word.lower));
  if (ANY_NOT.test(said.plain.lower) || rest.length > 3) return undefined;
  return { intent: { kind: 'target', target: address }, isSure: rest.length === 0 };
}

function unsure({ words, services, mentions }: Said): Parsed {
  const nearest = mentions[0]?.id ?? nearestService(words, services);
  return { intent: { kind: 'unsure', ...(nearest && { nearest }) }, isSure: false };
}

function sure(intent: Intent): Parsed {
  return { intent, isSure: true };
}
