/**
 * What a control's words mean, as far as that can be told without a model: words that are used for the same thing, in the
 * languages that shops' admins mostly speak, stand for one concept.
 */
export interface Wording {
  /** The words, folded. */
  readonly text: string;
  /** Concepts, and words that stand for none. */
  readonly terms: ReadonlySet<string>;
  /** Those of the terms that say what is done. */
  readonly acts: ReadonlySet<string>;
}

const LONGEST = 120; // characters of an element's words; more is no label

/** What is done; two of them are never the same, and those that are left alone here say too little to differ. */
const ACTS: Readonly<Record<string, string>> = {
  sign_in:
    'log in|login|log on|logon|sign in|signin|anmelden|einloggen|anmeldung|se connecter|connexion|identifier|iniciar sesion|ingresar|acceder|accedi|inloggen|aanmelden|entrar',
  sign_up:
    'sign up|signup|register|registrieren|s inscrire|inscription|registrarse|registrati|registreren|create account|create an account|join|konto erstellen|creer un compte|crear cuenta',
  sign_out:
    'log out|logout|sign out|signout|log off|abmelden|ausloggen|se deconnecter|deconnexion|cerrar sesion|salir|esci|uitloggen',
  create:
    'create|generate|add|make|issue|new|erstellen|erzeugen|generieren|hinzufugen|anlegen|neu|neue|neuen|neuer|creer|generer|ajouter|nouveau|nouvelle|crear|generar|anadir|agregar|nuevo|nueva|crea|genera|aggiungi|nuovo|nuova|aanmaken|toevoegen|genereren|nieuw|nieuwe',
  edit: 'edit|modify|rename|bearbeiten|modifier|editar|modificar|modifica|bewerken',
  save: 'save|update|apply|store|speichern|aktualisieren|ubernehmen|sichern|enregistrer|sauvegarder|appliquer|guardar|aplicar|actualizar|salva|applica|opslaan',
  publish: 'publish|veroffentlichen|publier|publicar|pubblica|publiceren',
  search: 'search|find|suchen|suche|rechercher|chercher|buscar|cerca|zoeken',
  filter: 'filter|filtern|filtrer|filtrar|filtra',
  open: 'open|view|details|offnen|ansehen|anzeigen|ouvrir|voir|abrir|ver|apri|openen|bekijken',
  close: 'close|dismiss|schliessen|fermer|cerrar|chiudi|sluiten',
  show: 'show|reveal|unhide|einblenden|afficher|mostrar|mostra|tonen',
  hide: 'hide|ausblenden|verbergen|masquer|cacher|ocultar|nascondi',
  copy: 'copy|duplicate|kopieren|duplizieren|copier|dupliquer|copiar|duplicar|copia|duplica',
  upload: 'upload|import|hochladen|importieren|importer|televerser|subir|importar|carica|importa',
  download: 'download|export|herunterladen|exportieren|telecharger|exporter|descargar|exportar|scarica|esporta',
  next: 'next|forward|weiter|nachste|suivant|suivante|siguiente|avanti|volgende',
  back: 'back|previous|zuruck|vorherige|retour|precedent|precedente|atras|volver|anterior|indietro|vorige|terug',
  enable: 'enable|activate|turn on|aktivieren|einschalten|activer|activar|habilitar|attiva|inschakelen|activeren',
  send: 'send|invite|senden|einladen|envoyer|inviter|enviar|invitar|invia|invita|versturen|uitnodigen',
  test: 'test|try|testen|tester|probar|prova',
  refresh: 'refresh|reload|sync|neu laden|rafraichir|recharger|recargar|ricarica|vernieuwen',
  start: 'start|run|begin|starten|demarrer|lancer|iniciar|avvia',
  stop: 'stop|pause|end|stoppen|anhalten|arreter|detener|ferma',
  disconnect: 'disconnect|unlink|trennen|deconnecter|dissocier|desconectar|disconnetti',
  connect: 'connect|verbinden|connecter|conectar|collega',
};

/** Acts that harm or deny: a control that has gained or lost one of them is another control, whatever else stayed. */
const HARM: Readonly<Record<string, string>> = {
  delete:
    'delete|bin|remove|erase|trash|destroy|wipe|purge|loschen|entfernen|supprimer|effacer|retirer|eliminar|borrar|quitar|elimina|rimuovi|cancella|verwijderen|wissen',
  revoke: 'revoke|revocation|widerrufen|revoquer|revocar|revoca|intrekken',
  cancel: 'cancel|abort|abbrechen|stornieren|annuler|cancelar|anular|annulla|annuleren',
  reset:
    'reset|roll|rotate|regenerate|recreate|renew|zurucksetzen|erneuern|neu erzeugen|reinitialiser|regenerer|renouveler|restablecer|regenerar|renovar|reimposta|rigenera|resetten',
  disable:
    'disable|deactivate|turn off|uninstall|suspend|block|deaktivieren|ausschalten|deinstallieren|sperren|desactiver|desinstaller|bloquer|desactivar|deshabilitar|desinstalar|bloquear|disattiva|uitschakelen|deactiveren',
  deny: 'deny|reject|decline|refuse|ablehnen|verweigern|refuser|rejeter|rechazar|denegar|rifiuta|weigeren|afwijzen',
  discard: 'discard|abandon|verwerfen|abandonner|descartar|scarta|weggooien',
  archive: 'archive|archivieren|archiver|archivar|archivia',
  pay: 'pay|purchase|buy|order now|checkout|upgrade|subscribe|donate|kaufen|bezahlen|bestellen|payer|acheter|commander|pagar|comprar|paga|acquista|betalen|kopen',
  transfer:
    'transfer|withdraw|payout|refund|ubertragen|auszahlen|erstatten|transferer|rembourser|transferir|reembolsar|trasferisci|rimborsa',
  not: 'not|no|dont|don t|do not|never|without|nicht|nie|ohne|kein|keine|pas|jamais|sans|nunca|sin|non|senza|niet|geen|zonder',
  block_all: 'opt out|unsubscribe|abbestellen|desabonner|desinscribir',
  accept_all: 'accept all|allow all|alle akzeptieren|tout accepter|aceptar todo|accetta tutto',
};

/** Things that controls are about. */
const THINGS: Readonly<Record<string, string>> = {
  password: 'password|passwort|kennwort|mot de passe|contrasena|clave de acceso|wachtwoord|passcode',
  user_name:
    'username|user name|user id|benutzername|nutzername|nom d utilisateur|nombre de usuario|usuario|nome utente|gebruikersnaam|identifiant|login name',
  email:
    'email|e mail|mail|email address|e mail address|e mail adresse|adresse e mail|adresse email|courriel|correo electronico|correo|direccion de correo electronico|indirizzo email|e mailadres',
  key: 'key|schlussel|cle|clave|chiave|sleutel',
  token: 'token|jeton|testigo',
  secret: 'secret|geheimnis|secreto|segreto|geheim',
  name: 'name|nom|nombre|nome|naam|bezeichnung',
  description: 'description|beschreibung|descripcion|descrizione|beschrijving|omschrijving',
  permission:
    'permission|permissions|access rights|berechtigung|berechtigungen|autorisation|autorisations|permiso|permisos|permesso|permessi|rechten|zugriff',
  setting:
    'setting|settings|einstellung|einstellungen|parametre|parametres|reglages|ajustes|configuracion|impostazioni|instellingen|preferences',
  customer:
    'customer|consumer|verbraucher|consommateur|consumidor|kunde|kunden|client|clients|cliente|clientes|klant|klanten',
  order: 'order|orders|bestellung|bestellungen|commande|commandes|pedido|pedidos|ordine|ordini|bestelling',
  product: 'product|products|produkt|produkte|produit|produits|producto|productos|prodotto|prodotti',
  user: 'user|users|benutzer|nutzer|utilisateur|utilisateurs|usuarios|utente|utenti|gebruiker|gebruikers',
  account: 'account|konto|compte|cuenta',
  address: 'address|adresse|direccion|indirizzo|adres',
  phone: 'phone|telephone|phone number|telefon|telefonnummer|telefono|mobile|handy',
  code: 'code|codigo|codice',
  read: 'read|lesen|lecture|lire|leer|lectura|lettura|lezen',
  write: 'write|schreiben|ecriture|ecrire|escribir|escritura|scrittura|schrijven',
  change: 'changes|change|anderungen|anderung|modifications|cambios|modifiche|wijzigingen',
  remember:
    'remember me|keep me signed in|stay signed in|angemeldet bleiben|se souvenir de moi|recuerdame|recordarme|ricordami|onthoud mij',
};

/** Words that say nothing by themselves. */
const FILLERS = new Set(
  'a an the your my our this please der die das den dem ein eine einen einer ihr ihre dein deine le la les l un une des du de d votre mon el los las unos su tu mi il lo gli uno het een je mijn to of for fur pour para per voor di'.split(
    ' ',
  ),
);

/** Words after which a control is about something else than it would be without them: "Log in with Google". */
const QUALIFIERS = new Set(
  'with as via using by from instead mit als uber avec comme por con como met come'.split(' '),
);

const CONCEPT_OF = new Map<string, string>();
const HARMFUL = new Set(Object.keys(HARM));
const ACTING = new Set([...Object.keys(ACTS), ...HARMFUL]);
for (const [concept, phrases] of [...Object.entries(THINGS), ...Object.entries(ACTS), ...Object.entries(HARM)])
  for (const phrase of phrases.split('|')) CONCEPT_OF.set(phrase, concept);
const LONGEST_PHRASE = 4; // words

/** Words without case, accents and punctuation. */
export function wordsIn(text: string): readonly string[] {
  const folded = text
    .slice(0, LONGEST)
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replaceAll('ß', 'ss');
  return folded.match(/[\p{L}\p{N}]+/gu) ?? [];
}

export function wordingOf(text: string): Wording {
  const words = wordsIn(text);
  const terms = new Set<string>();
  for (let i = 0; i < words.length; ) {
    let length = Math.min(LONGEST_PHRASE, words.length - i);
    let concept: string | undefined;
    for (; length > 0; length--) {
      concept = CONCEPT_OF.get(words.slice(i, i + length).join(' '));
      if (concept !== undefined) break;
    }
    const word = words[i] ?? '';
    if (concept !== undefined) terms.add(`:${concept}`);
    else if (!FILLERS.has(word)) terms.add(word);
    i += Math.max(1, length);
  }
  const acts = new Set([...terms].filter((term) => ACTING.has(term.slice(1)) && term.startsWith(':')));
  return { text: words.join(' '), terms, acts };
}

/** Acts that pages offer for each of many things alike, and words that say no more than that. */
const FOR_EACH = new Set(
  'edit open show hide copy download enable start stop test refresh connect disconnect delete revoke cancel reset disable archive'
    .split(' ')
    .map((concept) => `:${concept}`)
    .concat(
      'manage more actions options configure select choose verwalten auswahlen mehr gerer choisir plus gestionar elegir mas'.split(
        ' ',
      ),
    ),
);

/** Whether the words alone can't tell one of several controls: "Edit", "View details", without what. */
export function isOneOfMany({ terms }: Wording): boolean {
  return terms.size > 0 && [...terms].every((term) => FOR_EACH.has(term));
}

/** `opposed`: one of them does what the other doesn't, or harms; `qualified`: one says it of something else. */
export type Agreement = 'same' | 'spelling' | 'meaning' | 'part' | 'qualified' | 'other' | 'opposed';

/** Two wordings this alike differ by a letter or an ending. */
const SPELLING = 0.85;
/** Of all terms: "Generate API key" and "Generate a new API key". */
const MOST_SHARED = 0.6;

/** How two wordings, none of them empty, go together. */
export function agreementOf(a: Wording, b: Wording): Agreement {
  if (a.text === b.text || a.text.replaceAll(' ', '') === b.text.replaceAll(' ', '')) return 'same';
  const onlyInA = [...a.terms].filter((term) => !b.terms.has(term));
  const onlyInB = [...b.terms].filter((term) => !a.terms.has(term));
  const differing = [...onlyInA, ...onlyInB];
  if (differing.some((term) => term.startsWith(':') && HARMFUL.has(term.slice(1)))) return 'opposed';
  if (a.acts.size > 0 && b.acts.size > 0 && [...a.acts].every((act) => !b.acts.has(act))) return 'opposed';
  if (differing.length === 0) return 'meaning';
  if (differing.some((term) => QUALIFIERS.has(term))) return 'qualified';
  if (isSpelling(a.text, b.text)) return 'spelling';
  const shared = a.terms.size - onlyInA.length;
  const isPart = holds(a, b) || holds(b, a); // word by word: another word and one more are too much at once
  return isPart && shared / (shared + differing.length) >= MOST_SHARED ? 'part' : 'other';
}

function holds(whole: Wording, part: Wording): boolean {
  const words = new Set(whole.text.split(' '));
  return part.text.split(' ').every((word) => words.has(word) || FILLERS.has(word));
}

/** Numbers are never a matter of spelling: "Key 1" is not "Key 2". */
function isSpelling(a: string, b: string): boolean {
  if (a.replace(/\D+/g, ' ') !== b.replace(/\D+/g, ' ')) return false;
  const longest = Math.max(a.length, b.length);
  const most = Math.floor(longest * (1 - SPELLING));
  return most > 0 && editDistance(a, b, most) <= most;
}

/** Levenshtein's, in a band of `most` on either side of the diagonal; anything above `most` is `most + 1`. */
function editDistance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next: number[] = new Array(b.length + 1).fill(most + 1);
    if (i <= most) next[0] = i;
    let least = next[0] ?? most + 1;
    for (let j = Math.max(1, i - most); j <= Math.min(b.length, i + most); j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const value = Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1);
      next[j] = value;
      if (value < least) least = value;
    }
    if (least > most) return most + 1;
    row = next;
  }
  return row[b.length] ?? most + 1;
}
