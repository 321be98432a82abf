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
    'log in|login|log on|logon|sign in|signin|anmelden|einloggen|anmeldung|se connecter|connexion|identifier|iniciar sesion|ingresar|acceder|accedi|inloggen|aanmelden|entrar|fazer login|iniciar sessao|zaloguj|zaloguj sie|logga in|log ind|logg inn|ログイン|登录|登入|войти|вход',
  sign_up:
    'sign up|signup|register|registrieren|s inscrire|inscription|registrarse|registrati|registreren|create account|create an account|join|konto erstellen|creer un compte|crear cuenta|criar conta|cadastre se|cadastrar|zarejestruj sie|registrera|新規登録|注册|зарегистрироваться|регистрация',
  sign_out:
    'log out|logout|sign out|signout|log off|abmelden|ausloggen|se deconnecter|deconnexion|cerrar sesion|salir|esci|uitloggen|sair|terminar sessao|wyloguj|wyloguj sie|logga ut|ログアウト|退出登录|登出|выйти',
  create:
    'create|generate|add|make|issue|new|erstellen|erzeugen|generieren|hinzufugen|anlegen|neu|neue|neuen|neuer|creer|generer|ajouter|nouveau|nouvelle|crear|generar|anadir|agregar|nuevo|nueva|crea|genera|aggiungi|nuovo|nuova|aanmaken|toevoegen|genereren|nieuw|nieuwe|criar|gerar|adicionar|novo|nova|utworz|dodaj|wygeneruj|nowy|skapa|lagg till|opret|作成|新規作成|生成|追加|创建|新建|添加|создать|добавить',
  edit: 'edit|modify|rename|bearbeiten|modifier|editar|modificar|modifica|bewerken|edytuj|redigera|編集|编辑|редактировать|изменить',
  save: 'save|update|apply|store|speichern|aktualisieren|ubernehmen|sichern|enregistrer|sauvegarder|appliquer|guardar|aplicar|actualizar|salva|applica|opslaan|salvar|gravar|atualizar|zapisz|spara|gem|保存|保存する|保存更改|сохранить',
  publish: 'publish|veroffentlichen|publier|publicar|pubblica|publiceren',
  search: 'search|find|suchen|suche|rechercher|chercher|buscar|cerca|zoeken|pesquisar|szukaj|sok|検索|搜索|поиск|найти',
  filter: 'filter|filtern|filtrer|filtrar|filtra',
  open: 'open|view|details|offnen|ansehen|anzeigen|ouvrir|voir|abrir|ver|apri|openen|bekijken',
  close: 'close|dismiss|schliessen|fermer|cerrar|chiudi|sluiten|fechar|zamknij|stang|閉じる|关闭|закрыть',
  show: 'show|reveal|unhide|einblenden|afficher|mostrar|mostra|tonen|exibir|pokaz|visa|表示|显示|показать',
  hide: 'hide|ausblenden|verbergen|masquer|cacher|ocultar|nascondi|esconder|ukryj|dolj|非表示|隐藏|скрыть',
  copy: 'copy|copy to clipboard|in die zwischenablage kopieren|copiar al portapapeles|copia negli appunti|duplicate|kopieren|duplizieren|copier|dupliquer|copiar|duplicar|copia|duplica|kopiuj|kopiera|コピー|复制|копировать',
  upload: 'upload|import|hochladen|importieren|importer|televerser|subir|importar|carica|importa',
  download: 'download|export|herunterladen|exportieren|telecharger|exporter|descargar|exportar|scarica|esporta',
  next: 'next|forward|weiter|nachste|suivant|suivante|siguiente|avanti|volgende|proximo|seguinte|avancar|dalej|nasta|次へ|下一步|далее',
  back: 'back|previous|zuruck|vorherige|retour|precedent|precedente|atras|volver|anterior|indietro|vorige|terug|voltar|wstecz|tillbaka|戻る|上一步|返回|назад',
  enable:
    'enable|activate|turn on|aktivieren|einschalten|activer|activar|habilitar|attiva|inschakelen|activeren|ativar|wlacz|aktivera|有効にする|启用|включить',
  send: 'send|invite|senden|einladen|envoyer|inviter|enviar|invitar|invia|invita|versturen|uitnodigen|submit|absenden|einreichen|envoyer|soumettre|verzenden|indienen|wyslij|skicka|送信|提交|发送|отправить',
  test: 'test|try|testen|tester|probar|prova',
  refresh: 'refresh|reload|sync|neu laden|rafraichir|recharger|recargar|ricarica|vernieuwen',
  start: 'start|run|begin|starten|demarrer|lancer|iniciar|avvia',
  stop: 'stop|pause|end|stoppen|anhalten|arreter|detener|ferma',
  disconnect: 'disconnect|unlink|trennen|deconnecter|dissocier|desconectar|disconnetti',
  expand: 'expand|ausklappen|aufklappen|developper|expandir|espandi|uitvouwen',
  collapse: 'collapse|einklappen|zuklappen|reduire|contraer|comprimi|invouwen',
  follow: 'follow|folgen|suivre|seguir|segui|volgen',
  lock: 'lock|verrouiller|blocca|vergrendelen',
  unlock: 'unlock|entsperren|deverrouiller|desbloquear|sblocca|ontgrendelen',
  connect: 'connect|verbinden|connecter|conectar|collega|vincular|polacz|anslut|接続|连接|подключить',
};

/** Acts that harm or deny: a control that has gained or lost one of them is another control, whatever else stayed. */
const HARM: Readonly<Record<string, string>> = {
  delete:
    'delete|bin|remove|erase|trash|destroy|wipe|purge|loschen|entfernen|supprimer|effacer|retirer|eliminar|borrar|quitar|elimina|rimuovi|cancella|verwijderen|wissen|excluir|remover|apagar|usun|ta bort|radera|slet|削除|删除|удалить',
  revoke: 'revoke|revocation|widerrufen|revoquer|revocar|revoca|intrekken|uniewaznij|aterkalla|取り消す|撤销|отозвать',
  cancel:
    'cancel|abort|abbrechen|stornieren|annuler|cancelar|anular|annulla|annuleren|anuluj|avbryt|annuller|キャンセル|取消|отмена|отменить',
  reset:
    'reset|roll|rotate|regenerate|recreate|renew|zurucksetzen|erneuern|neu erzeugen|reinitialiser|regenerer|renouveler|restablecer|regenerar|renovar|reimposta|rigenera|resetten',
  disable:
    'disable|deactivate|turn off|uninstall|suspend|block|deaktivieren|ausschalten|deinstallieren|sperren|desactiver|desinstaller|bloquer|desactivar|deshabilitar|desinstalar|bloquear|disattiva|uitschakelen|deactiveren|desativar|wylacz|inaktivera|無効にする|禁用|停用|отключить',
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
  password:
    'password|passwort|kennwort|mot de passe|contrasena|clave de acceso|wachtwoord|passcode|senha|palavra passe|haslo|losenord|パスワード|密码|пароль',
  user_name:
    'username|user name|user id|benutzername|nutzername|nom d utilisateur|nombre de usuario|usuario|nome utente|gebruikersnaam|identifiant|login name|nome de usuario|nome de utilizador|nazwa uzytkownika|anvandarnamn|ユーザー名|用户名|имя пользователя',
  email:
    'email|e mail|mail|email address|e mail address|e mail adresse|adresse e mail|adresse email|courriel|correo electronico|correo|direccion de correo electronico|indirizzo email|e mailadres|endereco de e mail|adres e mail|e post|メールアドレス|邮箱|электронная почта',
  key: 'key|schlussel|cle|clave|chiave|sleutel|chave|klucz|nyckel|キー|密钥|ключ',
  token: 'token|jeton|testigo|トークン',
  secret: 'secret|geheimnis|secreto|segreto|geheim',
  name: 'name|nom|nombre|nome|naam|bezeichnung|nazwa|namn|名前|名称|имя|название',
  description:
    'description|beschreibung|descripcion|descrizione|beschrijving|omschrijving|descricao|opis|beskrivning|説明|描述|описание',
  permission:
    'permission|permissions|access rights|berechtigung|berechtigungen|autorisation|autorisations|permiso|permisos|permesso|permessi|rechten|zugriff',
  setting:
    'setting|settings|einstellung|einstellungen|parametre|parametres|reglages|ajustes|configuracion|impostazioni|instellingen|preferences|configuracoes|definicoes|ustawienia|installningar|設定|设置|настройки',
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
  change: 'change|anderung',
  set_up: 'set up|setup|configure|einrichten|konfigurieren|configurer|configurar|configura|instellen|configureren',
  remember:
    'remember me|keep me signed in|stay signed in|angemeldet bleiben|se souvenir de moi|recuerdame|recordarme|ricordami|onthoud mij',
};

/** Words that say nothing by themselves. */
const FILLERS = new Set(
  'a an the your my our this please der die das den dem ein eine einen einer ihr ihre dein deine le la les l un une des du de d votre mon el los las unos su tu mi il lo gli uno het een je mijn to of for fur pour para per voor di do da dos das now jetzt maintenant ahora adesso nu agora changes anderungen modifications cambios modifiche wijzigingen alteracoes を の に する'.split(
    ' ',
  ),
);

/** Words after which a control is about something else than it would be without them: "Log in with Google". */
const QUALIFIERS = new Set(
  'with as via using by from instead mit als uber avec comme por con como met come'.split(' '),
);

/** Languages that put no space between words: "トークンを作成" is "token", a particle and "create". */
const UNSPACED = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}]/u;
const SEGMENTER = new Intl.Segmenter('ja', { granularity: 'word' });
const CONCEPT_OF = new Map<string, string>();
const HARMFUL = new Set(Object.keys(HARM));
const ACTING = new Set([...Object.keys(ACTS), ...HARMFUL]);
for (const [concept, phrases] of [...Object.entries(THINGS), ...Object.entries(ACTS), ...Object.entries(HARM)])
  for (const phrase of phrases.split('|')) CONCEPT_OF.set(wordsIn(phrase).join(' '), concept);
const LONGEST_PHRASE = 4; // words

/** Words of which an element has one or another: of two that differ in them, one is never the other reworded. */
const CONTRARIES: readonly string[] = [
  'live production prod/test sandbox staging testing',
  'public publishable offentlich publique publico pubblica/private secret privat geheim prive privado segreto',
  'key schlussel cle clave chiave sleutel/secret geheimnis secreto segreto geheim',
  'read lesen lecture lectura lettura/write schreiben ecriture escritura scrittura',
  'first erste premier primero given/last letzte dernier ultimo family',
  'all alle tous todos tutti/none selected ausgewahlte',
  'current old existing aktuelles altes actuel actual/new neues nouveau nuevo',
  'monthly/yearly annual annually/weekly/daily',
  'shipping delivery lieferung livraison envio/billing invoice rechnung facturation facturacion',
  'incoming inbound/outgoing outbound',
  'up/down',
  'left/right',
  'top/bottom',
  'before/after',
  'more/less fewer',
  'increase/decrease',
  'min minimum/max maximum',
];
/** How a thing is at the moment: of what is done they are contraries, and beside it the thing may have been switched. */
const STATES: readonly string[] = ['on ein an/off aus', 'yes ja oui si sim/no nein non nao'];
const SAYS_STATE = new Set(STATES.flatMap((sides) => sides.split(/[ /]/)));
const SIDES_OF = new Map<string, Map<number, number>>();
for (const [group, sides] of [...CONTRARIES, ...STATES].entries())
  for (const [side, words] of sides.split('/').entries())
    for (const word of words.split(' ')) SIDES_OF.set(word, (SIDES_OF.get(word) ?? new Map()).set(group, side));
/** "Unfollow", "disallow", "deselect", "inactive": the rest, turned round. */
const TURNING = ['un', 'dis', 'de', 'in', 'non'];
const SHORTEST_TURNED = 4;

/** Whether a word of one of them is the contrary of a word that only the other has. */
function areContrary(a: Wording, b: Wording): boolean {
  const [inA, inB] = [a.text.split(' '), b.text.split(' ')];
  const [onlyInA, onlyInB] = [inA.filter((word) => !inB.includes(word)), inB.filter((word) => !inA.includes(word))];
  const areTurned = onlyInA.some((one) => onlyInB.some((other) => turns(one, other) || turns(other, one)));
  return areTurned || areOnContrarySides(onlyInA, onlyInB);
}

/** Whether what stands around takes a side, such as "live", where it was another one, such as "test", in any language. */
export function standForContraries(a: readonly string[], b: readonly string[]): boolean {
  const lasting = (words: readonly string[]) => words.filter((word) => !SAYS_STATE.has(word));
  return areOnContrarySides(lasting(a), lasting(b));
}

function areOnContrarySides(a: readonly string[], b: readonly string[]): boolean {
  const [ofA, ofB] = [sidesIn(a), sidesIn(b)];
  return [...ofA].some(([group, sides]) => {
    const others = ofB.get(group) ?? new Set();
    return [...sides].some((side) => !others.has(side)) && [...others].some((side) => !sides.has(side));
  });
}

function sidesIn(words: readonly string[]): ReadonlyMap<number, ReadonlySet<number>> {
  const found = new Map<number, Set<number>>();
  for (const word of words)
    for (const [group, side] of SIDES_OF.get(word) ?? []) found.set(group, (found.get(group) ?? new Set()).add(side));
  return found;
}

function turns(word: string, turned: string): boolean {
  return word.length >= SHORTEST_TURNED && TURNING.some((prefix) => turned === prefix + word);
}

/** Words without case, accents and punctuation. */
export function wordsIn(text: string): readonly string[] {
  const folded = text
    .slice(0, LONGEST)
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replaceAll('ß', 'ss');
  const words = folded.match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.flatMap((word) =>
    UNSPACED.test(word) ? [...SEGMENTER.segment(word)].map(({ segment }) => segment) : word,
  );
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
  'edit change set_up open show hide copy download enable start stop test refresh connect disconnect delete revoke cancel reset disable archive'
    .split(' ')
    .map((concept) => `:${concept}`)
    .concat(
      'manage more actions options select choose verwalten auswahlen mehr gerer choisir plus gestionar elegir mas'.split(
        ' ',
      ),
    ),
);

/**
 * Whether a form or dialog of the one title is for something else than one of the other: one harms, or signs up where the
 * other signs in. "No keys yet" says how things are, not what is done.
 */
export function areForDifferentEnds(a: Wording, b: Wording): boolean {
  const ends = ({ acts }: Wording) => [...acts].filter((act) => act !== ':not' && HARMFUL.has(act.slice(1)));
  const isForNew = ({ acts }: Wording) => acts.has(':sign_up') && !acts.has(':sign_in');
  const [ofA, ofB] = [ends(a), ends(b)];
  return ofA.some((end) => !ofB.includes(end)) || ofB.some((end) => !ofA.includes(end)) || isForNew(a) !== isForNew(b);
}

/**
 * Whether one of them only says more than the other, and no more than what stands around both of them: "Name" and
 * "Token name" under "New token". What is done, or to how many, is never left to the surroundings.
 */
export function saysWhatStandsAround(a: Wording, b: Wording, around: () => ReadonlySet<string>): boolean {
  const onlyInA = [...a.terms].filter((term) => !b.terms.has(term));
  const onlyInB = [...b.terms].filter((term) => !a.terms.has(term));
  const more = [...onlyInA, ...onlyInB];
  const isOneMore = (onlyInA.length === 0 || onlyInB.length === 0) && a.terms.size + b.terms.size > more.length;
  if (!isOneMore || more.some((term) => ACTING.has(term.slice(1)) || SIDES_OF.has(term))) return false;
  const said = around();
  return more.every((term) => said.has(term));
}

/** Whether it says that something is harmed or denied. */
export function isHarmful({ acts }: Wording): boolean {
  return [...acts].some((act) => HARMFUL.has(act.slice(1)));
}

/** Whether the words alone can't tell one of several controls: "Edit", "View details", without what. */
export function isOneOfMany({ terms }: Wording): boolean {
  return terms.size > 0 && [...terms].every((term) => FOR_EACH.has(term));
}

/** Whether it only says what is done, not to what: "Save", which each form has. */
export function isBareAct({ terms, acts }: Wording): boolean {
  return terms.size > 0 && terms.size === acts.size;
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
  if (areContrary(a, b)) return 'opposed';
  if (differing.length === 0) return 'meaning';
  if (differing.some((term) => QUALIFIERS.has(term))) return 'qualified';
  if (isSpelling(a.text, b.text)) return 'spelling';
  const shared = a.terms.size - onlyInA.length;
  const isPart = holds(a, b) || holds(b, a); // word by word: another word and one more are too much at once
  const isOfMany = [...a.acts].some((act) => FOR_EACH.has(act)); // "Copy key" is not "Copy master key"
  return isPart && !isOfMany && shared / (shared + differing.length) >= MOST_SHARED ? 'part' : 'other';
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
