import { once } from 'node:events';
import type { Card, Chat, ChatListener, MessageRef, Person, ThreadRef } from '../../core/ports/chat.ts';
import type { Log } from '../../core/ports/log.ts';
import { renderCard } from './cards.ts';
import { capabilities, type LinesOptions, WORKSPACE } from './config.ts';
import { unable, unknownReference } from './errors.ts';
import { createReceiver, type Line, type Spoken } from './receiver.ts';
import { messageRef, threadIdOf, threadRef } from './thread.ts';

/** A chat of lines of JSON over TCP. */
export interface Lines extends Chat {
  listen(listener: ChatListener): void;
  start(): Promise<{ readonly port: number }>;
  stop(): Promise<void>;
  readonly people: readonly Person[];
}

export function createLines({ port, people: known }: LinesOptions, { log }: { readonly log: Log }): Lines {
  const people: readonly Person[] = known.map(({ userId, name }) => {
    return { platform: 'lines', workspaceId: WORKSPACE, userId, name };
  });
  const lines = new Set<Line>();
  const posted = new Map<string, MessageRef>();
  let listener: ChatListener = async () => undefined;
  let count = 0;

  const personOf = (userId: string): Person => {
    const found = people.find((person) => person.userId === userId);
    if (found === undefined) throw unknownReference('person');
    return found;
  };
  const show = (thread: string, message: string, card: Card, only?: Person) => {
    const text = JSON.stringify({ thread, message, ...(only ? { isForYou: true } : {}), ...renderCard(card) });
    for (const { socket, userId } of lines) if (!only || only.userId === userId) socket.write(`${text}\n`);
  };
  const say = (thread: ThreadRef, card: Card, only?: Person): MessageRef => {
    const message = messageRef(threadIdOf(thread), `m${++count}`);
    show(message.thread.ref, message.ref, card, only);
    return message;
  };

  const hear = async (line: Line, said: Spoken): Promise<void> => {
    const from = personOf(line.userId);
    const id = `${line.userId}/${said.id}`;
    const thread = threadRef(said.thread ?? `t-${id}`);
    if ('action' in said) {
      const { action, value, message } = said;
      const of = message === undefined ? {} : { message: messageRef(thread.ref, message) };
      return void (await listener({ kind: 'action', id, thread, from, trigger: id, action, value, ...of }));
    }
    const [, command, rest = ''] = /^\/(countersign|audit)\b\s*(.*)$/s.exec(said.text) ?? [];
    if (command === 'countersign' || command === 'audit')
      return void (await listener({ kind: 'command', id, thread, from, trigger: id, command, text: rest }));
    await listener({ kind: 'message', id, thread, from, text: said.text });
  };

  const server = createReceiver(known, {
    joined(line) {
      lines.add(line);
      line.socket.once('close', () => lines.delete(line));
      line.socket.write(`${JSON.stringify({ welcome: line.userId })}\n`);
    },
    heard: (line, said) => void hear(line, said).catch((err: unknown) => log.error({ err }, 'lines: not answered')),
  });

  return {
    platform: 'lines',
    capabilities,
    people,
    listen(next) {
      listener = next;
    },
    async start() {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      return { port: typeof address === 'object' && address !== null ? address.port : port };
    },
    async stop() {
      for (const { socket } of lines) socket.destroy();
      server.close();
    },
    async post(thread, card, { key }) {
      const name = `${threadIdOf(thread)} ${key}`;
      const message = posted.get(name) ?? say(thread, card);
      posted.set(name, message);
      return message;
    },
    // Lines that were written stay: what is new is written below.
    update: async ({ thread, ref }, card) => show(threadIdOf(thread), ref, card),
    ephemeral: async (thread, person, card) => void say(thread, card, person),
    directMessage: async (person, card) => say(threadRef(`dm-${person.userId}`), card, person),
    person: async (_workspaceId, userId) => personOf(userId),
    standing: async ({ userId }) =>
      people.some((person) => person.userId === userId) ? { kind: 'member', isInGroup: false } : { kind: 'unknown' },
    openForm: () => Promise.reject(unable('forms')),
    upload: () => Promise.reject(unable('uploads')),
  };
}
