// What somebody gets who speaks to the bot in Teams in another one's name, or from another organisation: with genuine tokens.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Card, ChatEvent, ThreadRef } from '../../core/ports/chat.ts';
import { createSeals } from '../../core/vault/seals.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { type OpenedTeams, openTeamsByHand } from '../support/teams/by-hand.ts';
import { CHANNEL, TENANT } from '../support/teams/server.ts';

const PLACE = `${CHANNEL};messageid=1`;
const OTHERS = 'channel:19:others@thread.tacv2;messageid=2';
const ELSEWHERE = 'cccccccc-0000-4000-8000-000000000009';

let teams: OpenedTeams;
let heard: ChatEvent[];
beforeAll(async () => {
  teams = await openTeamsByHand('azure');
  teams.listen(async (event) => void heard.push(event));
});
afterAll(() => teams.close());
beforeEach(() => {
  heard = [];
});

const approves = { type: 'invoke', name: 'adaptiveCard/action', replyToId: '1' };
const value = { action: { type: 'Action.Execute', verb: 'approve', data: { action: 'approve', value: 'op-1 hash' } } };
const approval = (more: object = {}) => teams.activity(teams.approver, PLACE, { ...approves, value, ...more });

describe('Teams', () => {
  test('132 another organisation decides nothing, says nothing and is told nothing, whatever the bot is added to', async () => {
    const calls = teams.server.calls.length;
    const channelData = { tenant: { id: ELSEWHERE } };
    const conversation = { id: PLACE, conversationType: 'channel', isGroup: true, tenantId: ELSEWHERE };
    const sent = [
      approval(),
      teams.activity(teams.approver, PLACE, { type: 'message', text: 'set up WooCommerce for evil.example.com' }),
      teams.activity(teams.approver, PLACE, { type: 'installationUpdate', action: 'add' }),
      teams.activity(teams.approver, PLACE, { type: 'invoke', name: 'composeExtension/fetchTask', value: {} }),
    ];
    for (const activity of sent)
      expect((await teams.server.deliver({ ...activity, channelData, conversation })).status).toBe(403);
    expect(heard).toEqual([]);
    expect(teams.installers.filter(({ workspaceId }) => workspaceId === ELSEWHERE)).toEqual([]);
    expect(teams.server.calls.length).toBe(calls);
  });

  test('133 whoever comes with an approver’s id of the directory and an account of their own is not that approver', async () => {
    const account = {
      id: `29:${teams.merchant.userId}`,
      name: teams.approver.name,
      aadObjectId: teams.approver.userId,
    };
    await teams.server.deliver(approval({ from: account }));
    // Asked when they decide: Teams says whose account it is.
    const [event] = heard;
    if (!event) throw new Error('nobody was heard');
    expect(await teams.chat.standing(event.from)).toEqual({ kind: 'unknown' });
  });

  test('134 nobody is two people by writing their id in two ways, or approves in another’s name without one', async () => {
    const { userId } = teams.approver;
    for (const aadObjectId of [userId, userId.toUpperCase()])
      await teams.server.deliver(
        approval({ replyToId: '2', id: aadObjectId, from: { id: `29:${userId}`, name: 'Ben', aadObjectId } }),
      );
    await teams.server.deliver(approval({ replyToId: '2', id: 'third', from: { id: userId, name: 'Ben' } }));
    await teams.server.deliver(
      approval({ replyToId: '2', id: 'fourth', from: { id: userId.toUpperCase(), name: 'Ben' } }),
    );
    expect([...new Set(heard.map(({ from }) => from.userId))]).toEqual([userId]);
    expect(heard).toHaveLength(2); // nobody's are not heard
  });

  test('135 a click in a channel is about that channel, whatever thread its data name', async () => {
    // Also where the name is sealed, as on a card of ours that stood elsewhere.
    const sealed = `${OTHERS} ${createSeals(testRootKeys, 'countersign/teams-thread/v1').of(`${TENANT} ${OTHERS}`)}`;
    for (const thread of [OTHERS, sealed]) {
      const data = { action: 'approve', value: 'op-1 hash', thread };
      await teams.server.deliver(approval({ id: thread, value: { action: { ...value.action, data } } }));
    }
    const here = { kind: 'action', thread: { ref: `channel:${PLACE}` } };
    expect(heard).toMatchObject([here, here]);
  });

  test('151 a click in one’s own chat is about the thread that a card of ours named there, and about no other', async () => {
    const thread: ThreadRef = { platform: 'teams', workspaceId: TENANT, ref: `channel:${PLACE}` };
    const buttons = [{ label: 'Approve', style: 'primary', action: 'approve', value: 'op-1 hash' }] as const;
    const card: Card = { summary: 'a request', blocks: [{ kind: 'actions', buttons }] };
    await teams.chat.ephemeral(thread, teams.approver, card);
    const { activity } = teams.click(teams.approver, thread, undefined, 'approve');
    await teams.server.deliver(activity);
    expect(heard).toMatchObject([{ thread }]);
    const sent = JSON.stringify(activity);
    const [, named = '', seal = ''] = /"thread":"(channel:\S+) ([\w-]{22})"/.exec(sent) ?? [];
    expect(named).toBe(thread.ref);
    const others = createSeals(testRootKeys, 'something else').of(`${TENANT} ${named}`);
    const of = createSeals(testRootKeys, 'countersign/teams-thread/v1');
    const written = [
      ...[OTHERS, `${OTHERS} ${seal}`, `${OTHERS} `, `${named} ${others}`, named, `${named} ${seal} x`],
      `${named} ${of.of(`${ELSEWHERE} ${named}`)}`, // of another organisation
    ];
    for (const [n, each] of written.entries()) {
      const changed = sent.replace(`"thread":"${named} ${seal}"`, `"thread":"${each}"`);
      await teams.server.deliver({ ...JSON.parse(changed), id: `made-up-${n}` });
    }
    expect(heard).toHaveLength(1 + written.length);
    for (const event of heard.slice(1))
      expect(event.thread.ref).toBe(`personal:${teams.server.personalChat(teams.approver.userId)}`);
  });
});
