import { passwordField, tooLong } from './fields.ts';
import type { CredentialField } from './service.ts';

/** What a person enters to sign in at `wp-login.php`. WordPress calls the account's name and its e-mail address alike good. */
export function signInFields(account: Pick<CredentialField, 'label' | 'help'>): readonly CredentialField[] {
  return [
    {
      name: 'admin_username',
      ...account,
      isSecret: false,
      autocomplete: 'username',
      validate: (text) => (text.trim() === '' ? 'Enter the user name or e-mail address.' : tooLong(text)),
    },
    passwordField('your own sign-in page'),
  ];
}
