import { writeFileSync } from 'node:fs';
import type { Command } from './command.ts';

const FILE = 'countersign-teams.zip';
const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** `teams package`: what to upload when Teams asks for an app. */
export const teamsPackageCommand: Command = {
  usage: 'teams package',
  summary: 'Makes the app package for Teams, of the Azure Bot that TEAMS_APP_ID names.',
  options: {
    url: { type: 'string', help: 'Where Teams reaches this installation, such as https://countersign.example.com' },
    'app-id': { type: 'string', help: 'The Azure Bot’s Microsoft App ID, if not that of TEAMS_APP_ID' },
    privacy: { type: 'string', help: 'The address of your privacy statement, if not that of --url' },
    terms: { type: 'string', help: 'The address of your terms of use, if not that of --url' },
    out: { type: 'string', help: `The file to write; ${FILE} by default` },
  },
  async run({ values, env, teamsPackage, say, complain }) {
    const text = (name: string) => (typeof values[name] === 'string' ? values[name] : undefined);
    const { url, appId } = { url: text('url'), appId: text('app-id') ?? env('TEAMS_APP_ID') };
    const [privacyUrl, termsUrl] = [text('privacy'), text('terms')];
    if (url === undefined) {
      complain('Say where Teams reaches this installation: --url https://countersign.example.com');
      return 2;
    }
    if (![url, privacyUrl ?? url, termsUrl ?? url].every(isHttps)) {
      complain('Teams takes https addresses only: --url https://countersign.example.com');
      return 2;
    }
    if (appId === undefined) {
      complain('Say which Azure Bot it is for: set TEAMS_APP_ID, or --app-id, to its Microsoft App ID.');
      return 2;
    }
    if (!GUID.test(appId)) {
      complain(
        `“${appId}” is no Microsoft App ID, which looks like 00000000-1111-2222-3333-444444444444. No package was made.`,
      );
      return 2;
    }
    const file = text('out') ?? FILE;
    const pages = { ...(privacyUrl ? { privacyUrl } : {}), ...(termsUrl ? { termsUrl } : {}) };
    try {
      writeFileSync(file, teamsPackage({ appId, url: new URL(url).origin, ...pages }));
    } catch (error) {
      complain(`${file} could not be written: ${error instanceof Error ? error.message : String(error)}`);
      return 1;
    }
    say(`${file} is made. Upload it in Teams: Apps, Manage your apps, Upload an app.`);
    return 0;
  },
};

function isHttps(url: string | undefined): boolean {
  return url !== undefined && URL.canParse(url) && new URL(url).protocol === 'https:';
}
