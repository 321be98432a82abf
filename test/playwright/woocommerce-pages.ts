import type { Page } from 'playwright/test';
import { result, test } from '../../adapters/browser/recording/index.ts';

const KEYS = 'admin.php?page=wc-settings&tab=advanced&section=keys';

/** The form that leads into the admin. */
export class SignInPage {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  /** With the wanted page as its destination, so that the page after it is already that one. */
  async open(base: string): Promise<void> {
    const destination = encodeURIComponent(`${base}/wp-admin/${KEYS}`);
    await test.step('Open the sign-in page', () => this.#page.goto(`${base}/wp-login.php?redirect_to=${destination}`));
  }

  async signIn(username: string, password: string): Promise<void> {
    await test.step('Enter the user name', () =>
      this.#page.getByRole('textbox', { name: 'Username or Email Address', exact: true }).fill(username));
    await test.step('Enter the password', () => this.#page.getByLabel('Password', { exact: true }).fill(password));
    await test.step('Sign in', () => this.#page.getByRole('button', { name: 'Log In', exact: true }).click());
  }
}

/** Settings › Advanced › REST API keys. */
export class KeysPage {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  async open(base: string): Promise<void> {
    await test.step('Open Settings › Advanced › REST API keys', () => this.#page.goto(`${base}/wp-admin/${KEYS}`));
  }

  async startNewKey(): Promise<KeyForm> {
    await test.step('Start a new key', () => this.#page.getByRole('link', { name: 'Add key', exact: true }).click());
    return new KeyForm(this.#page);
  }
}

/** The form for one key. */
class KeyForm {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  async describe(label: string): Promise<void> {
    await test.step(`Name it “${label}”`, () => this.#page.getByRole('textbox', { name: 'Description' }).fill(label));
  }

  /** The real list, which a widget hides. */
  async allow(scope: string, words: string): Promise<void> {
    await test.step(`Choose “${words}”`, () =>
      this.#page.locator('#key_permissions').selectOption(scope, { force: true }));
  }

  /** The key is shown once. */
  async generate(): Promise<{ key: string; secret: string }> {
    await test.step('Generate the key and put it into the vault', () =>
      this.#page.getByRole('button', { name: 'Generate API key', exact: true }).click());
    return {
      key: await result('consumer_key', this.#page.locator('#key_consumer_key'), /^ck_[0-9a-f]{40}$/),
      secret: await result('consumer_secret', this.#page.locator('#key_consumer_secret'), /^cs_[0-9a-f]{40}$/),
    };
  }
}
