import { expect } from 'playwright/test';
import { input, result, secret, test } from '../../adapters/browser/recording/index.ts';

test('Acme: create a token', {
  annotation: [
    { type: 'workflow', description: 'acme_token' },
    { type: 'permission', description: 'create_token' },
    { type: 'vendor', description: 'invented' },
    { type: 'verify', description: 'Check that it works' },
  ],
}, async ({ page }) => {
  const { ACME_EMAIL = '', ACME_PASSWORD = '' } = process.env;
  await test.step('Open the sign-in page', () => page.goto('/sign-in'));
  await test.step('Enter the e-mail address', () => page.getByLabel('E-mail').fill(secret('admin_email', ACME_EMAIL)));
  await test.step('Enter the password', () =>
    page.getByLabel('Password').fill(secret('admin_password', ACME_PASSWORD)));
  await test.step('Sign in', () => page.getByRole('button', { name: 'Sign in' }).click());

  // An interrupted run goes on at an address that is opened, so there is one behind the sign-in.
  const label = input('label', 'Countersign recording');
  await test.step('Open the tokens', () => page.goto('/tokens'));
  await test.step(`Name it “${label}”`, () => page.getByLabel('Name').fill(label));
  await test.step('Create the token and put it into the vault', () =>
    page.getByRole('button', { name: 'Create token' }).click());
  await expect(page.getByText('Token created')).toBeVisible();
  await result('token', page.locator('#token'), /tok_[0-9a-f]{40}/);
});
