import type { Card, Chat, Form, MessageRef, Person, ThreadRef } from '../../core/ports/chat.ts';

/** One call that changed what people see. */
export interface ChatCall {
  readonly call: 'post' | 'update' | 'ephemeral' | 'openForm';
  readonly key?: string;
  readonly card?: Card;
  /** Of what was posted or shown to one person: where. */
  readonly thread?: ThreadRef;
}

/** A platform in memory that can tell repeated posts, and keeps what it was told. */
export interface RecordingChat extends Chat {
  readonly calls: readonly ChatCall[];
  /** Those that were opened, for whomever. */
  readonly forms: readonly Form[];
  /** What stands in the thread, oldest first. */
  shown(): readonly Card[];
  /** What each person was told directly, oldest first. */
  direct(): readonly { readonly to: Person; readonly card: Card }[];
}

/** `before` is awaited in each call before anything changes: a slow platform. */
export function createRecordingChat(before: (call: ChatCall) => Promise<void> = async () => {}): RecordingChat {
  const calls: ChatCall[] = [];
  const forms: Form[] = [];
  const messages = new Map<string, Card>();
  const refs = new Map<string, string>();
  const direct = new Map<string, { readonly to: Person; readonly card: Card }>();
  const record = async (call: ChatCall) => {
    await before(call);
    calls.push(call);
  };
  const post = async (thread: ThreadRef, card: Card, { key }: { key: string }): Promise<MessageRef> => {
    await record({ call: 'post', key, card, thread });
    const ref = refs.get(key) ?? `m${messages.size}`;
    if (!refs.has(key)) messages.set(ref, card);
    refs.set(key, ref);
    return { thread, ref };
  };
  return {
    platform: 'web',
    capabilities: {
      ...{ ephemeral: true, ephemeralInPlace: true, directMessage: true, updateInPlace: true, form: true },
      ...{ upload: false, mention: true, groups: false, picturesInCards: true },
    },
    ...{ calls, forms },
    shown: () => [...messages.values()],
    direct: () => [...direct.values()],
    post,
    async update({ ref }, card) {
      await record({ call: 'update', card });
      const told = direct.get(ref);
      if (told) direct.set(ref, { ...told, card });
      else messages.set(ref, card);
    },
    ephemeral: (thread: ThreadRef, _person: Person, card: Card, options?: { key: string }) =>
      record({ call: 'ephemeral', card, thread, ...options }),
    async directMessage(to, card, { key = `direct ${direct.size}` } = { key: `direct ${direct.size}` }) {
      await record({ call: 'ephemeral', key, card });
      const ref = `${to.userId} ${key}`;
      if (!direct.has(ref)) direct.set(ref, { to, card });
      return { thread: { platform: 'web', workspaceId: to.workspaceId, ref: `dm-${to.userId}` }, ref };
    },
    person: async (workspaceId, userId) => ({ platform: 'web', workspaceId, userId, name: userId }),
    standing: async () => ({ kind: 'member', isInGroup: false }),
    async openForm(_trigger: string, form: Form) {
      await record({ call: 'openForm' });
      forms.push(form);
    },
    upload: (thread, picture, options) => post(thread, { summary: picture.alt, blocks: [] }, options),
  };
}

/** What a form says when nothing in it is touched. */
export function filledIn({ fields }: Form): Record<string, readonly string[]> {
  return Object.fromEntries(
    fields.map((field) => {
      if (field.kind === 'checkboxes')
        return [field.name, field.options.filter(({ isChecked }) => isChecked).map(({ value }) => value)];
      return [field.name, typeof field.initial === 'object' ? field.initial : field.initial ? [field.initial] : []];
    }),
  );
}
