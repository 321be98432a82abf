/** How a person makes the key; the words on the buttons are those of WooCommerce 11 in English. */
export function guide(base: string, values: Readonly<Record<string, string>>): readonly string[] {
  const { label = 'Countersign', scopeWords = 'Read' } = values;
  return [
    `Sign in at ${base}/wp-login.php with an account that is Administrator or Shop manager.`,
    `Open ${keysPage(base)} (${PLACE}).`,
    'Press “Add key”, or “Create an API key” when there is none yet.',
    `Enter “${label}” as Description and leave User as it is.`,
    `Choose “${scopeWords}” under Permissions.`,
    'Press “Generate API key”, once.',
    'Copy the Consumer key (ck_…) and the Consumer secret (cs_…) now: they are not shown again once you leave the page. Keep them out of chats and e-mails.',
    'If a key is ever lost or seen by others, press “Revoke” beside its name in the same list and make a new one.',
  ];
}

/** How a person ends a key. WooCommerce asks no question before it revokes. */
export function revokeGuide(base: string, label: string): readonly string[] {
  return [
    `Sign in at ${base}/wp-login.php with an account that is Administrator or Shop manager.`,
    `Open ${keysPage(base)} (${PLACE}).`,
    `Find “${label}” in the column Description, and move the pointer over its row.`,
    'Press “Revoke” there, once: it takes effect at once and asks nothing. Other rows are other keys.',
    'The page then says “1 API key permanently revoked.”',
  ];
}

const PLACE = 'WooCommerce › Settings › Advanced › REST API keys; older versions say REST API';

function keysPage(base: string): string {
  return `${base}/wp-admin/admin.php?page=wc-settings&tab=advanced&section=keys`;
}
