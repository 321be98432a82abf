// Lines keeps what every chat platform promises, with people at sockets of their own.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { vi } from 'vitest';
import { capabilities } from '../../adapters/lines/config.ts';
import { createLines } from '../../adapters/lines/index.ts';
import { chatContract, type OpenedChat, type ShownMessage } from '../contracts/chat.ts';
import { silentLog } from '../support/silent-log.ts';

const PEOPLE = [
  { userId: 'mona', name: 'Mona', word: 'one' },
  { userId: 'abel', name: 'Abel', word: 'two' },
];

interface Shown {
  readonly thread: string;
  readonly message: string;
  readonly isForYou?: true;
  readonly text: string;
  readonly buttons: readonly { readonly label: string; readonly action: string; readonly value: string }[];
  readonly pictures: readonly string[];
}

async function open(): Promise<OpenedChat> {
  const chat = createLines({ port: 0, people: PEOPLE }, { log: silentLog });
  const { port } = await chat.start();
  const seen = new Map<string, Shown[]>();
  const sockets = new Map<string, Socket>();
  for (const { userId, word } of PEOPLE) {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(`${JSON.stringify({ userId, word })}\n`);
    const lines = createInterface({ input: socket });
    await once(lines, 'line');
    const shown: Shown[] = [];
    lines.on('line', (line) => shown.push(JSON.parse(line)));
    seen.set(userId, shown);
    sockets.set(userId, socket);
  }
  const [merchant, approver] = chat.people;
  if (!merchant || !approver) throw new Error('nobody is there');
  let count = 0;
  let last = () => {};
  const send = (userId: string, said: object) => void sockets.get(userId)?.write(`${JSON.stringify(said)}\n`);
  const messages = (userId: string, isIn: (shown: Shown) => boolean): ShownMessage[] =>
    (seen.get(userId) ?? []).filter(isIn).map(({ text, buttons, pictures }) => ({
      ...{ text: text.replace(/\s+/g, ' '), buttons: buttons.map(({ label }) => label), pictures, mentions: [] },
    }));
  return {
    ...{ chat, merchant, approver },
    listen: (listener) => chat.listen(listener),
    async say({ userId }, text, thread) {
      const said = { id: `${++count}`, text, ...(thread ? { thread: thread.ref } : {}) };
      last = () => send(userId, said);
      last();
    },
    async repeatLast() {
      last();
    },
    async press({ userId }, thread, message, action) {
      const isOwn = (shown: Shown) => (message ? shown.message === message.ref : shown.isForYou);
      const value = await vi.waitFor(() => {
        const buttons = seen.get(userId)?.findLast(isOwn)?.buttons;
        const button = buttons?.find((each) => each.action === action);
        if (button === undefined) throw new Error('there is no such button yet');
        return button.value;
      });
      const of = message ? { message: message.ref } : {};
      send(userId, { id: `${++count}`, thread: thread.ref, ...of, action, value });
    },
    submit: async () => undefined,
    transcriptFor: async ({ userId }, thread) => messages(userId, (shown) => shown.thread === thread.ref),
    directMessagesOf: async ({ userId }) => messages(userId, (shown) => shown.thread === `dm-${userId}`),
    async close() {
      for (const socket of sockets.values()) socket.destroy();
      await chat.stop();
    },
  };
}

chatContract('lines', open, { capabilities, tellsRepeatedPosts: true });
