import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { capabilities } from '../../adapters/teams/config.ts';
import type { ThreadRef } from '../../core/ports/chat.ts';
import { chatContract } from '../contracts/chat.ts';
import { type OpenedTeams, openTeamsByHand } from '../support/teams/by-hand.ts';

const promises = { capabilities, tellsRepeatedPosts: false };
chatContract('Teams, by an Azure Bot,', () => openTeamsByHand('azure'), promises);
chatContract('Teams, by a client on this computer,', () => openTeamsByHand('local'), promises);

describe('somebody’s standing', () => {
  let teams: OpenedTeams;
  let thread: ThreadRef;
  beforeEach(async () => {
    teams = await openTeamsByHand('azure');
    teams.listen(async (event) => {
      thread = event.thread;
      return undefined;
    });
    await teams.say(teams.merchant, 'set up WooCommerce');
  });
  afterEach(() => teams.close());

  test.each([
    ['a member', {}, { kind: 'member', isInGroup: false }],
    ['a guest', { userRole: 'guest' }, { kind: 'guest' }],
    ['of another organisation', { tenantId: 'cccccccc-0000-4000-8000-000000000009' }, { kind: 'guest' }],
  ])('is asked of Teams: %s', async (_words, more, expected) => {
    const { userId, name } = teams.approver;
    teams.server.users.set(userId, { aadObjectId: userId, name, ...more });
    expect(await teams.chat.standing(teams.approver)).toEqual(expected);
  });

  test('is asked by the Connector’s own id of somebody who was heard: the local client knows no other', async () => {
    await teams.say(teams.approver, 'hello', thread);
    await teams.chat.standing(teams.approver);
    const asked = teams.server.calls.findLast(({ method }) => method === 'GET');
    expect(decodeURIComponent(asked?.path ?? '')).toContain(`/members/29:${teams.approver.userId}`);
  });

  test('is nobody’s who has left', async () => {
    teams.server.users.delete(teams.approver.userId);
    await teams.chat.standing(teams.approver).then(
      (found) => expect(found).toEqual({ kind: 'unknown' }),
      (error: unknown) => expect(error).toMatchObject({ code: 'chat_unavailable' }),
    );
  });

  test('is none while Teams can’t be asked', async () => {
    await teams.say(teams.approver, 'hello', thread);
    teams.server.failNext(502, 9);
    await expect(teams.chat.standing(teams.approver)).rejects.toMatchObject({
      code: 'chat_unavailable',
      isRetryable: true,
    });
  });
});
