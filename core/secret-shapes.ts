/** What a secret found by its shape is called; the conversation turns it into words. */
export type SecretKind =
  | 'application_password'
  | 'authorization_header'
  | 'cloud_key'
  | 'countersign_token'
  | 'jwt'
  | 'model_key'
  | 'one_time_code'
  | 'password'
  | 'private_key'
  | 'service_key'
  | 'shopify_token'
  | 'slack_token'
  | 'source_control_token'
  | 'stripe_key'
  | 'url_credentials'
  | 'woocommerce_key';

export interface SecretShape {
  readonly kind: SecretKind;
  /** The shape is tried only when one of these stands in the text (lower case): the cheap way out for ordinary lines. */
  readonly keywords: readonly string[];
  /**
   * Global, and every repetition bounded, so that one attempt costs a constant: linear on hostile texts.
   * The secret is group `secret`, else the whole match.
   */
  readonly pattern: RegExp;
  /** How the secret goes on past the pattern's bound, one character at a time. */
  readonly tail?: RegExp;
  readonly accepts?: (secret: string, rest: string) => boolean;
}

const WORD_START = '(?<![A-Za-z0-9])';
const token = (body: string, flags = 'dg') => new RegExp(`${WORD_START}(?:${body})`, flags);

/**
 * Sources: the vendors' pages on their key formats, and the prefixes listed by GitHub's secret scanning
 * (docs.github.com/code-security/secret-scanning/introduction/supported-secret-scanning-patterns).
 */
const TOKENS: readonly SecretShape[] = [
  {
    // Our own: `csk_` and 64 hexadecimal digits (core/customers/api-tokens.ts).
    kind: 'countersign_token',
    keywords: ['csk_'],
    pattern: token('csk_[0-9A-Fa-f]{16,128}'),
    tail: /[0-9A-Za-z]/,
  },
  {
    kind: 'woocommerce_key',
    keywords: ['ck_', 'cs_'],
    pattern: token('c[ks]_[0-9A-Za-z]{16,128}'),
    tail: /[0-9A-Za-z]/,
  },
  {
    kind: 'stripe_key',
    keywords: ['sk_', 'rk_', 'whsec_'],
    pattern: token(
      '(?:[sr]k_(?:live|test|org)_[0-9A-Za-z_]{10,256}|[sr]k_[0-9A-Za-z]{20,256}|whsec_[0-9A-Za-z+/=]{16,256})',
    ),
    tail: /[0-9A-Za-z_+/=]/,
  },
  {
    kind: 'shopify_token',
    keywords: ['shpat_', 'shpss_', 'shpca_', 'shppa_', 'shpua_', 'shptka_', 'shprt_'],
    pattern: token('shp(?:at|ss|ca|pa|ua|tka|rt)_[0-9A-Za-z]{16,128}'),
    tail: /[0-9A-Za-z]/,
  },
  {
    kind: 'slack_token',
    keywords: ['xox', 'xapp-', 'hooks.slack.com', 'xwfp-'],
    pattern: token(
      '(?:xox[a-z](?:\\.xox[a-z])?-[0-9A-Za-z%-]{8,512}|x(?:app|wfp)-[0-9A-Za-z-]{8,512}|hooks\\.slack\\.com/(?<secret>(?:services|workflows|triggers)/[0-9A-Za-z/_-]{16,256}))',
    ),
    tail: /[0-9A-Za-z%/_-]/,
  },
  {
    kind: 'model_key',
    keywords: ['sk-', 'aiza', 'hf_', 'gsk_', 'xai-'],
    pattern: token(
      '(?:sk-ant-[0-9A-Za-z_-]{8,256}|sk-(?=[A-Za-z_-]{0,40}[0-9])[0-9A-Za-z_-]{20,256}|AIza[0-9A-Za-z_-]{30,64}|hf_[0-9A-Za-z]{30,64}|gsk_[0-9A-Za-z]{40,64}|xai-[0-9A-Za-z]{40,128})',
    ),
    tail: /[0-9A-Za-z_-]/,
  },
  {
    kind: 'cloud_key',
    keywords: ['akia', 'asia', 'abia', 'acca', 'ya29.', 'gocspx-', 'accountkey=', 'sharedaccesskey=', 'sig='],
    pattern: token(
      '(?:(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}|ya29\\.[0-9A-Za-z_-]{20,512}|GOCSPX-[0-9A-Za-z_-]{20,64}|(?:AccountKey|SharedAccessKey)=(?<secret>[0-9A-Za-z+/]{20,256}={0,2})|sig=(?<signature>[0-9A-Za-z%+/]{40,128}={0,2}))',
    ),
    tail: /[0-9A-Za-z_=-]/,
  },
  {
    kind: 'source_control_token',
    keywords: [
      'ghp_',
      'gho_',
      'ghu_',
      'ghs_',
      'ghr_',
      'github_pat_',
      'glpat-',
      'gldt-',
      'glrt-',
      'glptt-',
      'gloas-',
      'npm_',
      'pypi-',
    ],
    pattern: token(
      '(?:gh[pousr]_[0-9A-Za-z]{16,256}|github_pat_[0-9A-Za-z_]{16,256}|gl(?:pat|dt|rt|ptt|oas)-[0-9A-Za-z_-]{16,256}|npm_[0-9A-Za-z]{30,64}|pypi-[0-9A-Za-z_-]{40,256})',
    ),
    tail: /[0-9A-Za-z_-]/,
  },
  {
    kind: 'service_key',
    keywords: ['sg.', '-us', 'sk', 'key-', 'dop_v1_', 'eaa', 'atta'],
    pattern: token(
      '(?:SG\\.[0-9A-Za-z_-]{16,32}\\.[0-9A-Za-z_-]{30,64}|[0-9a-f]{32}-us[0-9]{1,2}(?![0-9A-Za-z])|SK[0-9a-f]{32}(?![0-9A-Za-z])|key-[0-9a-f]{32}|dop_v1_[0-9a-f]{64}|EAA[0-9A-Za-z]{60,256}|ATTA[0-9a-f]{60,80})',
    ),
  },
  {
    kind: 'jwt',
    keywords: ['eyj'],
    pattern: token('(?<![_-])eyJ[0-9A-Za-z_-]{6,2048}\\.[0-9A-Za-z_-]{6,4096}(?:\\.[0-9A-Za-z_-]{0,1024}){0,3}'),
    tail: /[0-9A-Za-z_.-]/,
  },
];

const APPLICATION_PASSWORDS: readonly SecretShape[] = [
  {
    // WordPress prints 24 letters and digits in six groups (wp_generate_password(24, false), chunked by 4).
    kind: 'application_password',
    keywords: [' '],
    pattern: /(?<![A-Za-z0-9])[A-Za-z0-9]{4}(?:[ \u00a0][A-Za-z0-9]{4}){5}(?![A-Za-z0-9])/dg,
    accepts: (secret) => secret.split(/[ \u00a0]/).filter(isJumbled).length >= 2,
  },
  {
    kind: 'application_password',
    keywords: [''],
    pattern: /(?<![A-Za-z0-9_/+=.-])[A-Za-z0-9]{24}(?![A-Za-z0-9_/+=-])/dg,
    accepts: (secret) => /[0-9]/.test(secret) && count(secret, /[A-Z]/g) >= 3 && count(secret, /[a-z]/g) >= 3,
  },
];

const HEADERS: readonly SecretShape[] = [
  {
    kind: 'authorization_header',
    keywords: ['authorization'],
    pattern: /authorization["']?\s{0,3}[:=]\s{0,3}["']?(?:[a-z0-9]{3,12}\s{1,3})?(?<secret>[^\s"',;]{6,2048})/dgi,
    tail: /[^\s"',;]/,
    accepts: isNoPlaceholder,
  },
  {
    kind: 'authorization_header',
    keywords: ['bearer'],
    pattern: /(?<![A-Za-z0-9])bearer\s{1,3}(?<secret>[0-9A-Za-z+/._~-]{8,2048}={0,2})/dgi,
    tail: /[0-9A-Za-z+/._~=-]/,
    accepts: (secret) => secret.length >= 32 || /[0-9]/.test(secret),
  },
  {
    kind: 'authorization_header',
    keywords: ['basic'],
    pattern: /(?<![A-Za-z0-9])basic\s{1,3}(?<secret>[0-9A-Za-z+/_-]{4,2048}={0,2})/dgi,
    tail: /[0-9A-Za-z+/_=-]/,
    accepts: decodesToPair,
  },
  {
    kind: 'authorization_header',
    keywords: ['curl', '-u', '--user'],
    pattern: /(?<=\s)(?:-u|--user)[\s=]{1,3}["']?(?<secret>[^\s:"']{1,128}:[^\s"']{1,256})/dg,
    tail: /[^\s"']/,
    accepts: isNoPlaceholder,
  },
  {
    kind: 'authorization_header',
    keywords: ['cookie'],
    pattern: /(?<![A-Za-z])(?:set-)?cookie["']?\s{0,3}[:=]\s{0,3}["']?(?<secret>[^\s"'=;,]{1,128}=[^\s"',]{6,2048})/dgi,
    tail: /[^\s"']/,
    accepts: isNoPlaceholder,
  },
];

const PASSWORD =
  'pass ?word|pass ?wort|passwd|pass ?phrase|pass ?code|pwd|pw|kennwort|contraseña|mot de passe|wachtwoord|senha|hasło';
const PASSWORD_KEYWORDS = ['pass', 'pw', 'kennwort', 'contraseña', 'wachtwoord', 'senha', 'hasło'];
const KEY = [
  'api[ _-]?(?:key|token|secret)',
  '(?:access|refresh|auth|bot|session|csrf)[ _-]?token',
  '(?:secret|access|private|consumer|encryption)[ _-]?keys?(?:_old)?',
  '(?:consumer|client|signing|state|app|webhook)[ _-]?secret',
  'secret|token',
].join('|');
/** `for the shop`, `of admin`, `für den Shop`: what may stand between the label and its value. */
const ASIDE = '(?:\\s(?:for|of|to|on|from|at|für|von|zum|zur)(?:\\s[\\w.@/-]{1,48}){1,3}?)?';
/** Quotes behind a label, also those of JSON inside JSON. */
const MARKS = '["\'*_\\\\]{0,3}';
const VALUE = '(?:"(?<double>[^"\\n]{3,256})"|\'(?<single>[^\'\\n]{3,256})\'|\\\\?["\']?(?<secret>[^\\s"\']{3,256}))';
const UNTIL_SPACE = /[^\s"']/;

const LABELLED: readonly SecretShape[] = [
  {
    kind: 'password',
    keywords: PASSWORD_KEYWORDS,
    pattern: new RegExp(
      `(?<![A-Za-z])(?:(?:${PASSWORD})s?${MARKS}${ASIDE}|pass)\\s{0,3}(?:=>|[:=]{1,3}|->)\\s{0,3}${VALUE}`,
      'dgi',
    ),
    tail: UNTIL_SPACE,
    accepts: (secret, rest) => isNoPlaceholder(secret) && (endsClause(secret, rest) || !isCommonWord(secret)),
  },
  {
    kind: 'password',
    keywords: PASSWORD_KEYWORDS,
    pattern: new RegExp(
      `(?<![A-Za-z])(?:${PASSWORD})s?${ASIDE}\\s{1,3}(?:is|ist|lautet|est|es|was|war|will be|should be)\\s{1,3}(?:now |jetzt )?${VALUE}`,
      'dgi',
    ),
    tail: UNTIL_SPACE,
    accepts: (secret, rest) =>
      isNoPlaceholder(secret) &&
      !/^\s(?:characters|chars|letters|digits|bits|bytes|days|hours|minutes|zeichen)\b/i.test(rest) &&
      (isOdd(secret) || (!isCommonWord(secret) && endsClause(secret, rest))),
  },
  {
    kind: 'password',
    keywords: ['pass', 'pw', 'kennwort'],
    pattern: new RegExp(`(?<![A-Za-z])(?:${PASSWORD})\\s{1,3}${VALUE}`, 'dgi'),
    tail: UNTIL_SPACE,
    accepts: (secret) => mixesLettersAndDigits(secret) && !/:\/\/|^op-/i.test(secret),
  },
  {
    kind: 'password',
    keywords: ['login', 'creds', 'credentials', 'zugangsdaten'],
    // An address is no pair of name and password: `login: shop.example.com/wp-admin`.
    pattern:
      /(?<![A-Za-z])(?:logins?|creds|credentials|zugangsdaten)\s{0,3}(?:are|is|sind|:|=)\s{0,3}(?!localhost|[^\s/:@]{1,128}\.[a-z]{2,24}[/:])[^\s/:]{2,128}\s{0,2}[/:]\s{0,2}(?<secret>[^\s/"'][^\s"']{2,255})/dgi,
    tail: UNTIL_SPACE,
    accepts: isNoPlaceholder,
  },
  {
    kind: 'service_key',
    keywords: ['key', 'token', 'secret'],
    pattern: new RegExp(
      `(?<![A-Za-z])(?:[A-Za-z0-9]{1,24}[_-]){0,4}(?:${KEY})${MARKS}${ASIDE}(?:\\s{0,3}(?:=>|[:=]{1,3})|\\s{1,3}(?:is|ist|lautet))\\s{0,3}${VALUE}`,
      'dgi',
    ),
    tail: UNTIL_SPACE,
    // `API key for localhost:4001/shop` ends in a port and a path.
    accepts: (secret) =>
      withoutMarks(secret).length >= 6 && isOdd(secret) && isNoPlaceholder(secret) && !/^\d{1,5}[/?#]/.test(secret),
  },
  {
    kind: 'one_time_code',
    keywords: ['code', 'otp', 'tan', '2fa', 'mfa', 'pin'],
    pattern:
      /(?<![A-Za-z])(?<!(?:error|status|exit|http|zip|post|postal|country|area|promo|discount|product|sql) )(?:2fa|otp|totp|tan|pin|mfa|(?:pass|sicherheits)?code)(?:[ -]?code)?\s{0,3}(?:is|ist|lautet|[:=])\s{0,3}(?<secret>[0-9]{3}[ -]?[0-9]{3}|[0-9]{4,8})(?![0-9A-Za-z])/dgi,
  },
];

/** Secrets that are known by themselves; the others are told by the words before them, which sentences of our own hold, too. */
export const UNLABELLED: readonly SecretShape[] = [...TOKENS, ...HEADERS];
export const SHAPES: readonly SecretShape[] = [...UNLABELLED, ...APPLICATION_PASSWORDS, ...LABELLED];

const COMMON_WORDS = new Set(
  (
    'a an and any as ask asked at bad being below blank both but by can case correct could different do does done due empty enough enter false fine for forgot from ' +
    'gone good have here hidden how i if in incorrect invalid it its just kept known lost may me mine must my needed never new no none not nothing null of off ok okay old on one ' +
    'only optional or our please pls private right safe same saved see secret secure set short should so still strong that the then there this to too true unknown up valid we weak ' +
    'what when where which why will with would wrong yes you your yours always already also really very ' +
    'falsch richtig nicht noch kein keine sicher abgelaufen unbekannt vergessen geheim leer da hier das die der ein eine bitte'
  ).split(' '),
);

/** What stands behind `password:` in programs and forms when there is no password. */
const NO_VALUES = new Set(
  'undefined null none true false required optional missing empty invalid redacted string'.split(' '),
);

/** Not `[secret]`, `<your token>`, `********`, `{{x}}` or another label. */
function isNoPlaceholder(secret: string): boolean {
  const bare = withoutMarks(secret);
  if (/^(?:\[secret|<|\{\{|\$\{|\$[A-Z_]+$|%[A-Z_]+%$)/i.test(secret)) return false;
  return !/^[*•·.xX_-]*$/.test(bare) && !/[:=]$/.test(secret) && !NO_VALUES.has(bare.toLowerCase());
}

function isCommonWord(word: string): boolean {
  const bare = withoutMarks(word).toLowerCase();
  return COMMON_WORDS.has(bare) || NO_VALUES.has(bare) || /^[a-z]{2,12}(?:ing|ed|ly|n['’]t)$/.test(bare);
}

/** Nothing follows that makes the word part of an ordinary sentence. */
function endsClause(word: string, rest: string): boolean {
  return /[.,;!?)]$/.test(word) || /^["']?\s*(?:$|[.,;!?)\n/]|(?:and|und|please|pls|thanks|user)\b)/i.test(rest);
}

/** Not like a word of a language: digits or signs inside, or capitals in the middle. */
function isOdd(text: string): boolean {
  const bare = withoutMarks(text);
  return /[0-9]/.test(bare) || /[a-z][A-Z]/.test(bare) || /[^\p{L}\p{M}'’.-]/u.test(bare);
}

function mixesLettersAndDigits(text: string): boolean {
  return text.length >= 6 && /[A-Za-z]/.test(text) && /[0-9]/.test(text) && !/^[a-z0-9-]+(?:\.[a-z0-9-]+)+/i.test(text);
}

function withoutMarks(text: string): string {
  const bare = text.replace(/^[([{“‘]+/, '');
  let end = bare.length; // a pattern that ends in `$` would begin anew at every mark
  while (end > 0 && '.,;:!?)]}”’\\'.includes(bare.charAt(end - 1))) end--;
  return bare.slice(0, end);
}

/** Four characters that are no word: capitals after small letters, or letters among digits. */
function isJumbled(group: string): boolean {
  return !/^(?:[a-z]+|[A-Z]+|[A-Z][a-z]+|[0-9]+)$/.test(group);
}

function decodesToPair(secret: string): boolean {
  return /^[\x20-\x7e]+:[\x20-\x7e]*$/.test(Buffer.from(secret, 'base64').toString('latin1'));
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}
