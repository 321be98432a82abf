// The whole program in front of a Slack that refuses what Slack refuses: the Home page, and what happens when Slack fails.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { Person, ThreadRef } from '../../core/ports/chat.ts';
import { createEmptyDatabase } from '../support/database.ts';
import { type SlackProgram, startSlackProgram } from '../support/slack/program.ts';
import { BOT, CHANNEL, TEAM } from '../support/slack/server.ts';

const PATIENCE = { timeout: 30_000, interval: 50 };

let program: SlackProgram;
let REQUEST: string;
let merchant: Person;
let approver: Person;
let owner: Person;
beforeAll(async () => {
  program = await startSlackProgram({ database: await createEmptyDatabase() });
  REQUEST = `set up WooCommerce for http://${program.target}`;
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
  });
  expect(errors).toBeUndefined();
}

async function openHome(person: Person): Promise<void> {
  const event = { type: 'app_home_opened', user: person.userId, channel: `D${person.userId}`, tab: 'home' };
  expect((await program.hands.event(event)).isTaken).toBe(true);
}

describe('the settings', () => {
  const toOwner = () => program.server.messages(CHANNEL).filter(({ to }) => to === owner.userId);
  const thread: ThreadRef = { platform: 'slack', workspaceId: TEAM, ref: `${CHANNEL}:` };

  it('are chosen on the first day in a card that goes once that is done', async () => {
    await vi.waitUntil(() => toOwner().some(({ text }) => text === 'Saved. Approver may approve.'), PATIENCE);
    expect(JSON.stringify(toOwner())).not.toContain('choose_approvers#');
  });

  it('open from the command, while it is there to be answered, with all that an admin decides', async () => {
    const before = toOwner().length;
    const began = performance.now();
    await program.hands.command(owner, '/countersign', 'settings');
    const open = await vi.waitUntil(() => program.server.view(owner.userId), PATIENCE);
    expect(performance.now() - began).toBeLessThan(3_000);
    const names = z.looseObject({ blocks: z.array(z.looseObject({ block_id: z.string().optional() })) });
    const fields = names.parse(open.view).blocks.flatMap(({ block_id }) => block_id ?? []);
    for (const name of [
      ...['approvers', 'required', 'rules', 'mode', 'targets', 'channels', 'hourly', 'retention', 'model'],
    ])
      expect(fields).toContain(name);
    const filled = { approvers: [approver.userId], required: ['1'], model: ['on'] };
    expect(await program.hands.submit(owner, thread, { ...filled, retention: ['89'] })).toEqual({
      retention: 'Write a number from 90 to 36500, or nothing.',
    });
    expect(toOwner()).toHaveLength(before);
    expect(await program.hands.submit(owner, thread, { ...filled, retention: ['365'] })).toBeUndefined();
    await vi.waitUntil(() => toOwner().some(({ text }) => /Records are kept for 365 days\./.test(text)), PATIENCE);
    expect(await program.sql('SELECT retention_days FROM customers')).toEqual([{ retention_days: 365 }]);
  });

  it.each(['settings', 'accounts'])('are nobody else’s: %s is refused, to whoever asked alone', async (words) => {
    await program.hands.command(merchant, '/countersign', words);
    const told = () =>
      program.server
        .messages(CHANNEL)
        .findLast(({ to, text }) => to === merchant.userId && /^Only an admin/.test(text));
    await vi.waitUntil(told, PATIENCE);
    expect(program.server.view(merchant.userId)).toBeUndefined();
  });

  it('that Slack gave no time to open say so, to whoever asked', async () => {
    program.server.fail('views.open', { error: 'expired_trigger_id' });
    await program.hands.command(owner, '/countersign', 'settings');
    await vi.waitUntil(() => toOwner().some(({ text }) => /no time to open the form/.test(text)), PATIENCE);
  });
});

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
  const written = program.server.write(CHANNEL, approver.userId, `WooCommerce for http://${program.target} please`);
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

describe('when Slack fails', () => {
  const direct = () => texts(`D${merchant.userId}`);
  const card = (id: string) => () => JSON.stringify(program.server.messages(CHANNEL)).includes(id);
  const calls = (method: string) => program.server.calls.filter((call) => call.method === method).length;

  it.each([
    ['not_in_channel', /invite me with \/invite @Countersign/],
    ['channel_not_found', /invite me with \/invite @Countersign/],
    ['is_archived', /archived: ask in another one/],
    ['restricted_action', /A rule of this workspace/],
    ['a_word_of_tomorrow', /Slack refused chat\.postMessage: a_word_of_tomorrow/],
  ])('%s: whoever spoke hears why, directly, and once', async (error, words) => {
    const before = direct().length;
    // Answers go to the channel; a direct message is another one.
    program.server.failIn(CHANNEL, 'chat.postMessage', { error });
    await program.hands.say(merchant, 'what can you do?');
    await vi.waitUntil(() => direct().length > before, PATIENCE);
    expect(direct().at(-1)).toMatch(words);
  });

  it.each(['msg_too_long', 'msg_blocks_too_long', 'invalid_blocks'])(
    '%s: the same is said more plainly',
    async (error) => {
      // Of the answer itself: what is still said of earlier requests takes none of them.
      for (let n = 0; n < 2; n++)
        program.server.failIn(CHANNEL, 'chat.postMessage', { error }, 'I set up store integrations');
      const before = texts().length;
      await program.hands.say(merchant, 'what can you do?');
      const answers = () =>
        program.server
          .messages(CHANNEL)
          .slice(before)
          .filter(({ user, text }) => user === BOT && text.includes('I set up store integrations'));
      await vi.waitUntil(() => answers().length === 1, PATIENCE);
      expect(answers()[0]).toMatchObject({ blocks: [], text: expect.stringContaining('I set up store integrations') });
    },
  );

  it('an archived channel: what was asked for there goes on, and whoever asked hears why its thread is silent', async () => {
    const before = direct().length;
    const operations = (await statuses()).length;
    for (let n = 0; n < 3; n++) program.server.failIn(CHANNEL, 'chat.postMessage', { error: 'is_archived' });
    await program.hands.say(merchant, REQUEST);
    await vi.waitUntil(async () => (await statuses()).length === operations + 1, PATIENCE);
    await vi.waitUntil(() => direct().length > before, PATIENCE);
    expect(direct().at(-1)).toMatch(/archived/);
    const id = String((await statuses()).at(-1)?.id);
    await vi.waitUntil(card(id), { timeout: 60_000, interval: 100 }); // once it is open again
  });

  it('a storm of 429: nothing is lost, nothing comes twice, and nobody asks before the time is over', async () => {
    const operations = (await statuses()).length;
    for (let n = 0; n < 3; n++) program.server.fail('chat.postMessage', { retryAfter: 2 });
    const before = calls('chat.postMessage');
    const began = performance.now();
    await program.hands.say(merchant, REQUEST);
    await vi.waitUntil(async () => (await statuses()).length === operations + 1, PATIENCE);
    const id = String((await statuses()).at(-1)?.id);
    await vi.waitUntil(card(id), { timeout: 60_000, interval: 100 });
    expect(performance.now() - began).toBeGreaterThanOrEqual(6_000);
    expect(calls('chat.postMessage') - before).toBe(4);
    const cards = program.server
      .messages(CHANNEL)
      .filter(({ text, blocks }) => !!text && JSON.stringify(blocks).includes(`"${id}"`));
    expect(cards).toHaveLength(1);
  });

  it('an outage in the middle of everything: each thread shows in the end how it ended', async () => {
    const { thread, id } = await ask();
    for (const method of ['chat.update', 'chat.update', 'chat.postMessage'])
      program.server.fail(method, { status: 503 });
    await program.hands.say(merchant, `stop ${id}`, thread);
    const isStopped = async () => (await statuses()).find((row) => row.id === id)?.status === 'cancelled';
    await vi.waitUntil(isStopped, PATIENCE);
    const told = () => program.server.messages(CHANNEL).some(({ text }) => text.startsWith('Stopped: WooCommerce'));
    await vi.waitUntil(told, { timeout: 60_000, interval: 100 });
  });

  it('a form that Slack gave no time to open: the button says so, to whoever pressed it', async () => {
    const { thread, id } = await ask();
    const message = program.server.messages(CHANNEL).findLast(({ blocks }) => JSON.stringify(blocks).includes(`deny#`));
    expect(JSON.stringify(message?.blocks)).toContain(id);
    program.server.fail('views.open', { error: 'expired_trigger_id' });
    await program.hands.click(approver, thread, { thread, ref: message?.ts ?? '' }, 'deny');
    const alone = () => program.server.messages(CHANNEL).filter(({ to }) => to === approver.userId);
    await vi.waitUntil(
      () => alone().some(({ text }) => /no time to open the form: try that once more/.test(text)),
      PATIENCE,
    );
  });

  it('a revoked token: what was asked for is on record, and is shown once the app is there again', async () => {
    const operations = (await statuses()).length;
    for (let n = 0; n < 2; n++) program.server.fail('chat.postMessage', { error: 'token_revoked' });
    await program.hands.say(merchant, REQUEST);
    await vi.waitUntil(async () => (await statuses()).length === operations + 1, PATIENCE);
    const id = String((await statuses()).at(-1)?.id);
    await vi.waitUntil(card(id), { timeout: 60_000, interval: 100 });
  });

  it('words from people call nobody: a mention of everybody stays words', async () => {
    const hostile = `set up <!channel> <!here|x> <@${owner.userId}> &lt;!everyone&gt; for us`;
    await program.hands.command(merchant, '/countersign', hostile);
    const asked = () => program.server.messages(CHANNEL).findLast(({ text }) => text.includes('asks: set up'));
    await vi.waitUntil(() => asked() !== undefined, PATIENCE);
    for (const { user, text } of program.server.messages(CHANNEL))
      if (user === BOT) expect(text).not.toMatch(/<!(?!date)/);
    expect(JSON.stringify(asked()?.blocks)).not.toMatch(/broadcast|usergroup/);
  });
});
