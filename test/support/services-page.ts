// docs/services.md: what whoever has a service connected needs, and is asked for. Made of core/services, as far as it says so.
import { services } from '../../core/services/index.ts';
import type { CredentialField, OperationType, Service, Way } from '../../core/services/service.ts';
import { waysAt } from '../../core/services/ways.ts';

/** What the code only says where it is missing, or can't know: whose account, and what else, in sentences. */
const BEFOREHAND: Readonly<Record<string, readonly string[]>> = {
  woocommerce: [
    'An account of the shop with the role Administrator or Shop manager.',
    'WooCommerce is active, and WordPress has other permalinks than “Plain” (Settings › Permalinks): else the shop has no REST API.',
    'The address begins with `https://`. One with `http://` works, and the card warns: password and key travel readably.',
    'Where the worker signs in, the sign-in page is at `/wp-login.php`.',
    'To approve the key in WooCommerce, the shop has to reach Countersign at an address with `https://`, at port 443, 80 or 8080. Else this way is not offered.',
  ],
  wordpress: [
    'The account that the password shall act as. It may then do whatever that account may, for WordPress has no narrower ones: choose one that may no more than is needed.',
    'WordPress 5.6 or later, at an address with `https://`.',
    'No plugin and no host has switched application passwords off, or hides accounts from the REST API (`users/me`).',
    'Where the worker signs in, the sign-in page is at `/wp-login.php`.',
  ],
  stripe: [
    'An account of Stripe with the role Administrator or Developer.',
    'A key is for test mode, which is what is asked for, or for live mode: choose by **Choose permissions** on the card.',
    'No API of Stripe’s ends a key: a person does, by steps that the thread shows, also the old one of a rotation.',
  ],
  shopify: [
    'An account of the owner of the store, or of staff with the role Apps Developer.',
    'The store’s `myshopify.com` name, which Settings › Domains shows; a domain of its own doesn’t lead there.',
    'The app is made in the organisation that lists the store. Whose account belongs to several makes the app by the steps.',
  ],
};

/** What is done with a service's keys, and what is said where it can't be. */
const TYPES: readonly (readonly [OperationType, string, string])[] = [
  ['api_key_generation', 'set up', ''],
  ['credential_rotation', 'rotate', 'set it up again; the thread shows how to end the old one'],
  ['credential_revocation', 'revoke', 'by hand, by steps that the thread shows'],
  ['integration_test', 'test', ''],
];

const BY: Readonly<Record<Way['kind'], string>> = {
  browser: 'the worker does it in a browser, with your sign-in',
  entered: 'you do it by the steps, and enter what comes of it',
  granted: 'you sign in yourself and approve it there; the key is sent',
  stored: 'the stored key is all that it takes',
};

/** An installation that is reached by its people and by their shops. */
const PUBLIC_URL = 'https://countersign.example.com';

export function servicesPage(): string {
  return [
    '# Services',
    '',
    '<!-- npm run docs makes this page of core/services and test/support/services-page.ts -->',
    '',
    'What you need for each, and what you are asked for: on a one-time page for you alone, never in chat. “Proven” ran on the vendor’s own pages; “beta”',
    'is modelled on its documentation. Of several ways the card shows the first one, and the others by a button.',
    '',
    '**A code** (2FA) is asked for in the thread: you enter it on a one-time page, and within two minutes the work goes on with it. **A CAPTCHA** is never solved: the',
    'work ends, and the thread shows another way, or how to do it by hand. Anything else that comes in between is shown there with a picture, and you are asked.',
    'None of this comes where you do it yourself. A password that is refused is tried once.',
    '',
    'What is wrong with an address, an operator finds without any key: `npm run countersign -- doctor SERVICE ADDRESS`.',
    '',
    ...services.flatMap(section),
  ].join('\n');
}

function section({
  id,
  name,
  targetWords,
  targetExample = 'shop.example.com',
  home,
  operationTypes,
}: Service): string[] {
  const known = TYPES.flatMap(([type]) => operationTypes[type] ?? []);
  const fields = known.flatMap(({ ways }) => ways.flatMap(enteredIn));
  const helps = new Map(fields.map(({ label, help }) => [label, help]));
  const rows = TYPES.flatMap(([type, words, otherwise]) => {
    const found = operationTypes[type];
    if (!found) return [`| ${words} | ${otherwise} | | |`];
    return waysAt(found, PUBLIC_URL).map((way) => {
      const labels = enteredIn(way).map(({ label }) => label);
      return `| ${words} | **${way.label}**: ${BY[way.kind]} | ${way.standing} | ${labels.join(', ') || 'nothing'} |`;
    });
  });
  return [
    `## ${name}`,
    '',
    home
      ? `Every account is at <${home}>: no address is needed.`
      : `Asked for with ${targetWords}, such as \`${targetExample}\`.`,
    '',
    ...(BEFOREHAND[id] ?? []).map((need) => `- ${need}`),
    '',
    '| to | way | standing | you enter |',
    '|---|---|---|---|',
    ...rows,
    '',
    ...[...helps].map(([label, help]) => `- **${label}**: ${help}`),
    '',
  ];
}

/** What the vendor sends is not asked of anybody. */
function enteredIn({ kind, fields }: Way): readonly CredentialField[] {
  return kind === 'granted' ? [] : fields;
}
