import { randomBytes } from 'node:crypto';
import { type Creations, createCreations } from '../creation.ts';

export type StripeMode = 'test' | 'live';

/** A restricted key, as the practice account has it on its books. */
export interface StripeKey {
  readonly name: string;
  readonly mode: StripeMode;
  /** `rak_balance_read`, … */
  readonly raks: readonly string[];
  readonly value: string;
  isExpired: boolean;
  /** How many calls of the API were made with it. */
  uses: number;
}

/** What one practice account remembers. */
export interface StripeState {
  readonly account: string;
  readonly keys: StripeKey[];
  /** What the API refuses next, whatever the key. */
  fault: StripeFault | undefined;
  /** How often somebody has tried a password. */
  signIns: number;
  /** Whether an access policy refuses this computer. */
  refusesAddress: boolean;
  readonly creations: Creations;
  /** Whether the API looks for an object before it looks at a key's rights. */
  looksFirst: boolean;
  /** Tokens of people who are signed in. */
  readonly sessions: Set<string>;
  /** What stands in the way of everybody who opens a page. */
  obstacle: StripeObstacle | undefined;
}

/**
 * Invented, all of them: a CAPTCHA beside the password, an account that too many wrong passwords have locked, one whose role
 * may make no keys, pages that are closed for ten minutes, a sign-in that leads to an identity provider of the company's, and
 * a creation that makes its key and then answers with an error.
 */
export type StripeObstacle = 'captcha' | 'locked' | 'no-role' | 'closed' | 'elsewhere' | 'answer-lost';

export type StripeFault = 'rate_limit' | 'outage';

export function createState(): StripeState {
  const account = `acct_1${randomBytes(8).toString('hex')}`;
  return {
    ...{ account, keys: [], fault: undefined, signIns: 0, refusesAddress: false, looksFirst: false },
    obstacle: undefined,
    ...{ creations: createCreations(), sessions: new Set<string>() },
  };
}

export function makeKey(
  state: StripeState,
  { name, mode, raks }: Pick<StripeKey, 'name' | 'mode' | 'raks'>,
): StripeKey {
  // Letters and digits alone, in the length that today's keys have.
  const signs = randomBytes(120)
    .toString('base64')
    .replaceAll(/[^A-Za-z0-9]/g, '');
  const key: StripeKey = { name, mode, raks, value: `rk_${mode}_51${signs.slice(0, 97)}`, isExpired: false, uses: 0 };
  state.keys.push(key);
  return key;
}
