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
  if (purpose === 'way') return wayRefusal(candidate);
  const [wanted, found] = [sortOf(recorded), sortOf(candidate)];
  if (does === 'field') return fieldRefusal(wanted, found);
  if (found !== wanted) return 'Refused: this is another sort of control than the step needs.';
  if (submits(candidate) && !submits(recorded) && candidate.type !== recorded.type)
    return 'Refused: this control sends a form, which the step does not.';
  if (onlyClearsTheWay(candidate) && !onlyClearsTheWay(recorded))
    return 'Refused: this control only opens or closes something; it is not what the step is for.';
  const known = new Set(allWords(recorded));
  const more = allWords(candidate).find((word) => EFFECTS.has(word) && !known.has(word));
  return more === undefined ? undefined : 'Refused: this control does something else than the step is for.';
}

/** Whether a control does what the program never does, whatever a plan or a page says: delete, pay, hand over. */
export function isProhibited(print: Pick<Fingerprint, 'name' | 'text' | 'title' | 'alt'>): boolean {
  const text = [print.name, print.text, print.title, print.alt].filter(Boolean).join(' ').toLowerCase();
  return PROHIBITED.some((pattern) => pattern.test(text));
}

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

/** Words on controls that only take something away from in front of the page. */
const DISMISSERS: readonly RegExp[] = [
  /^(close|dismiss|skip|later|not now|maybe later|no,? thanks?|got it|hide|cancel|decline|reject( all)?|×|x|✕)\b/u,
  /^only (necessary|essential)|^(use )?(necessary|essential) (cookies )?only/u,
  /^(schließen|ausblenden|später|nein,? danke|(alle )?ablehnen|nur notwendige)/u,
  /^(fermer|plus tard|non,? merci|(tout )?refuser|ignorer|cerrar|más tarde|no,? gracias|rechazar|chiudi|rifiuta)/u,
];

const OPENERS: ReadonlySet<string> = new Set(['tab', 'menuitem', 'treeitem']);

function wayRefusal(candidate: Fingerprint): string | undefined {
  const words = allWords(candidate);
  if (words.some((word) => EFFECTS.has(word)) && !DISMISSERS.some((pattern) => pattern.test(labelOf(candidate))))
    return 'Refused: this control changes something, and only the step’s own action may.';
  const isLink = candidate.tag === 'a' && candidate.href !== undefined && !/^\s*[a-z]+:/i.test(candidate.href);
  const opens = isLink || candidate.tag === 'summary' || OPENERS.has(candidate.role ?? '');
  if (opens || ['text', 'secret'].includes(sortOf(candidate))) return undefined;
  const isButton = sortOf(candidate) === 'press' && !submits(candidate);
  if (isButton && onlyClearsTheWay(candidate)) return undefined;
  return 'Refused: only links, tabs, menus and what closes a notice may be clicked on the way.';
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
  return (name ?? text ?? title ?? '').trim().toLowerCase();
}

function submits({ tag, type, role }: Fingerprint): boolean {
  return type === 'submit' || type === 'image' || (tag === 'button' && type === undefined && role === 'button');
}

function allWords({ name, text, title, alt }: Fingerprint): readonly string[] {
  return [name, text, title, alt].flatMap((part) => (part === undefined ? [] : wordsIn(part)));
}

/** Lower-case words of letters and digits. */
export function wordsIn(text: string): readonly string[] {
  return (
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? []
  );
}
