import type { CredentialField } from './service.ts';

/** What is entered on the one-time page, as several services ask for it. */

/** The account that signs in; where it is no e-mail address alone, the field is the service's own. */
export function emailField(words: Pick<CredentialField, 'label' | 'help'>): CredentialField {
  return {
    name: 'admin_email',
    ...words,
    isSecret: false,
    autocomplete: 'username',
    validate: (text) => (text.includes('@') ? tooLong(text) : 'Enter the e-mail address.'),
  };
}

/** @param where it is typed: `Stripe’s own sign-in page`. */
export function passwordField(where: string, more = ''): CredentialField {
  return {
    name: 'admin_password',
    label: 'Password',
    help: `It is typed once into ${where}, and deleted when the operation ends.${more}`,
    isSecret: true,
    autocomplete: 'current-password',
    validate: (text) => (text === '' ? 'Enter the password.' : tooLong(text)),
  };
}

/** A key, or a part of one, that its owner made. */
export function keyField(
  field: Pick<CredentialField, 'name' | 'label' | 'help' | 'validate'> & Partial<CredentialField>,
): CredentialField {
  return { isSecret: true, autocomplete: 'off', ...field };
}

/** WordPress cuts passwords at 4096 bytes, and nobody else takes longer ones. */
export function tooLong(text: string): string | undefined {
  return text.length > 4096 ? 'That is too long.' : undefined;
}
