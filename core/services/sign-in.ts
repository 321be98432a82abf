import type { CredentialField } from './service.ts';

/** What a person enters to sign in at `wp-login.php`. WordPress calls the account's name and its e-mail address alike good. */
export function signInFields(account: { readonly label: string; readonly help: string }): readonly CredentialField[] {
  return [
    {
      name: 'admin_username',
      ...account,
      isSecret: false,
      autocomplete: 'username',
      validate: (text) => (text.trim() === '' ? 'Enter the user name or e-mail address.' : tooLong(text)),
    },
    {
      name: 'admin_password',
      label: 'Password',
      help: 'It is typed once into your own sign-in page, and deleted when the operation ends.',
      isSecret: true,
      autocomplete: 'current-password',
      validate: (text) => (text === '' ? 'Enter the password.' : tooLong(text)),
    },
  ];
}

/** WordPress stores names up to 60 and e-mail addresses up to 100 characters; passwords are cut at 4096 bytes. */
function tooLong(text: string): string | undefined {
  return text.length > 4096 ? 'That is too long.' : undefined;
}
