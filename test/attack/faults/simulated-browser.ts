import { setTimeout as wait } from 'node:timers/promises';
import { CountersignError } from '../../../core/errors.ts';
import type {
  Action,
  Browser,
  BrowserSession,
  ElementIdentity,
  FoundElement,
  LiveCondition,
  Locator,
  Shot,
} from '../../../core/ports/browser.ts';
import { Secret } from '../../../core/secret.ts';
import type { Workflow } from '../../../core/workflow/workflow.ts';
import type { PracticeShop } from '../../practice/woocommerce/server.ts';
import { createVisitor, type MadeKey, type Visitor } from '../../practice/woocommerce/visitor.ts';

/**
 * A SIMULATION of a browser, for many operations at once: it finds what the workflow looks for without any page, and does
 * at the practice shop by plain requests what the pages would do: it signs in, makes the key, and reads the list of keys.
 * The product's runner and engine above it, and the shop below, are the real ones.
 */
export interface SimulatedStep {
  /** Of this process's own time, for each thing that is done to a page. */
  readonly cpuMs: number;
  readonly waitMs: number;
}

/** As large as a step's picture. */
const PICTURE = Buffer.alloc(16_000, 'picture');
const LOOK_MS = 500; // the engine's short looks are at what may be in the way: nothing is
const KEYS_LIST = '/wp-admin/admin.php?page=wc-settings&tab=advanced&section=keys';

export function createSimulatedBrowser(workflow: Workflow, step: SimulatedStep): Browser {
  const known = knownElements(workflow);
  return { open: async ({ storage }) => openSession(known, step, storage), close: async () => {} };
}

/** Whom the shop knows the session as; what stands for the cookies of a real one. */
interface Account {
  readonly origin: string;
  readonly username: string;
  readonly password: string;
}

function savedAccount(storage: Secret): Account | undefined {
  const { origin, username, password } = JSON.parse(storage.reveal()) as Partial<Account>; // our own `storage` wrote it
  return origin === undefined || username === undefined || password === undefined
    ? undefined
    : { origin, username, password };
}

interface Known {
  readonly handle: string;
  readonly identity: ElementIdentity;
}

/** By their locators: the steps' elements, by their number, and the fields of the result, by their name. */
function knownElements({ steps }: Workflow): ReadonlyMap<string, Known> {
  const known = new Map<string, Known>();
  for (const step of steps) {
    if (!('locators' in step)) continue;
    const { nameMatches, ...identity } = step.identities[0] ?? { tag: 'input' };
    const one = {
      handle: String(step.order),
      identity: { ...identity, ...(nameMatches ? { name: 'Description' } : {}) },
    };
    for (const locator of step.locators) known.set(JSON.stringify(locator), one);
    if (step.kind !== 'extract') continue;
    for (const [handle, { locators }] of Object.entries(step.extract.fields))
      for (const locator of locators) known.set(JSON.stringify(locator), { handle, identity: { tag: 'input' } });
  }
  return known;
}

function openSession(
  known: ReadonlyMap<string, Known>,
  { cpuMs, waitMs }: SimulatedStep,
  storage: Secret | undefined,
): BrowserSession {
  const typed = new Map<string, string>();
  let url = 'about:blank';
  let account = storage && savedAccount(storage);
  let visitor: Visitor | undefined;
  let key: MadeKey | undefined;

  async function work(): Promise<void> {
    const endsAt = performance.now() + cpuMs;
    while (performance.now() < endsAt); // what drawing and describing a page would take
    await wait(waitMs);
  }

  /** As a page that the network does not bring: an outage, never a bug. */
  const asked = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      throw new CountersignError('network', 'The shop did not answer.', { isRetryable: true, cause });
    }
  };

  const signedIn = async (one: Account): Promise<Visitor> => {
    const opened = createVisitor(one as PracticeShop); // all that a visitor looks at
    await asked(() => opened.signIn());
    return opened;
  };

  async function click(handle: string): Promise<void> {
    const { origin } = new URL(url);
    if (handle === SIGN_IN) {
      account = { origin, username: typed.get(USERNAME) ?? '', password: typed.get(PASSWORD) ?? '' };
      visitor = await signedIn(account);
      url = origin + KEYS_LIST;
    } else if (handle === NEW_KEY) url = `${origin}${KEYS_LIST}&create-key=1`;
    else if (handle === GENERATE) {
      visitor ??= account && (await signedIn(account));
      key = await asked(async () => visitor?.makeKey(typed.get(LABEL) ?? '', typed.get(SCOPE)));
    }
  }

  async function perform({ handle }: FoundElement, action: Action): Promise<void> {
    await work();
    if (action.kind === 'fill')
      typed.set(handle, action.value instanceof Secret ? action.value.reveal() : action.value);
    if (action.kind === 'select') typed.set(handle, action.option);
    if (action.kind === 'click') await click(handle);
  }

  const shoot = async (): Promise<Shot> => ({
    drawn: Promise.resolve({
      kind: 'taken',
      picture: { bytes: PICTURE, mediaType: 'image/jpeg', width: 1280, height: 800, masks: [] },
    }),
  });
  return {
    async navigate(to) {
      await work();
      url = to;
      return { url, title: '' };
    },
    address: () => url,
    state: async () => ({ url, title: '' }),
    async find(locators) {
      const locator = locators.find((one) => known.has(JSON.stringify(one)));
      const found = locator && known.get(JSON.stringify(locator));
      return found ? { kind: 'found', element: { ...found, locator, box: null } } : { kind: 'missing' };
    },
    survey: async () => [],
    pick: async () => undefined,
    controlAt: async () => undefined,
    text: async () => '',
    scroll: async () => {},
    describe: async () => undefined,
    fingerprint: async () => undefined,
    boxOf: async () => null,
    ready: async () => {},
    act: perform,
    read: async ({ handle }) => (handle === 'consumer_key' ? key?.consumerKey : key?.consumerSecret) ?? '',
    async waitFor(conditions, timeoutMs) {
      const label = listedLabel(conditions[0]);
      if (label === undefined) return timeoutMs > LOOK_MS ? 0 : undefined;
      visitor ??= account && (await signedIn(account));
      const list = await asked(async () => visitor?.get(new URL(url).pathname + new URL(url).search));
      return list?.body.includes(`>${label}<`) ? 0 : 1;
    },
    picture: async () => (await shoot()).drawn,
    shoot,
    storage: async () => new Secret(JSON.stringify(account ?? {})),
    incidents: () => [],
    close: async () => {},
  };
}

/** The workflow's steps, by their numbers. */
const [USERNAME, PASSWORD, SIGN_IN, NEW_KEY, LABEL, SCOPE, GENERATE] = ['2', '3', '4', '6', '7', '8', '9'];

/** The label that the list of keys is looked through for. */
function listedLabel(condition: LiveCondition | undefined): string | undefined {
  if (condition?.kind !== 'any') return undefined;
  const [first] = condition.of;
  const locator: Locator | undefined = first?.kind === 'visible' ? first.locator : undefined;
  const isOfList = locator?.within?.by === 'css' && locator.within.selector === 'table.keys';
  return isOfList && locator.by === 'role' ? locator.name : undefined;
}
