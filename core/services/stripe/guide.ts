/** How a person makes the key. Words on the buttons as public guides of 2026 show them; Stripe's own page names few. */
export function guide(base: string, values: Readonly<Record<string, string>>): readonly string[] {
  const { label = 'Countersign', mode = 'test', raks = '', rows = '' } = values;
  const isLive = mode === 'live';
  const query = [['name', label], ...raks.split(',').map((rak) => ['permissions[]', rak])]
    .map((pair) => pair.map((part = '') => encodeURIComponent(part)).join('='))
    .join('&');
  return [
    `Open ${keysPage(base, mode)}/create?${query} and sign in to Stripe yourself: nobody here needs your password.`,
    isLive
      ? 'Look at the top of the page: it must be your live account, not a sandbox and not test mode.'
      : 'Look at the top of the page: it must say test mode or sandbox, so that no real money is touched.',
    `If the link does not fill the form in, open ${keysPage(base, mode)}, press “Create restricted key” and choose “Choose your own” where templates are offered.`,
    'Stripe may ask how the key will be used: “Powering an integration you built” is for your own program, “Providing this key to a third-party application” for a product of somebody else. Choose what is true, then “Continue”.',
    `The name is “${label}”. Set exactly these rows: ${rows}. Every other row stays None, the bold rows that set a whole category are left alone, and nothing is set under Connect.`,
    'Press “Create key”, once. Stripe may ask for a code that it sends you.',
    `Copy the key, which begins with rk_${mode}_${isLive ? ': Stripe shows it this once' : ''}. It belongs on your one-time page and in the program that needs it, never in a chat or an e-mail.`,
    'If it is ever lost or seen by others, expire it (⋯ beside its row, “Expire key”) and make another one.',
  ];
}

/** How a person ends a key: no API of Stripe's can. */
export function revokeGuide(base: string, label: string): readonly string[] {
  return [
    `Sign in to Stripe and open ${keysPage(base, 'live')}, or ${keysPage(base, 'test')} for a key of test mode.`,
    `Find “${label}” under Restricted keys, and press ⋯ at the end of its row.`,
    'Press “Expire key” there (older pages say “Delete key”), and once more in the question that follows.',
    'Within a minute Stripe refuses the key. Other rows are other keys.',
  ];
}

function keysPage(base: string, mode: string): string {
  return `${base}${mode === 'live' ? '' : '/test'}/apikeys`;
}
