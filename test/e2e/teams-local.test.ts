// The main job by a client of Teams on this computer, without credentials, as `npm run demo -- --teams` answers one: the practice
// shop, real Chromium, and a Connector that counts rates.
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Person, ThreadRef } from '../../core/ports/chat.ts';
import type { ShownMessage } from '../contracts/chat.ts';
import { startTestDemo, type TestDemo } from '../support/demo.ts';
import { RUN_MS } from '../support/people.ts';
import { problemsOf } from '../support/teams/card-problems.ts';
import { type Hands, handsOn } from '../support/teams/hands.ts';
import { partsOf } from '../support/teams/reading.ts';
import { CHANNEL, startTeamsServer, TENANT, type TeamsServer } from '../support/teams/server.ts';

let demo: TestDemo;
let server: TeamsServer;
let hands: Hands;
let merchant: Person;
beforeAll(async () => {
  server = await startTeamsServer({ isAnonymous: true });
  demo = await startTestDemo({ teamsPort: 0 });
  server.sendTo(demo.app.urls.teams ?? '');
  hands = handsOn(server);
  ({ merchant } = hands);
}, 120_000);
afterAll(async () => {
  await demo?.remove();
  await server?.close();
});

const own = (): ThreadRef => ({
  ...{ platform: 'teams', workspaceId: TENANT },
  ref: `personal:${server.personalChat(merchant.userId)}`,
});

async function shown(thread: ThreadRef, words: RegExp, timeout = 30_000): Promise<ShownMessage> {
  return vi.waitFor(
    async () => {
      const all = await hands.transcriptFor(merchant, thread);
      const found = all.findLast(({ text }) => words.test(text));
      if (!found) throw new Error(`nothing says ${words}: ${all.map(({ text }) => text).join('\n')}`);
      return found;
    },
    { timeout, interval: 50 },
  );
}

it('answers a client without credentials on a listener of this computer’s own, and nowhere else', async () => {
  const own = new URL(demo.app.urls.teams ?? '');
  expect(own.hostname).toBe('127.0.0.1');
  expect(own.port).not.toBe(new URL(demo.app.urls.http ?? '').port);
  const sent = hands.activity(merchant, CHANNEL, { type: 'message', text: 'hello' });
  // No app id is configured: what everybody reaches has no Teams at all.
  expect((await server.deliver(sent, '', `${demo.app.urls.http}/api/messages`)).status).toBe(404);
});

it(
  'carries a request from the mention to the result: pictures in one card that is edited, the result with a mention',
  async () => {
    const place = server.personalChat(merchant.userId);
    await server.deliver(hands.activity(merchant, place, { type: 'installationUpdate', action: 'add' }));
    await shown(own(), /^Welcome\./);
    await hands.press(merchant, own(), undefined, 'work_alone');
    await shown(own(), /You may approve|may approve/);

    await hands.say(merchant, `set up WooCommerce for ${demo.shop.origin}`);
    const root = server.everything().find(({ text }) => text.startsWith('set up WooCommerce'));
    const thread: ThreadRef = { ...own(), ref: `channel:${CHANNEL};messageid=${root?.id}` };
    await shown(thread, /Create a WooCommerce API key/);
    const card = server.messages(`${CHANNEL};messageid=${root?.id}`).findLast((message) => message.card !== undefined);
    await hands.press(merchant, thread, { thread, ref: card?.id ?? '' }, 'approve');
    await shown(thread, /Countersigned by Ana Merchant/);

    await shown(own(), /one-time page/);
    const links = server.messages(place).flatMap((message) => partsOf(message.card));
    // A local client opens no dialog from a card.
    expect(links.filter(({ type }) => type === 'Action.Submit')).toEqual([]);
    const url = String(links.findLast(({ type }) => type === 'Action.OpenUrl')?.url);
    const { username, password } = demo.shop;
    const entered = await fetch(url, {
      ...{ method: 'POST', body: new URLSearchParams({ admin_username: username, admin_password: password }) },
      headers: { Origin: new URL(url).origin },
    });
    expect(entered.status).toBe(200);

    const result = await shown(thread, /Done in .* WooCommerce is connected\./, RUN_MS);
    expect(result.mentions).toEqual([merchant.userId]);
    const live = await shown(thread, /All 10 steps done/);
    expect(live.pictures.length).toBeGreaterThanOrEqual(5);
    for (const address of live.pictures) {
      const picture = await fetch(address);
      expect([picture.status, picture.headers.get('content-type')]).toEqual([200, expect.stringMatching(/^image\//)]);
    }

    const edits = server.calls.filter(
      ({ method, path }) => method === 'PUT' && path.includes(encodeURIComponent(CHANNEL)),
    );
    expect(edits.length).toBeGreaterThan(3);
    // Two seconds apart, as places in line are booked; one may be used a little late, and the next one in time.
    const spanMs = (edits.at(-1)?.at ?? 0) - (edits[0]?.at ?? 0);
    expect(edits.length).toBeLessThanOrEqual(spanMs / 2_000 + 2);
    expect(server.calls.filter(({ status }) => status >= 400)).toEqual([]);
    for (const message of server.everything()) if (message.card) expect(problemsOf(message.card)).toEqual([]);
    expect(JSON.stringify(server.everything())).not.toContain(password);
  },
  2 * RUN_MS,
);
