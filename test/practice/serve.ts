// `node test/practice/serve.ts SERVICE`: a practice service until its standard input ends. The first line says, as JSON,
// where it is, what signs in, and with which values its workflows are to be tried.
import { startPracticeShopify } from './shopify/server.ts';
import { startPracticeStripe } from './stripe/server.ts';
import { startPracticeShop } from './woocommerce/server.ts';
import { wordPressPackages } from './wordpress/packages.ts';
import { openWordPressHost } from './wordpress/server.ts';

export interface Served {
  readonly base: string;
  /** In place of the further origins that the service's way opens. */
  readonly origins?: readonly string[];
  readonly secrets: Readonly<Record<string, string>>;
  readonly runs: readonly Readonly<Record<string, string>>[];
  close(): Promise<void>;
}

/** What can't be brought up on this computer, and why. */
export interface Missing {
  readonly missing: string;
}

const SERVICES: Readonly<Record<string, () => Promise<Served | Missing>>> = {
  async woocommerce() {
    const shop = await startPracticeShop();
    return {
      base: shop.origin,
      secrets: { admin_username: shop.username, admin_password: shop.password },
      runs: [
        { label: 'Countersign check 1', scope: 'read', scopeWords: 'Read' },
        { label: 'Countersign check 2', scope: 'read_write', scopeWords: 'Read/Write' },
      ],
      close: () => shop.close(),
    };
  },
  async wordpress() {
    const found = await wordPressPackages();
    if ('missing' in found) return found;
    const host = await openWordPressHost(found.packages);
    const site = await host.site();
    return {
      base: site.base,
      secrets: { admin_username: site.admin.username, admin_password: site.admin.password },
      runs: [{ label: 'Countersign check 1' }],
      close: () => host.close(),
    };
  },
  async stripe() {
    const account = await startPracticeStripe();
    return {
      base: account.origin,
      secrets: { admin_email: account.email, admin_password: account.password },
      runs: [
        { label: 'Countersign check 1' },
        { label: 'Countersign check 2', mode: 'live', folder: '.', modeMark: 'Live mode', otherMark: 'Test mode' },
      ],
      close: () => account.close(),
    };
  },
  async shopify() {
    const store = await startPracticeShopify({ obstacles: { passkeyFirst: true } });
    const { dashboard: dashboardBase } = store;
    return {
      base: store.origin,
      origins: [store.accounts, store.dashboard],
      secrets: { admin_email: store.account.email, admin_password: store.account.password },
      runs: [
        { label: 'Countersign check 1', dashboardBase },
        { label: 'Countersign check 2', dashboardBase, scopes: 'read_products,write_inventory' },
      ],
      close: () => store.close(),
    };
  },
};

/** @returns `undefined` for a service that has no practice pages. */
export async function servePractice(name: string): Promise<Served | Missing | undefined> {
  return Object.hasOwn(SERVICES, name) ? SERVICES[name]?.() : undefined;
}

if (import.meta.main) {
  const found = await servePractice(process.argv[2] ?? '');
  if (found === undefined) {
    process.exitCode = 2;
  } else {
    const { close, ...served } = { close: async () => {}, ...found };
    process.stdout.write(`${JSON.stringify(served)}\n`);
    process.stdin.resume().once('end', () => void close());
  }
}
