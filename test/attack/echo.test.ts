// A shop that echoes the password and the new key wherever a program might pick up its words: nothing of it may reach a
// row, a message, an export or a log line.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appoint, asAdmin, startTestDemo, type TestDemo } from '../support/demo.ts';
import {
  enterSignIn,
  follow,
  openPeople,
  operationIdIn,
  type People,
  press,
  RUN_MS,
  say,
  seen,
} from '../support/people.ts';
import { databaseSinks, filesIn, recordingLog } from '../support/sinks.ts';
import { type Sink, sweep } from '../support/sweep.ts';
import { IS_WHOLE } from '../support/whole.ts';
import { type HostileShop, type Malice, startHostileShop } from './hostile-shop.ts';

const PASSWORD = `Kö-nig+${randomBytes(6).toString('hex')} & "7"`;

/** What the shop does in turn, and how each ends. */
const PLAYS = [
  { malice: 'sign-in', end: /was not set up[\s\S]*No key was stored/, isWhole: false },
  { malice: 'redirect', end: /sends the request to another address/, isWhole: true },
  { malice: 'error', end: /403/, isWhole: true },
  { malice: 'works', end: /answered 200; what it may change could not be told/, isWhole: false },
] as const satisfies readonly { malice: Malice; end: RegExp; isWhole: boolean }[];
const PLAYED = PLAYS.filter(({ isWhole }) => IS_WHOLE || !isWhole);

const log = recordingLog();
const exported: Sink[] = [];
const told: string[] = [];
let hostile: HostileShop;
let demo: TestDemo;
let people: People;
let sinks: readonly Sink[];

beforeAll(async () => {
  hostile = await startHostileShop(PASSWORD);
  demo = await startTestDemo({
    log: log.log,
    env: { ALLOW_PRIVATE_TARGETS: hostile.authority, DEBUG_AUTONOMOUS: 'true' },
  });
  people = await openPeople(demo.chatUrl);
  await appoint(demo, ['approver']);
  for (const { malice } of PLAYED) await play(malice);
  sinks = await collect();
}, 4 * RUN_MS);
afterAll(async () => {
  await people?.close();
  await demo?.remove();
  await hostile?.close();
});

/** One whole operation against the shop, with what an admin takes away of it. */
async function play(malice: Malice): Promise<void> {
  hostile.behave(malice);
  const [merchant, approver, admin] = [people.page('Merchant'), people.page('Approver'), people.page('Admin')];
  await people.begin('Merchant', `set up WooCommerce for ${hostile.origin}`);
  const id = await operationIdIn(merchant);
  await press(approver, 'Approve');
  await enterSignIn(merchant, { user: hostile.username, password: PASSWORD });
  const end = await seen(merchant, malice === 'works' ? 'Done in' : 'was not set up', RUN_MS);
  told.push(await end.innerText());
  await say(admin, `/audit ${id}`);
  await seen(admin, `Audit trail ${id}`);
  for (const name of ['Export JSON', 'Export CSV']) {
    const page = await follow(admin, name);
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download' }).click(),
    ]);
    exported.push({ name: `${name} of ${malice}`, bytes: await readFile(await file.path()) });
    await page.close();
  }
  for (const page of [merchant, approver, admin]) {
    await page.reload();
    await page.getByRole('article').first().waitFor();
    const words = await page.getByRole('main').innerText();
    exported.push({ name: `page at ${malice}`, bytes: Buffer.from(`${await page.content()}\n${words}`) });
  }
}

async function collect(): Promise<readonly Sink[]> {
  const tables = await databaseSinks(asAdmin(demo.app.databaseUrl));
  return [...tables, ...filesIn(demo.project.folder), ...exported, log.sink()];
}

/** Letters and digits alone: what was split over lines or segments of a path is whole again, and `%4B` is hex. */
const squeezed = (text: string) => text.replace(/[^\p{L}\p{N}]/gu, '');

describe('what a shop echoes', () => {
  it('was said by its pages, in addresses too, to the end of the runs', () => {
    const shown = decodeURIComponent([...hostile.shownPaths].join('\n'));
    expect(shown).toContain(encodeURIComponent(PASSWORD));
    const keys = hostile.secrets().filter((secret) => secret.startsWith('cs_'));
    expect(keys).toHaveLength(PLAYED.length - 1); // none where the sign-in is refused
    for (const key of keys) expect(shown).toContain(key);
  });

  it('leaves true words of how it ended', () => {
    expect(told).toEqual(PLAYED.map(({ end }) => expect.stringMatching(end)));
    expect(exported.map(({ bytes }) => bytes.toString('utf8')).join('')).toContain(`${hostile.origin}/…`);
  });

  it('reaches no row, message, export or log line, in whatever code', () => {
    const secrets = Object.fromEntries(hostile.secrets().map((secret, at) => [`${at}`, secret]));
    expect(sweep(sinks, secrets)).toEqual([]);
    const tight = sinks.map(({ name, bytes }) => ({ name, bytes: Buffer.from(squeezed(bytes.toString('utf8'))) }));
    const forms = Object.entries(secrets).flatMap(([name, secret]) => [
      [`${name}, letters and digits`, squeezed(secret)],
      [`${name}, bytes`, Buffer.from(secret).toString('hex')],
    ]);
    expect(sweep(tight, Object.fromEntries(forms))).toEqual([]);
  });
});
