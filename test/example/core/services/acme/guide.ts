/** How a person makes the token by hand. */
export function guide(base: string, values: Readonly<Record<string, string>>): readonly string[] {
  const { label = 'Countersign' } = values;
  return [
    `Sign in at ${base}/sign-in and open ${base}/tokens.`,
    `Enter “${label}” as Name and press “Create token”, once.`,
    'Copy the token (tok_…) now: it is not shown again. Keep it out of chats and e-mails.',
  ];
}

/** How a person ends it. */
export function revokeGuide(base: string, label: string): readonly string[] {
  return [`Sign in at ${base}/sign-in and open ${base}/tokens.`, `Press “Remove” in the row of “${label}”.`];
}
