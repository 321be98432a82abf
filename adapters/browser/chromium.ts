import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { chromium as playwrightChromium } from 'playwright';
import { CountersignError } from '../../core/errors.ts';
import type { Log } from '../../core/ports/log.ts';
import { installChromium, installedPackage } from './install-chromium.ts';

/** A browser binary that is there, and the arguments that this build needs besides our own. */
export interface Chromium {
  readonly path: string;
  readonly source: 'configured' | 'playwright' | 'system' | 'installed';
  readonly args: readonly string[];
}

export interface FindChromiumOptions {
  /** `CHROMIUM_PATH`: taken or refused, never passed over. */
  readonly configured?: string;
  readonly log: Log;
  /** Where a build from npm is put; `.countersign/chromium` in the working directory unless given. */
  readonly folder?: string;
  /** Fetch one from the internet when none is there. */
  readonly mayInstall: boolean;
  /** Looks where browsers are installed; at Playwright's place and the system's unless a test owns it. */
  readonly look?: () => Promise<Chromium | undefined>;
}

const SYSTEM_PATHS: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: [
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/opt/google/chrome/chrome',
    '/usr/bin/google-chrome-stable',
    '/usr/bin/google-chrome',
  ],
  darwin: [
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  ],
};

/**
 * Launchers that are shell scripts, and the binary that each starts. Debian's sources every file of its configuration
 * folder, adds flags of its own, loads system extensions and exports vendor API keys.
 */
const WRAPPED: Readonly<Record<string, string>> = {
  '/usr/bin/chromium': '/usr/lib/chromium/chromium',
  '/usr/bin/chromium-browser': '/usr/lib/chromium-browser/chromium-browser',
};

/**
 * The browser to drive: configured, else Playwright's own, else the system's, else, if it may be, one that is installed now.
 * @throws CountersignError `browser_missing`, saying what to do.
 */
export async function findChromium(options: FindChromiumOptions): Promise<Chromium> {
  const { log, look = async () => playwrights() ?? (await systems()) } = options;
  const found = (await configured(options.configured)) ?? (await look()) ?? (await installedPackage(options.folder));
  if (found) {
    log.info({ path: found.path, source: found.source }, 'chromium found');
    return found;
  }
  const installed = options.mayInstall ? await installChromium({ ...options, look }) : undefined;
  if (installed) return installed;
  const what = options.mayInstall ? 'No Chromium was found and none could be installed' : 'No Chromium was found';
  throw new CountersignError(
    'browser_missing',
    `${what}: install Chromium or Google Chrome, or set CHROMIUM_PATH to its binary.`,
  );
}

async function configured(path: string | undefined): Promise<Chromium | undefined> {
  if (path === undefined || path === '') return undefined;
  if (!existsSync(path)) {
    throw new CountersignError(
      'browser_missing',
      `CHROMIUM_PATH names ${path}, where there is no file: correct it, or remove it to have Chromium looked for.`,
    );
  }
  return { path: await unwrapped(path), source: 'configured', args: [] };
}

function playwrights(): Chromium | undefined {
  const path = playwrightChromium.executablePath();
  return existsSync(path) ? { path, source: 'playwright', args: [] } : undefined;
}

async function systems(): Promise<Chromium | undefined> {
  const path = SYSTEM_PATHS[process.platform]?.find((candidate) => existsSync(candidate));
  return path === undefined ? undefined : { path: await unwrapped(path), source: 'system', args: [] };
}

async function unwrapped(path: string): Promise<string> {
  const inner = WRAPPED[path] ?? WRAPPED[await realpath(path)];
  return inner !== undefined && existsSync(inner) ? inner : path;
}
