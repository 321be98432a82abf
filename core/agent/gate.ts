import { withoutHidden } from '../plain-text.ts';
import type { Fingerprint } from '../ports/browser.ts';
import { type Sort, sortOf } from './relocate.ts';

/**
 * What may be clicked or filled on somebody's advice: a page may have talked the model into anything, so nothing here
 * believes it. The model chooses where; what is done is always the step's own action.
 */
export interface Wish {
  /** What the step was recorded on. */
  readonly recorded: Fingerprint;
  readonly candidate: Fingerprint;
  /** The step's own action, or a click that only clears the way to it. */
  readonly purpose: 'own' | 'way';
  /** `click` is any click; a field is filled or chosen from. */
  readonly does: 'click' | 'field';
}

/** Why it may not happen, in a fixed phrase; `undefined` when it may. */
export function refusal({ recorded, candidate, purpose, does }: Wish): string | undefined {
  if (isProhibited(candidate)) return 'Refused: this control deletes, pays or hands over, which is never done.';
  if (isDisguised(candidate)) return 'Refused: the words of this control are written to look like others.';
  if (purpose === 'own' && isUnnamedChoice(recorded))
    return 'Refused: nothing on record tells this choice from the others; a person will be asked.';
  if (purpose === 'own' && isOtherChoice(recorded, candidate))
    return 'Refused: this is another choice than the step needs, or one of another group.';
  if (purpose === 'way') return wayRefusal(candidate);
  const [wanted, found] = [sortOf(recorded), sortOf(candidate)];
  if (does === 'field') return fieldRefusal(wanted, found) ?? otherEffect(recorded, candidate);
  if (found !== wanted) return 'Refused: this is another sort of control than the step needs.';
  if (submits(candidate) && !submits(recorded) && candidate.type !== recorded.type)
    return 'Refused: this control sends a form, which the step does not.';
  if (onlyClearsTheWay(candidate) && !onlyClearsTheWay(recorded))
    return 'Refused: this control only opens or closes something; it is not what the step is for.';
  return otherEffect(recorded, candidate);
}

/** A box or a button of a group of which only that is known: the one that gives everything looks the same. */
function isUnnamedChoice(recorded: Fingerprint): boolean {
  const { name, text, id, fieldName, neighbours = [] } = recorded;
  return isChoice(recorded) && [name, text, id, fieldName, ...neighbours].every((words) => words === undefined);
}

/** One of a group is told by its words and its group alone: likeness is no reason to give another right than was approved. */
function isOtherChoice(recorded: Fingerprint, candidate: Fingerprint): boolean {
  if (recorded.group === undefined || !isChoice(recorded)) return false;
  const areSame = (a = '', b = '') => plainText(a).trim() === plainText(b).trim();
  return !areSame(recorded.group, candidate.group) || !areSame(recorded.name, candidate.name);
}

/** Whether something is ticked or chosen by it. */
export function isChoice(print: Fingerprint): boolean {
  return ['tick', 'radio', 'choice'].includes(sortOf(print));
}

/** Words of an effect, on the control or in its address, that what was recorded did not have. */
function otherEffect(recorded: Fingerprint, candidate: Fingerprint): string | undefined {
  const known = new Set([...allWords(recorded), ...addressWords(recorded)]);
  const isEffect = (word: string) => EFFECTS.has(word) || (GO_ON.has(word) && !submits(recorded));
  // Where no address is on record, only what no address should say counts.
  const address = addressEffects(candidate).filter((word) => recorded.href !== undefined || !EFFECTS.has(word));
  const words = [...allWords(candidate).filter(isEffect), ...address];
  return words.every((word) => known.has(word))
    ? undefined
    : 'Refused: this control does something else than the step is for.';
}

/**
 * Why a key may not be pressed on the control that has the keyboard. Keys that move about move the choice, too, where
 * there is one to make.
 */
export function keyRefusal(key: string, focused: Fingerprint): string | undefined {
  if (/^(shift\+)?tab$|^esc(ape)?$/i.test(key)) return undefined;
  const hasChoice = !['press', 'text', 'secret'].includes(sortOf(focused)) || NUMBERS.test(focused.type ?? '');
  return hasChoice ? 'Refused: this key would change what is chosen here.' : undefined;
}

const NUMBERS = /^(number|range|date|time|datetime-local|month|week|color)$/;

/** Whether a control does what the program never does, whatever a plan or a page says: delete, pay, hand over. */
export function isProhibited(print: Pick<Fingerprint, 'name' | 'text' | 'title' | 'alt'>): boolean {
  const text = plainText([print.name, print.text, print.title, print.alt].filter(Boolean).join(' '));
  return PROHIBITED.some((pattern) => pattern.test(text));
}

/** Small letters of one width, without what shows nothing: `D e l e t e` and `Del\u00adete` are one word. */
export function plainText(text: string): string {
  const plain = withoutHidden(text).normalize('NFKC').toLowerCase();
  return plain.replace(/(?<![\p{L}\p{N}])\p{L}(?: \p{L}){3,}(?![\p{L}\p{N}])/gu, (letters) =>
    letters.replaceAll(' ', ''),
  );
}

/** Letters of two scripts in one word, or a turned direction: words that show other letters than they have. */
export function isDisguised(print: Pick<Fingerprint, 'name' | 'text' | 'title' | 'alt'>): boolean {
  const text = [print.name, print.text, print.title, print.alt].filter(Boolean).join(' ');
  if (/[\u202d\u202e]/.test(text)) return true;
  const words = withoutHidden(text).match(/[\p{L}\p{M}]+/gu) ?? [];
  return words.some((word) => SCRIPTS.filter((script) => script.test(word)).length > 1);
}

/** Those whose letters look alike; source: Unicode TR 39, confusables. */
const SCRIPTS = [
  /\p{Script=Latin}/u,
  /\p{Script=Cyrillic}/u,
  /\p{Script=Greek}/u,
  /\p{Script=Armenian}/u,
  /\p{Script=Cherokee}/u,
];

/**
 * Delete, pay, change owner; in the languages that shops' admins mostly speak. Revoking a key is none of them: it is a
 * step's own business.
 */
const PROHIBITED: readonly RegExp[] = [
  /\b(delete|erase|destroy|wipe)\b/u,
  /\b(pay|pay now|buy|purchase|place order|checkout|check out|subscribe|upgrade plan|add funds)\b/u,
  /\btransfer\b|\b(change|new|make) owner|\bownership\b|\bpay ?outs?\b|\brefunds?\b/u,
  /löschen|bezahlen|\bkaufen|kostenpflichtig|inhaberschaft|eigentümer/u,
  /supprimer|effacer|\bpayer\b|acheter|propriétaire/u,
  /eliminar|\bborrar|\bpagar\b|comprar|propietari/u,
  /\belimina\b|\bpaga\b|acquista|proprietari|verwijderen|betalen|\bkopen\b|eigenaar/u,
];

/** Verbs that change something at the vendor's: a step that only opens or signs in has no business with them. */
const EFFECTS: ReadonlySet<string> = new Set([
  ...['save', 'publish', 'submit', 'send', 'create', 'generate', 'add', 'approve', 'confirm', 'enable', 'activate'],
  ...['install', 'update', 'apply', 'import', 'export', 'share', 'invite', 'grant', 'allow', 'authorize', 'connect'],
  ...[
    'launch',
    'execute',
    'upload',
    'rotate',
    'regenerate',
    'replace',
    'switch',
    'unlock',
    'migrate',
    'trash',
    'empty',
  ],
  ...['revoke', 'remove', 'reset', 'disable', 'deactivate', 'uninstall', 'restore', 'download', 'accept', 'agree'],
  ...['speichern', 'veröffentlichen', 'senden', 'erstellen', 'hinzufügen', 'bestätigen', 'aktivieren', 'installieren'],
  ...['aktualisieren', 'zulassen', 'widerrufen', 'entfernen', 'zurücksetzen', 'deaktivieren', 'akzeptieren'],
  ...['enregistrer', 'publier', 'envoyer', 'créer', 'ajouter', 'confirmer', 'activer', 'installer', 'autoriser'],
  ...['révoquer', 'retirer', 'réinitialiser', 'désactiver', 'accepter'],
  ...['guardar', 'publicar', 'enviar', 'crear', 'añadir', 'confirmar', 'activar', 'instalar', 'autorizar', 'revocar'],
  ...['quitar', 'restablecer', 'desactivar', 'aceptar'],
  ...['salva', 'pubblica', 'invia', 'crea', 'aggiungi', 'conferma', 'attiva', 'installa', 'autorizza', 'revoca'],
  ...['opslaan', 'publiceren', 'verzenden', 'maken', 'toevoegen', 'bevestigen', 'activeren', 'intrekken'],
]);

/** Words that send what is there, whatever it is: a step that sends a form may find them in its place, no other may. */
const GO_ON: ReadonlySet<string> = new Set([
  'yes',
  'ok',
  'okay',
  'continue',
  'proceed',
  'ja',
  'weiter',
  'oui',
  'sí',
  'sì',
]);

/** Words on controls that only take something away from in front of the page. */
const DISMISSERS: readonly RegExp[] = [
  /^(close|dismiss|skip|later|not now|maybe later|no,? thanks?|got it|hide|cancel|decline|reject( all)?|×|x|✕)\b/u,
  /^only (necessary|essential)|^(use )?(necessary|essential) (cookies )?only/u,
  /^(schließen|ausblenden|später|nein,? danke|(alle )?ablehnen|nur notwendige)/u,
  /^(fermer|plus tard|non,? merci|(tout )?refuser|ignorer|cerrar|más tarde|no,? gracias|rechazar|chiudi|rifiuta)/u,
];

/** In an address: `?action=…` and one-time tokens say that opening it does something. */
const ACTS_WHEN_OPENED = /[?&;](?:action2?|do|op|cmd|_?(?:wp)?nonce|csrf\w*|xsrf\w*|authenticity_token)=/i;
/** What an address may say that does something when it is opened, beside the words of controls. */
const ADDRESS_EFFECTS: ReadonlySet<string> = new Set([
  'delete',
  'erase',
  'destroy',
  'wipe',
  'logout',
  'signout',
  'purge',
]);

function addressWords({ href }: Fingerprint): readonly string[] {
  if (href === undefined) return [];
  const words = plainWordsIn(href);
  return ACTS_WHEN_OPENED.test(href) ? [...words, TOKEN] : words;
}

function addressEffects(print: Fingerprint): readonly string[] {
  return addressWords(print).filter((word) => word === TOKEN || EFFECTS.has(word) || ADDRESS_EFFECTS.has(word));
}

/** Stands for a token or a verb among an address' parameters. */
const TOKEN = '(acts when opened)';

const OPENERS: ReadonlySet<string> = new Set(['tab', 'menuitem', 'treeitem']);

function wayRefusal(candidate: Fingerprint): string | undefined {
  const words = allWords(candidate);
  if (words.some((word) => EFFECTS.has(word)) && !DISMISSERS.some((pattern) => pattern.test(labelOf(candidate))))
    return 'Refused: this control changes something, and only the step’s own action may.';
  if (addressEffects(candidate).length > 0) return 'Refused: this link does something when it is opened.';
  const isLink = candidate.tag === 'a' && candidate.href !== undefined && isOwnAddress(candidate.href);
  const opens = isLink || candidate.tag === 'summary' || OPENERS.has(candidate.role ?? '');
  if (opens || ['text', 'secret'].includes(sortOf(candidate))) return undefined;
  const isButton = sortOf(candidate) === 'press' && !submits(candidate);
  if (isButton && onlyClearsTheWay(candidate)) return undefined;
  return 'Refused: only links, tabs, menus and what closes a notice may be clicked on the way.';
}

/** A path, as far as a browser sees: it drops control characters, and takes a backslash for a slash. */
function isOwnAddress(href: string): boolean {
  const seen = href.replace(/[\p{Cc}\s]/gu, '').replaceAll('\\', '/');
  return !/^[a-z][a-z0-9+.-]*:/i.test(seen) && !seen.startsWith('//');
}

const MENUS = /^(menu|more|more actions|options|settings|show|expand|open menu|navigation|…|⋯|⋮|☰)\b|^[…⋯⋮☰]$/u;

function fieldRefusal(wanted: Sort, found: Sort): string | undefined {
  if (wanted === found) return undefined;
  return wanted === 'secret' || found === 'secret'
    ? 'Refused: a password goes into a password field only, and nothing else does.'
    : 'Refused: this is another sort of field than the step needs.';
}

function onlyClearsTheWay(print: Fingerprint): boolean {
  const label = labelOf(print);
  return MENUS.test(label) || DISMISSERS.some((pattern) => pattern.test(label));
}

function labelOf({ name, text, title }: Fingerprint): string {
  return plainText(name ?? text ?? title ?? '').trim();
}

function submits({ tag, type, role }: Fingerprint): boolean {
  return type === 'submit' || type === 'image' || (tag === 'button' && type === undefined && role === 'button');
}

function allWords({ name, text, title, alt }: Fingerprint): readonly string[] {
  return [name, text, title, alt].flatMap((part) => (part === undefined ? [] : plainWordsIn(part)));
}

/** Words as the page shows them, however they are hidden or spaced; their accents are kept, unlike those by which likeness is judged. */
export function plainWordsIn(text: string): readonly string[] {
  return plainText(text).match(/[\p{L}\p{N}]+/gu) ?? [];
}
