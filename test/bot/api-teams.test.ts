// An operation that is begun by the HTTP API, where the customer's people are in Teams: at the level of activities.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { SCOPES } from '../../core/customers/api-tokens.ts';
import type { CustomerId } from '../../core/ids.ts';
import type { ChatEvent, ThreadRef } from '../../core/ports/chat.ts';
import { openApi, type TestApi, tokenFor } from '../support/api.ts';
import { type Core, openCore, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type OpenedTeams, openTeamsByHand } from '../support/teams/by-hand.ts';
import { CHANNEL, TENANT } from '../support/teams/server.ts';

const WOOCOMMERCE = { service: 'woocommerce', metadata: { storeUrl: 'shop.example.com' } };

let testDatabase: TestDatabase;
let core: Core;
let teams: OpenedTeams;
let api: TestApi;
let customerId: CustomerId;
let token: string;
const heard: ChatEvent[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  teams = await openTeamsByHand();
  teams.listen(async (event) => void heard.push(event));
  const workspace = { platform: 'teams', workspaceId: TENANT, name: 'Contoso' } as const;
  customerId = await core.customers.install(workspace, teams.approver);
  const merchant = await core.database.withCustomer(customerId, async (tx) => {
    await core.customers.setApprovers(tx, customerId, [teams.approver], false);
    return core.customers.member(tx, customerId, teams.merchant);
  });
  ({ token } = await tokenFor(core, customerId, SCOPES, merchant));
  api = await openApi(core, { chat: teams.chat });
});
afterAll(async () => {
  await api.close();
  await teams.close();
  await core.close();
  await testDatabase.drop();
});

const choose = (...channels: readonly string[]) =>
  sql(testDatabase.adminUrl, 'UPDATE customers SET allowed_channels = $2 WHERE customer_id = $1', [
    customerId,
    channels,
  ]);

describe('an operation begun by the API', () => {
  test('is asked for in a thread of its own in the channel that an admin chose, and decided there', async () => {
    await choose('C0123ABC', CHANNEL); // of another platform, which is passed over
    const asked = await api.post('/initiate', token, WOOCOMMERCE);
    expect([asked.status, asked.text]).toEqual([202, expect.stringContaining('"consentAskedIn":"chat"')]);
    const posted = teams.server.calls.filter(({ method, type }) => method === 'POST' && type === 'message');
    expect(posted[0]?.conversationId).toBe(CHANNEL); // a message to the channel itself begins a thread
    const { conversationId = '' } = posted.at(-1) ?? {};
    const thread: ThreadRef = {
      ...{ platform: 'teams', workspaceId: TENANT },
      ref: `channel:${conversationId}`,
    };
    const shown = await vi.waitFor(async () => {
      const all = await teams.transcriptFor(teams.approver, thread);
      const card = all.find(({ buttons }) => buttons.some((label) => label.startsWith('Approve')));
      if (!card) throw new Error(`no card yet: ${JSON.stringify(all)}`);
      return card;
    });
    expect(shown.text).toContain('shop.example.com');
    expect(conversationId).toMatch(new RegExp(`^${CHANNEL};messageid=\\d+$`));
    const click = teams.click(teams.approver, thread, undefined, 'approve');
    await teams.server.deliver(click.activity);
    expect(heard.at(-1)).toMatchObject({ kind: 'action', action: 'approve', thread });
  });

  test('is asked for by the API alone where no channel of Teams is chosen, and refused where we are not in it', async () => {
    await choose();
    const alone = await api.post('/initiate', token, WOOCOMMERCE);
    expect([alone.status, alone.json().consentAskedIn]).toEqual([202, 'api']);
    await choose(CHANNEL);
    teams.server.leave(CHANNEL);
    const refused = await api.post('/initiate', token, { ...WOOCOMMERCE, metadata: { storeUrl: 'b.example.com' } });
    expect([refused.status, refused.json().code]).toEqual([503, 'unavailable']);
    teams.server.join(CHANNEL);
  });

  test.each(['C0123ABC', 'a:personal', `${CHANNEL};messageid=1`, '19:nothing', ''])(
    'begins nothing in “%s”',
    (channel) => {
      expect(teams.chat.begin?.(TENANT, channel)).toBe(undefined);
    },
  );
});
