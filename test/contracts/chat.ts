// Whole in one place: what each platform, and each new one, is held to.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type {
  Card,
  Chat,
  ChatCapabilities,
  ChatEvent,
  ChatListener,
  Form,
  MessageRef,
  Person,
  ThreadRef,
} from '../../core/ports/chat.ts';

/** A message as one person sees it on the platform. */
export interface ShownMessage {
  /** As they read it: unescaped, blocks and buttons in order, white space collapsed to single spaces. */
  readonly text: string;
  /** Labels of the buttons. */
  readonly buttons: readonly string[];
  /** Addresses of the pictures. */
  readonly pictures: readonly string[];
  /** User ids of those whom it names. */
  readonly mentions: readonly string[];
}

/** A platform with two people on it, and the hands to do there what people do. */
export interface OpenedChat {
  readonly chat: Chat;
  readonly merchant: Person;
  readonly approver: Person;
  /** How the conversation answers from now on; until then it answers nothing. */
  listen(listener: ChatListener): void;
  /** Writes into the thread, or begins one. */
  say(person: Person, text: string, thread?: ThreadRef): Promise<void>;
  /** Makes the platform send once more what `say` sent last. */
  repeatLast(): Promise<void>;
  /** Presses the button with that action: of the message, or of the latest one that only this person sees. */
  press(person: Person, thread: ThreadRef, message: MessageRef | undefined, action: string): Promise<void>;
  /** Fills in the form that is open for the person and sends it; what the fields are told, by name, or nothing. */
  submit(
    person: Person,
    thread: ThreadRef,
    fields: Readonly<Record<string, readonly string[]>>,
  ): Promise<Readonly<Record<string, string>> | undefined>;
  /** Oldest first. */
  transcriptFor(person: Person, thread: ThreadRef): Promise<readonly ShownMessage[]>;
  /** What came to that person outside of threads; a platform may show it in the thread as well. */
  directMessagesOf(person: Person): Promise<readonly ShownMessage[]>;
  close(): Promise<void>;
}

export interface ChatPromises {
  readonly capabilities: ChatCapabilities;
  /** Whether the platform can tell that the same key was posted before. */
  readonly tellsRepeatedPosts: boolean;
}

const HOSTILE =
  '<script>alert(1)</script> & <b>bold</b> *star* _under_ `tick` <!channel> <@U000> @here [a](javascript:alert(1)) &amp; "q"';

export const sentence = (text: string): Card => ({
  summary: text,
  blocks: [{ kind: 'text', text: [{ kind: 'text', text }] }],
});

const choice = (label: string, action: string): Card => ({
  summary: label,
  blocks: [
    { kind: 'heading', text: [{ kind: 'text', text: `Please choose: ${label}` }] },
    { kind: 'actions', buttons: [{ label, style: 'primary', action, value: `value of ${action}` }] },
  ],
});

const picture = { url: 'https://pictures.example.com/1.png', alt: 'The sign-in page', width: 100, height: 80 };

const form: Form = {
  form: 'reason',
  value: 'op-abcdefgh',
  title: 'Why not?',
  submit: 'Send',
  fields: [
    { kind: 'text', name: 'why', label: 'Reason', isRequired: true },
    {
      kind: 'checkboxes',
      name: 'may',
      label: 'It may',
      options: [
        { value: 'read', label: 'Read', isChecked: false },
        { value: 'write', label: 'Write', isChecked: false },
      ],
    },
  ],
};

/** What every platform promises. Each test opens a platform of its own. */
export function chatContract(
  name: string,
  open: () => Promise<OpenedChat>,
  { capabilities, tellsRepeatedPosts }: ChatPromises,
): void {
  describe(`${name} keeps the contract of chat`, () => {
    let opened: OpenedChat;
    let events: ChatEvent[];

    beforeEach(async () => {
      opened = await open();
      hear();
    });
    afterEach(() => opened.close());

    /** Keeps what comes in, and answers as given. */
    function hear(answer: ChatListener = async () => undefined): void {
      events = [];
      opened.listen((event) => {
        events.push(event);
        return answer(event);
      });
    }

    function heard<Kind extends ChatEvent['kind']>(kind: Kind): Promise<Extract<ChatEvent, { kind: Kind }>> {
      return vi.waitFor(
        () => {
          const found = events.findLast((event) => event.kind === kind);
          if (!found) throw new Error(`no event of kind ${kind} yet`);
          // The cast: the line above looked for that kind.
          return found as Extract<ChatEvent, { kind: Kind }>;
        },
        { timeout: 5_000, interval: 20 },
      );
    }

    async function begin(text = 'set up WooCommerce'): Promise<ThreadRef> {
      await opened.say(opened.merchant, text);
      return (await heard('message')).thread;
    }

    /** The thread as that person reads it, once it is as expected: platforms may take a moment. */
    async function eventually(
      person: Person,
      thread: ThreadRef,
      check: (shown: readonly ShownMessage[]) => void,
    ): Promise<void> {
      await vi.waitFor(async () => check(await opened.transcriptFor(person, thread)), { timeout: 8_000, interval: 50 });
    }

    const texts = (shown: readonly ShownMessage[]): string => shown.map(({ text }) => text).join('\n');

    test('says of itself what it can do', () => {
      expect(opened.chat.capabilities).toEqual(capabilities);
    });

    test('brings a message with its thread, its text and who wrote it', async () => {
      await opened.say(opened.merchant, 'set up WooCommerce for shop.example.com');
      const message = await heard('message');
      expect(message).toMatchObject({
        text: 'set up WooCommerce for shop.example.com',
        from: { userId: opened.merchant.userId },
      });
      expect(message.from).toMatchObject({ platform: opened.chat.platform, workspaceId: opened.merchant.workspaceId });
      expect(message.thread.platform).toBe(opened.chat.platform);
    });

    test('keeps an answer in the thread of the question', async () => {
      const thread = await begin();
      await opened.say(opened.approver, 'which shop?', thread);
      await vi.waitFor(() => expect(events).toHaveLength(2), { timeout: 5_000 });
      expect(events.map((event) => event.thread)).toEqual([thread, thread]);
    });

    test('gives an event the same id when the platform repeats itself, and another one to another event', async () => {
      const thread = await begin('once');
      await opened.repeatLast();
      await opened.say(opened.merchant, 'twice', thread);
      await vi.waitFor(
        () => expect(events.some((event) => event.kind === 'message' && event.text === 'twice')).toBe(true),
        { timeout: 5_000 },
      );
      const ids = (text: string): ReadonlySet<string> =>
        new Set(events.flatMap((event) => (event.kind === 'message' && event.text === text ? [event.id] : [])));
      expect(ids('once').size).toBe(1);
      expect(ids('once')).not.toEqual(ids('twice'));
    });

    test('brings commands without their slash, with what follows them', async () => {
      const thread = await begin();
      await opened.say(opened.merchant, '/audit op-abcdefgh', thread);
      expect(await heard('command')).toMatchObject({
        command: 'audit',
        text: 'op-abcdefgh',
        from: { userId: opened.merchant.userId },
      });
    });

    test('shows a posted card to everybody in the thread', async () => {
      const thread = await begin();
      await opened.chat.post(thread, choice('Approve', 'approve'), { key: 'a' });
      for (const person of [opened.merchant, opened.approver]) {
        await eventually(person, thread, (shown) => {
          expect(shown.at(-1)).toMatchObject({
            text: expect.stringContaining('Please choose: Approve'),
            buttons: ['Approve'],
          });
        });
      }
    });

    test('begins a thread where nobody has written, if it can, and answers go on in it', async () => {
      const thread = await begin();
      const place = opened.chat.begin?.(thread.workspaceId, opened.chat.channelOf?.(thread));
      if (!place) return expect(opened.chat.begin?.(thread.workspaceId, undefined)).toBeUndefined();
      const first = await opened.chat.post(place, sentence('Somebody asks by the API'), { key: 'begun' });
      expect(first.thread.ref).not.toBe(place.ref);
      expect(first.thread.ref).not.toBe(thread.ref);
      await opened.chat.post(first.thread, sentence('and this is the plan'), { key: 'plan' });
      await eventually(opened.approver, first.thread, (shown) =>
        expect(texts(shown)).toMatch(/Somebody asks by the API.*and this is the plan/s),
      );
    });

    test('shows messages in the order in which they were posted', async () => {
      const thread = await begin();
      const words = ['first', 'second', 'third', 'fourth', 'fifth'];
      for (const word of words) await opened.chat.post(thread, sentence(`the ${word} one`), { key: word });
      await eventually(opened.merchant, thread, (shown) => {
        const found = texts(shown).match(/first|second|third|fourth|fifth/g);
        expect(found).toEqual(words);
      });
    });

    if (tellsRepeatedPosts) {
      test('posts the same key once, however often and whenever it is asked to', async () => {
        const thread = await begin();
        const [first, ...others] = await Promise.all(
          [1, 2, 3].map(() => opened.chat.post(thread, sentence('only once'), { key: 'same' })),
        );
        expect(others).toEqual([first, first]);
        expect(await opened.chat.post(thread, sentence('only once'), { key: 'same' })).toEqual(first);
        await eventually(opened.merchant, thread, (shown) => expect(texts(shown).match(/only once/g)).toHaveLength(1));
      });
    }

    if (capabilities.updateInPlace) {
      test('updates a message in place', async () => {
        const thread = await begin();
        const message = await opened.chat.post(thread, sentence('step 1 of 2'), { key: 'a' });
        await opened.chat.post(thread, sentence('something after it'), { key: 'b' });
        await opened.chat.update(message, sentence('step 2 of 2'));
        await eventually(opened.approver, thread, (shown) => {
          expect(texts(shown)).not.toContain('step 1 of 2');
          expect(texts(shown)).toMatch(/step 2 of 2[\s\S]*something after it/);
        });
      });
    }

    test('brings a pressed button with its message, action and value', async () => {
      const thread = await begin();
      const message = await opened.chat.post(thread, choice('Approve', 'approve'), { key: 'a' });
      await opened.press(opened.approver, thread, message, 'approve');
      const action = await heard('action');
      expect(action).toMatchObject({ action: 'approve', value: 'value of approve', message, thread });
      expect(action.from.userId).toBe(opened.approver.userId);
      expect(action.trigger).not.toBe('');
    });

    if (capabilities.ephemeral) {
      test('shows an ephemeral card to one person alone, and its buttons come without a message', async () => {
        const thread = await begin();
        await opened.chat.ephemeral(thread, opened.approver, choice('For your eyes', 'eyes'));
        await eventually(opened.approver, thread, (shown) => expect(texts(shown)).toContain('For your eyes'));
        expect(texts(await opened.transcriptFor(opened.merchant, thread))).not.toContain('For your eyes');
        await opened.press(opened.approver, thread, undefined, 'eyes');
        const action = await heard('action');
        expect(action).toMatchObject({ action: 'eyes', thread, from: { userId: opened.approver.userId } });
        expect(action.message).toBeUndefined();
      });
    }

    if (capabilities.directMessage) {
      test('brings a direct message to one person alone', async () => {
        const thread = await begin();
        const message = await opened.chat.directMessage(opened.approver, sentence('You are an approver now.'));
        await vi.waitFor(
          async () =>
            expect(texts(await opened.directMessagesOf(opened.approver))).toContain('You are an approver now.'),
          { timeout: 5_000 },
        );
        expect(texts(await opened.directMessagesOf(opened.merchant))).not.toContain('You are an approver now.');
        expect(texts(await opened.transcriptFor(opened.merchant, thread))).not.toContain('You are an approver now.');
        await opened.chat.update(message, sentence('You were an approver.'));
        await vi.waitFor(
          async () => expect(texts(await opened.directMessagesOf(opened.approver))).toContain('You were an approver.'),
          { timeout: 5_000 },
        );
      });
    }

    if (capabilities.form) {
      test('opens a form for who pressed, sends it back with words at its fields, and brings it when it is right', async () => {
        const thread = await begin();
        const message = await opened.chat.post(thread, choice('Deny', 'deny'), { key: 'a' });
        hear(async (event) => {
          if (event.kind === 'action') await opened.chat.openForm(event.trigger, form);
          const isShort = event.kind === 'form' && event.fields.why?.[0] === 'no';
          return isShort ? { fieldErrors: { why: 'Please say a little more.' } } : undefined;
        });
        await opened.press(opened.approver, thread, message, 'deny');
        await heard('action');

        expect(await opened.submit(opened.approver, thread, { why: ['no'], may: ['read'] })).toEqual({
          why: 'Please say a little more.',
        });
        expect(
          await opened.submit(opened.approver, thread, { why: ['not this month'], may: ['read', 'write'] }),
        ).toBeUndefined();

        const last = await heard('form');
        expect(last).toMatchObject({
          form: 'reason',
          value: 'op-abcdefgh',
          thread,
          from: { userId: opened.approver.userId },
        });
        expect(last.fields).toEqual({ why: ['not this month'], may: ['read', 'write'] });
        expect(new Set(events.flatMap((event) => (event.kind === 'form' ? [event.id] : []))).size).toBe(2);
      });

      test('refuses a trigger that it never gave out', async () => {
        await begin();
        await expect(opened.chat.openForm('nothing-of-the-kind', form)).rejects.toMatchObject({
          code: 'chat_unavailable',
        });
      });
    }

    if (capabilities.picturesInCards) {
      test('shows the pictures of a card', async () => {
        const thread = await begin();
        const second = { ...picture, url: 'https://pictures.example.com/2.png' };
        await opened.chat.post(
          thread,
          { summary: 'Pictures', blocks: [{ kind: 'pictures', items: [picture, second] }] },
          { key: 'a' },
        );
        await eventually(opened.merchant, thread, (shown) =>
          expect(shown.at(-1)?.pictures).toEqual([picture.url, second.url]),
        );
      });
    }

    if (capabilities.upload) {
      test('puts a picture into the thread', async () => {
        const thread = await begin();
        await opened.chat.upload(thread, picture, { key: 'picture' });
        await eventually(opened.approver, thread, (shown) => expect(shown.at(-1)?.pictures).toHaveLength(1));
      });
    }

    if (capabilities.mention) {
      test('names people, by name and not by id', async () => {
        const thread = await begin();
        const { approver } = opened;
        const text = [{ kind: 'person', person: approver } as const, { kind: 'text', text: ', please look' } as const];
        await opened.chat.post(thread, { summary: 'Please look', blocks: [{ kind: 'text', text }] }, { key: 'a' });
        await eventually(approver, thread, (shown) => {
          expect(shown.at(-1)?.text).toContain(`${approver.name}, please look`);
          expect(shown.at(-1)?.mentions).toEqual([approver.userId]);
        });
      });
    }

    test('shows hostile text letter by letter, wherever a card carries text', async () => {
      const thread = await begin();
      const text = [{ kind: 'text', text: HOSTILE } as const];
      await opened.chat.post(
        thread,
        {
          summary: HOSTILE,
          blocks: [
            { kind: 'text', text },
            { kind: 'list', items: [{ text: [{ kind: 'bold', text: HOSTILE }], detail: HOSTILE }] },
            { kind: 'facts', rows: [{ label: HOSTILE, value: text }] },
            { kind: 'steps', items: [{ state: 'done', text: HOSTILE, detail: '1 s' }] },
            { kind: 'signature', tone: 'granted', text },
          ],
        },
        { key: 'a' },
      );
      await eventually(opened.approver, thread, (shown) => {
        const last = shown.at(-1);
        expect(last?.text.split(HOSTILE)).toHaveLength(8);
        expect(last?.mentions).toEqual([]);
      });
    });

    test('takes a text that is longer than platforms like, and shows how it begins', async () => {
      const thread = await begin();
      const long = Array.from({ length: 2_500 }, (_, index) => `word${index}`).join(' ');
      await opened.chat.post(thread, sentence(long), { key: 'a' });
      await eventually(opened.merchant, thread, (shown) => expect(texts(shown)).toContain(long.slice(0, 1_000)));
    });

    test('refuses a thread that it does not know', async () => {
      const thread = await begin();
      const unknown = {
        ...thread,
        platform: opened.chat.platform === 'web' ? 'slack' : 'web',
        ref: 'elsewhere',
      } as const;
      await expect(opened.chat.post(unknown, sentence('lost'), { key: 'a' })).rejects.toMatchObject({
        code: 'chat_unavailable',
      });
    });
  });
}
