// The whole program in front of a Slack that refuses what Slack refuses: the Home page, and what happens when Slack fails.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Person, ThreadRef } from '../../core/ports/chat.ts';
import { type SlackProgram, startSlackProgram } from '../support/slack/program.ts';
import { BOT, CHANNEL, TEAM } from '../support/slack/server.ts';

const PATIENCE = { timeout: 30_000, interval: 50 };
const REQUEST = 'set up WooCommerce for http://127.0.0.1:4999';

let program: SlackProgram;
let merchant: Person;
let approver: Person;
let owner: Person;
beforeAll(async () => {
  program = await startSlackProgram();
  const [first, second, third] = program.hands.people;
  if (!first || !second || !third) throw new Error('the stand-in for Slack has nobody in it');
  [merchant, approver, owner] = [first, second, third];
  await chooseApprover();
});
afterAll(() => program?.stop());

const texts = (channel = CHANNEL) => program.server.messages(channel).map(({ text }) => text);
const statuses = () => program.sql('SELECT id, status FROM autonomous_operations ORDER BY created_at');
const home = (person: Person) => JSON.stringify(program.server.homes.get(person.userId) ?? []);

/** @returns the thread of a request whose card stands there. */
async function ask(person = merchant, words = REQUEST): Promise<{ thread: ThreadRef; id: string }> {
  const before = (await statuses()).length;
  await program.hands.say(person, words);
  await vi.waitUntil(async () => (await statuses()).length > before, PATIENCE);
  const root = program.server.messages(CHANNEL).findLast(({ user }) => user === person.userId);
  const thread: ThreadRef = { platform: 'slack', workspaceId: TEAM, ref: `${CHANNEL}:${root?.ts}` };
  const id = String((await statuses()).at(-1)?.id);
  await vi.waitUntil(() => JSON.stringify(program.server.messages(CHANNEL)).includes(id), PATIENCE);
  return { thread, id };
}

/** The first request's card asks the owner, who is the first admin. */
async function chooseApprover(): Promise<void> {
  const { thread } = await ask();
  await vi.waitUntil(() => texts().some((text) => text.startsWith('Welcome.')), PATIENCE);
  await program.hands.click(owner, thread, undefined, 'choose_approvers');
  await vi.waitUntil(() => program.server.view(owner.userId) !== undefined, PATIENCE);
  const errors = await program.hands.submit(owner, thread, {
    approvers: [approver.userId],
    required: ['1'],
    model: ['on'],
  });
  expect(errors).toBeUndefined();
}

async function openHome(person: Person): Promise<void> {
  const event = { type: 'app_home_opened', user: person.userId, channel: `D${person.userId}`, tab: 'home' };
  expect((await program.hands.event(event)).isTaken).toBe(true);
}

describe('the Home page', () => {
  it('shows an approver what waits, and takes the approval; its buttons are gone then', async () => {
    const { id } = await ask();
    await openHome(approver);
    expect(home(approver)).toContain(id);
    expect(home(approver)).toMatch(/https:\/\/test\.slack\.com\/archives\/C0001\/p\d+/);
    const before = (await statuses()).filter(({ status }) => status === 'awaiting_consent').length;
    await program.hands.clickHome(approver, 'approve');
    const waiting = async () => (await statuses()).filter(({ status }) => status === 'awaiting_consent').length;
    await vi.waitUntil(async () => (await waiting()) === before - 1, PATIENCE);
    const granted = String((await statuses()).find(({ status }) => status === 'awaiting_credentials')?.id);
    await vi.waitUntil(() => home(approver).includes(`"stop#0","value":"${granted}"`), PATIENCE);
  });

  it('asks for a reason when an approver denies from there, which goes into the request’s thread', async () => {
    const { thread, id } = await ask();
    await openHome(approver);
    await program.hands.clickHome(approver, 'deny');
    await vi.waitUntil(() => program.server.view(approver.userId) !== undefined, PATIENCE);
    await program.hands.submit(approver, thread, { reason: ['Not this quarter'] });
    await vi.waitUntil(async () => (await statuses()).some((row) => row.status === 'denied'), PATIENCE);
    const denied = String((await statuses()).find((row) => row.status === 'denied')?.id);
    await vi.waitUntil(() => JSON.stringify(program.server.messages(CHANNEL)).includes('Not this quarter'), PATIENCE);
    expect([denied, id]).toContain(denied);
  });

  it('shows whoever asked no Approve, and no trail; an admin has the trails', async () => {
    await ask();
    await openHome(merchant);
    expect(home(merchant)).toContain('Waiting for approval');
    expect(home(merchant)).not.toMatch(/"approve#|"audit#/);
    await openHome(owner);
    await program.hands.clickHome(owner, 'audit');
    const toOwner = () => program.server.messages(CHANNEL).filter(({ to }) => to === owner.userId);
    await vi.waitUntil(() => toOwner().some(({ text }) => text.startsWith('Audit trail of')), PATIENCE);
  });
});

it('a shortcut on somebody’s message asks for what it says, in the name of who pressed it', async () => {
  const written = program.server.write(CHANNEL, approver.userId, 'WooCommerce for http://127.0.0.1:4999 please');
  const before = (await statuses()).length;
  await program.server.deliver('interactive', {
    ...{ type: 'message_action', callback_id: 'set_this_up', action_ts: '1700000009.1', team: { id: TEAM } },
    ...{ user: { id: merchant.userId, name: 'merchant' }, channel: { id: CHANNEL } },
    message: { ts: written.ts, user: approver.userId, text: written.text },
  });
  await vi.waitUntil(async () => (await statuses()).length === before + 1, PATIENCE);
  const isAnswered = () =>
    program.server.messages(CHANNEL).some(({ thread_ts, user }) => thread_ts === written.ts && user === BOT);
  await vi.waitUntil(isAnswered, PATIENCE);
});
