import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { Card, ChatEvent, Form } from '../../core/ports/chat.ts';
import type { Log } from '../../core/ports/log.ts';
import { storeError } from './errors.ts';

const object = (value: unknown): boolean => typeof value === 'object' && value !== null;
// Cards, forms and events were typed when they were appended, and nobody else writes the file: their inside is not read again.
const card = z.custom<Card>((value) => object(value) && Array.isArray((value as Partial<Card>).blocks));
const form = z.custom<Form>((value) => object(value) && Array.isArray((value as Partial<Form>).fields));
const event = z.custom<ChatEvent>((value) => object(value) && typeof (value as Partial<ChatEvent>).id === 'string');

const base = { n: z.number().int().positive(), at: z.coerce.date() };
const body = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('words'), text: z.string() }),
  z.object({ kind: z.literal('card'), card }),
]);
const message = z.object({
  ...base,
  kind: z.literal('message'),
  id: z.string(),
  threadId: z.string(),
  /** The thread of the channel in which a direct message is shown as well: the one that was on screen then. */
  shownIn: z.string().optional(),
  /** A user id; absent when Countersign speaks. */
  from: z.string().optional(),
  /** A user id; absent when everybody sees it. */
  visibleTo: z.string().optional(),
  how: z.enum(['thread', 'ephemeral', 'direct']),
  key: z.string().optional(),
  body,
});
const entry = z.discriminatedUnion('kind', [
  message,
  z.object({ ...base, kind: z.literal('edit'), id: z.string(), card }),
  z.object({ ...base, kind: z.literal('dismissed'), id: z.string() }),
  z.object({ ...base, kind: z.literal('seen'), userId: z.string(), threadId: z.string(), upTo: z.number().int() }),
  z.object({ ...base, kind: z.literal('event'), event }),
  z.object({ ...base, kind: z.literal('settled'), eventId: z.string() }),
  z.object({
    ...base,
    kind: z.literal('form'),
    id: z.string(),
    userId: z.string(),
    threadId: z.string(),
    eventThreadId: z.string(),
    shown: z.string().optional(),
    form,
  }),
  z.object({ ...base, kind: z.literal('form_closed'), id: z.string() }),
]);

export type Entry = z.infer<typeof entry>;
type Unnumbered<E> = E extends Entry ? Omit<E, 'n' | 'at'> : never;
/** An entry before it is on record. */
export type NewEntry = Unnumbered<Entry>;

export type Message = z.infer<typeof message> & {
  /** The number of the latest entry that changed it. */
  readonly changed: number;
  readonly isEdited: boolean;
  readonly isDismissed: boolean;
};
export interface OpenForm {
  readonly id: string;
  readonly userId: string;
  /** On whose page it opens. */
  readonly threadId: string;
  /** The thread that the answer belongs to: another one when a direct message's button opened it. */
  readonly eventThreadId: string;
  /** The message that only this person saw, whose button opened it. */
  readonly shown?: string | undefined;
  readonly form: Form;
}
export interface KnownEvent {
  readonly event: ChatEvent;
  readonly at: Date;
  readonly isSettled: boolean;
}

/** Everything that web chat remembers. Entries are numbered from 1; the file is written before anybody hears of them. */
export interface Store {
  /** Writes the entries in one write and returns them numbered. @throws CountersignError `chat_unavailable` */
  append(...entries: readonly NewEntry[]): readonly Entry[];
  /** The number of the latest entry. */
  last(): number;
  messages(): readonly Message[];
  message(id: string): Message | undefined;
  byKey(threadId: string, key: string): Message | undefined;
  event(id: string): KnownEvent | undefined;
  unsettled(): readonly KnownEvent[];
  forms(userId: string): readonly OpenForm[];
  form(id: string): OpenForm | undefined;
  /** How far the person has read in that thread. */
  seen(userId: string, threadId: string): number;
  /** Called after each write, with what was written and the message as it was before. */
  subscribe(listener: (entry: Entry, before: Message | undefined) => void): void;
  close(): void;
}

/** Opens or creates the file and replays it. A last line that was cut off by a crash is dropped; so is, aloud, any unreadable one. */
export function openStore(file: string, deps: { log: Log; now: () => Date }): Store {
  mkdirSync(dirname(file), { recursive: true });
  const descriptor = openSync(file, 'a+', 0o600);
  const state = createState();
  const lines = recover(file, descriptor);
  lines.forEach((line, index) => {
    const read = readLine(line);
    if (read) state.apply(read);
    else deps.log.warn({ line: index + 1 }, 'web chat: a line of the store is unreadable and was skipped');
  });
  const listeners: ((entry: Entry, before: Message | undefined) => void)[] = [];

  function append(...entries: readonly NewEntry[]): readonly Entry[] {
    // The cast adds back exactly the two fields that NewEntry leaves out.
    const numbered = entries.map((new_, index) => ({ ...new_, n: state.last() + 1 + index, at: deps.now() }) as Entry);
    write(descriptor, `${numbered.map((each) => JSON.stringify(each)).join('\n')}\n`);
    for (const each of numbered) {
      const before = 'id' in each ? state.message(each.id) : undefined;
      state.apply(each);
      for (const listener of listeners) listener(each, before);
    }
    return numbered;
  }

  return { ...state, append, subscribe: (listener) => listeners.push(listener), close: () => closeSync(descriptor) };
}

/** The complete lines of the file, which is cut back to them. */
function recover(file: string, descriptor: number): readonly string[] {
  const bytes = readFileSync(file);
  const end = bytes.lastIndexOf(10) + 1;
  const rest = bytes.subarray(end).toString();
  if (rest !== '' && readLine(rest)) write(descriptor, '\n');
  else if (rest !== '') ftruncateSync(descriptor, end);
  return bytes
    .toString()
    .split('\n')
    .slice(0, readLine(rest) ? undefined : -1);
}

function readLine(line: string): Entry | undefined {
  try {
    return entry.safeParse(JSON.parse(line, reviveTimes)).data;
  } catch {
    return undefined;
  }
}

/** JSON has no dates: the time spans of cards get theirs back. */
function reviveTimes(_key: string, value: unknown): unknown {
  if (!object(value)) return value;
  const span = value as { kind?: unknown; at?: unknown };
  return span.kind === 'time' && typeof span.at === 'string' ? { ...span, at: new Date(span.at) } : value;
}

function write(descriptor: number, text: string): void {
  try {
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
  } catch (cause) {
    throw storeError(cause);
  }
}

function createState() {
  let last = 0;
  const messages = new Map<string, Message>();
  const keys = new Map<string, string>();
  const events = new Map<string, KnownEvent>();
  const forms = new Map<string, OpenForm>();
  const seen = new Map<string, number>();

  function change(id: string, n: number, fields: Partial<Message>): void {
    const known = messages.get(id);
    if (known) messages.set(id, { ...known, ...fields, changed: n });
  }

  function apply(entry: Entry): void {
    last = entry.n;
    switch (entry.kind) {
      case 'message':
        messages.set(entry.id, { ...entry, changed: entry.n, isEdited: false, isDismissed: false });
        if (entry.key !== undefined) keys.set(JSON.stringify([entry.threadId, entry.key]), entry.id);
        break;
      case 'edit':
        change(entry.id, entry.n, { body: { kind: 'card', card: entry.card }, isEdited: true });
        break;
      case 'dismissed':
        change(entry.id, entry.n, { isDismissed: true });
        break;
      case 'seen':
        seen.set(JSON.stringify([entry.userId, entry.threadId]), entry.upTo);
        break;
      case 'event':
        events.set(entry.event.id, { event: entry.event, at: entry.at, isSettled: false });
        break;
      case 'settled': {
        const known = events.get(entry.eventId);
        if (known) events.set(entry.eventId, { ...known, isSettled: true });
        break;
      }
      case 'form':
        forms.set(entry.id, entry);
        break;
      case 'form_closed':
        forms.delete(entry.id);
        break;
      default:
        entry satisfies never;
    }
  }

  return {
    apply,
    last: () => last,
    messages: () => [...messages.values()],
    message: (id: string) => messages.get(id),
    byKey: (threadId: string, key: string) => messages.get(keys.get(JSON.stringify([threadId, key])) ?? ''),
    event: (id: string) => events.get(id),
    unsettled: () => [...events.values()].filter(({ isSettled }) => !isSettled),
    forms: (userId: string) => [...forms.values()].filter((open) => open.userId === userId),
    form: (id: string) => forms.get(id),
    seen: (userId: string, threadId: string) => seen.get(JSON.stringify([userId, threadId])) ?? 0,
  };
}
