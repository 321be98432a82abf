/** How a person makes the password; the words on the buttons are those of WordPress in English, from 5.6 on. */
export function guide(base: string, values: Readonly<Record<string, string>>): readonly string[] {
  const { label = 'Countersign' } = values;
  return [
    `Sign in at ${base}/wp-login.php with the account that the integration shall act as. The password will be able to do whatever that account may, so choose one that may no more than is needed.`,
    `Open ${profile(base)} (Users › Profile) and go down to “Application Passwords”. If it isn't there, the site is not opened with https, or a plugin has switched application passwords off.`,
    `Enter “${label}” as New Application Password Name.`,
    'Press “Add Application Password” (“Add New Application Password” in older versions), once.',
    'Copy the password (six groups of four characters; the spaces don’t matter) now: it is not shown again. Keep it out of chats and e-mails. With it goes the user name, which stands further up on the same page.',
    'If a password is ever lost or seen by others, press “Revoke” beside its name in the same list and make a new one.',
  ];
}

/** How a person ends a password. WordPress asks once before it revokes. */
export function revokeGuide(base: string, label: string): readonly string[] {
  return [
    `Sign in at ${base}/wp-login.php with the account that the password is for.`,
    `Open ${profile(base)} (Users › Profile) and go down to “Application Passwords”.`,
    `Find “${label}” in the column Name and press “Revoke” in that row. Other rows are other passwords.`,
    'Confirm it. The page then says “Application password revoked.”',
  ];
}

function profile(base: string): string {
  return `${base}/wp-admin/profile.php#application-passwords-section`;
}
