/** How a person makes the app; the words on the buttons are those of Shopify's Dev Dashboard in English, 2026. */
export function guide(base: string, values: Readonly<Record<string, string>>): readonly string[] {
  const { label = 'Countersign', scopes = 'read_products' } = values;
  const store = new URL(base).host;
  return [
    `Sign in at https://dev.shopify.com with the account of the owner of ${store}, or of staff with the role Apps Developer. If you have several organisations, choose the one that lists this store.`,
    `Press “Create app”, then “Start from Dev Dashboard”, enter “${label}” as App name, and press “Create” (“Create app” in newer versions).`,
    `Under Access paste into “Scopes”, exactly: ${scopes}`,
    'Leave the other boxes as they are: “Optional scopes” empty, “Use legacy install flow” clear. As App URL https://shopify.dev/apps/default-app-home will do.',
    'Press “Release”, and “Release” once more in the question that follows.',
    `Open “Home” (“Overview” in some versions), press “Install app”, choose ${store}, look at what it may do, and press “Install”.`,
    'Open “Settings” (“App settings” in some versions). Under Credentials copy the Client ID, and the secret by the eye beside it. Keep them out of chats and e-mails.',
    'Do not press “Rotate”, and do not make an “App Automation Token” on the same page: that one is for Shopify’s command line alone.',
    'To end it one day: in the store’s Settings › Apps press ⋯ beside the app, then “Uninstall”.',
  ];
}

/** How a person ends the app, and with it every token of it. */
export function revokeGuide(base: string, label: string): readonly string[] {
  const name = new URL(base).host.replace(/\.myshopify\.com$/, '');
  return [
    `Sign in at https://admin.shopify.com/store/${name}/settings/apps with an account that may manage apps.`,
    `Find the app “${label}”, or the name that you gave it, and press ⋯ in its row. Other rows are other apps.`,
    'Press “Uninstall”, give a reason if Shopify asks for one, and press “Uninstall” again. Its tokens end at once.',
    'To remove the app itself: https://dev.shopify.com › Apps › the app › Settings › “Delete app”.',
  ];
}
