import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { COMMANDS } from './config.ts';
import { appIcons } from './icons.ts';
import { zip } from './zip.ts';

export interface PackageOptions {
  /** Of the Azure Bot. */
  readonly appId: string;
  /** Where Teams reaches this installation: https. */
  readonly url: string;
  /** The installation's own pages; its address where there are none. */
  readonly privacyUrl?: string;
  readonly termsUrl?: string;
}

const manifest = z.looseObject({
  developer: z.looseObject({}),
  bots: z.array(z.looseObject({ scopes: z.array(z.string()) })),
  composeExtensions: z.array(z.looseObject({})),
});

/** The app's manifest for one installation. `app-package/manifest.json` holds what is the same for all of them. */
function teamsManifest({ appId, url, privacyUrl = url, termsUrl = url }: PackageOptions): object {
  const file = new URL('./app-package/manifest.json', import.meta.url);
  const { developer, bots, composeExtensions, ...given } = manifest.parse(JSON.parse(readFileSync(file, 'utf8')));
  return {
    ...given,
    id: appId,
    developer: { ...developer, websiteUrl: url, privacyUrl, termsOfUseUrl: termsUrl },
    bots: bots.map((bot) => ({
      ...{ ...bot, botId: appId },
      commandLists: [{ scopes: bot.scopes, commands: COMMANDS }],
    })),
    composeExtensions: composeExtensions.map((extension) => ({ ...extension, botId: appId })),
    // Pictures and one-time pages.
    validDomains: [new URL(url).host],
  };
}

/** What an admin uploads in Teams: the manifest and both icons. */
export function teamsPackage(options: PackageOptions): Buffer {
  const { color, outline } = appIcons();
  const json = `${JSON.stringify(teamsManifest(options), null, 2)}\n`;
  return zip({ 'manifest.json': Buffer.from(json), 'color.png': color, 'outline.png': outline });
}
