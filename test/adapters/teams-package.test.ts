import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import { PNG } from 'pngjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { readCommand } from '../../adapters/teams/activity.ts';
import { runCli } from '../../bot/cli.ts';

const APP_ID = '11111111-2222-4333-8444-555555555555';
const URL_ = 'https://countersign.example.com';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'teams-package-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function make(...args: string[]) {
  const [said, complained]: [string[], string[]] = [[], []];
  const out = join(folder, 'app.zip');
  const sinks = { say: (line: string) => said.push(line), complain: (line: string) => complained.push(line) };
  const env = { TEAMS_APP_ID: APP_ID };
  const code = await runCli(['teams', 'package', '--out', out, ...args], { env, ...sinks });
  return { code, out, complained: complained.join('\n') };
}

/** The files of an archive, by its central directory (APPNOTE.TXT, PKWARE). */
function unzip(archive: Buffer): ReadonlyMap<string, Buffer> {
  const files = new Map<string, Buffer>();
  const end = archive.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  let at = archive.readUInt32LE(end + 16);
  for (let count = archive.readUInt16LE(end + 10); count > 0; count--) {
    const [packed, size] = [archive.readUInt32LE(at + 20), archive.readUInt32LE(at + 24)];
    const nameLength = archive.readUInt16LE(at + 28);
    const name = archive.toString('utf8', at + 46, at + 46 + nameLength);
    const local = archive.readUInt32LE(at + 42);
    const from = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
    const bytes = inflateRawSync(archive.subarray(from, from + packed));
    expect(bytes).toHaveLength(size);
    files.set(name, bytes);
    at += 46 + nameLength;
  }
  return files;
}

/** Microsoft's limits (learn.microsoft.com, app manifest reference, 1.25), as far as we use it. */
const https = z.url({ protocol: /^https$/ });
const command = z.strictObject({ title: z.string().min(1).max(32), description: z.string().min(1).max(128) });
const manifestRules = z.strictObject({
  $schema: z.url(),
  manifestVersion: z.literal('1.25'),
  version: z.string().regex(/^\d+\.\d+\.\d+$/),
  id: z.guid(),
  developer: z.strictObject({ name: z.string().max(32), websiteUrl: https, privacyUrl: https, termsOfUseUrl: https }),
  name: z.strictObject({ short: z.string().max(30), full: z.string().max(100) }),
  description: z.strictObject({ short: z.string().max(80), full: z.string().max(4_000) }),
  icons: z.strictObject({ color: z.literal('color.png'), outline: z.literal('outline.png') }),
  accentColor: z.string().regex(/^#[0-9A-F]{6}$/),
  bots: z.tuple([
    z.strictObject({
      botId: z.literal(APP_ID),
      scopes: z.array(z.enum(['personal', 'team', 'groupChat'])),
      supportsFiles: z.literal(false),
      isNotificationOnly: z.literal(false),
      commandLists: z
        .array(z.strictObject({ scopes: z.array(z.string()), commands: z.array(command).min(1).max(12) }))
        .min(1)
        .max(3),
    }),
  ]),
  composeExtensions: z.tuple([
    z.looseObject({ botId: z.literal(APP_ID), commands: z.array(z.looseObject({ fetchTask: z.literal(true) })) }),
  ]),
  permissions: z.array(z.enum(['identity', 'messageTeamMembers'])),
  validDomains: z.array(z.string()).min(1).max(16),
});

describe('the app package for Teams', () => {
  test('holds a manifest within Microsoft’s limits, for this bot and this address', async () => {
    const { code, out } = await make('--url', `${URL_}/`);
    expect(code).toBe(0);
    const files = unzip(readFileSync(out));
    expect([...files.keys()]).toEqual(['manifest.json', 'color.png', 'outline.png']);
    const manifest = manifestRules.parse(JSON.parse(files.get('manifest.json')?.toString() ?? ''));
    expect(manifest).toMatchObject({ id: APP_ID, validDomains: ['countersign.example.com'] });
    expect(manifest.developer).toMatchObject({ websiteUrl: URL_, privacyUrl: URL_, termsOfUseUrl: URL_ });
  });

  test('offers commands that are understood', async () => {
    const { out } = await make('--url', URL_);
    const manifest = manifestRules.parse(JSON.parse(unzip(readFileSync(out)).get('manifest.json')?.toString() ?? ''));
    const titles = manifest.bots[0].commandLists.flatMap(({ commands }) => commands.map(({ title }) => title));
    const sentences = ['set up', 'stop', 'console']; // words of the grammar: the first two go on, the third has more ways to be said
    for (const title of titles.filter((each) => !sentences.includes(each))) expect(readCommand(title)).toBeDefined();
  });

  test('has both icons, drawn as Teams wants them', async () => {
    const { out } = await make('--url', URL_);
    const files = unzip(readFileSync(out));
    const [color, outline] = ['color.png', 'outline.png'].map((name) =>
      PNG.sync.read(files.get(name) ?? Buffer.alloc(0)),
    );
    expect([color?.width, color?.height, outline?.width, outline?.height]).toEqual([192, 192, 32, 32]);
    const pixels = (png: PNG | undefined) =>
      Array.from({ length: (png?.data.length ?? 0) / 4 }, (_, index) => [
        ...(png?.data.subarray(index * 4, index * 4 + 4) ?? []),
      ]);
    // White on nothing, and something of it.
    expect(pixels(outline).every(([r, g, b]) => r === 255 && g === 255 && b === 255)).toBe(true);
    expect(pixels(outline).filter(([, , , alpha]) => alpha === 255).length).toBeGreaterThan(40);
    expect(pixels(outline).filter(([, , , alpha]) => alpha === 0).length).toBeGreaterThan(400);
    expect(pixels(color).every(([, , , alpha]) => alpha === 255)).toBe(true);
    expect(new Set(pixels(color).map(String)).size).toBeGreaterThan(5);
  });

  test('is the same bytes whenever it is made', async () => {
    const first = readFileSync((await make('--url', URL_)).out);
    expect(readFileSync((await make('--url', URL_)).out).equals(first)).toBe(true);
  });

  test('names other pages where there are some', async () => {
    const { out } = await make(
      '--url',
      URL_,
      '--privacy',
      'https://example.com/privacy',
      '--terms',
      'https://example.com/terms',
    );
    const { developer } = manifestRules.parse(
      JSON.parse(unzip(readFileSync(out)).get('manifest.json')?.toString() ?? ''),
    );
    expect(developer).toMatchObject({
      privacyUrl: 'https://example.com/privacy',
      termsOfUseUrl: 'https://example.com/terms',
    });
  });

  test.each([
    [['--url', 'http://countersign.example.com'], /https/],
    [[], /https/],
    [['--url', URL_, '--app-id', 'my bot'], /Microsoft App ID/],
  ])('is not made of %j', async (args, words) => {
    expect(await make(...args)).toMatchObject({ code: 2, complained: expect.stringMatching(words) });
  });
});
