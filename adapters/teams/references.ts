import { z } from 'zod';
import type { ThreadRef } from '../../core/ports/chat.ts';
import type { Reference } from './activity.ts';
import { notThere } from './errors.ts';
import { type Place, placeOf, threadRef, withoutThread } from './thread.ts';

/** Where conversations are kept beyond this process, as text that nobody else reads. */
export interface ReferenceStore {
  /** In place of what was known. @returns whether it was kept: a workspace that nobody installed keeps nothing. */
  keep(thread: ThreadRef, text: string): Promise<boolean>;
  /** `forgotten`: we were removed from it. */
  find(thread: ThreadRef): Promise<{ readonly text: string } | 'forgotten' | undefined>;
  /** The newest of the workspace. */
  latest(workspaceId: string): Promise<string | undefined>;
  /** All that we were not removed from, the newest first. */
  all(workspaceId: string): Promise<readonly { readonly thread: ThreadRef; readonly text: string }[]>;
  /** Teams takes nothing of us there, for whatever reason. */
  forget(thread: ThreadRef): Promise<void>;
  /** The app was removed there. @returns whether the workspace has it nowhere any more. */
  remove(workspaceId: string, threads: readonly ThreadRef[]): Promise<boolean>;
}

const stored = z.object({
  ...{ serviceUrl: z.url(), conversationId: z.string(), tenantId: z.string() },
  ...{ scope: z.enum(['personal', 'group', 'channel']), botId: z.string(), botName: z.string() },
  ...{ teamId: z.string().optional(), teamName: z.string().optional(), userId: z.string().optional() },
}) satisfies z.ZodType<Reference>;

/** How each conversation is reached: as it was heard of last, by this process or another one. */
export interface References {
  /** With `isKnown` only where it was heard of before: what people say to each other is no conversation of ours. */
  heard(thread: ThreadRef, reference: Reference, options?: { readonly isKnown: boolean }): Promise<void>;
  /** @throws CountersignError when Teams never told us of it, or has told us that we are not there. */
  of(place: Place): Promise<Reference>;
  /** Of the organisation, for conversations that we begin. @throws CountersignError as `of` does. */
  any(workspaceId: string): Promise<Reference>;
  /** Nothing is sent there until it is heard of again. */
  gone(place: Place): Promise<void>;
  /** The app was removed there, or from all of that team. @returns whether the organisation has it nowhere any more. */
  removed(place: Place, teamId?: string): Promise<boolean>;
  /** Of the organisation, with a way to each. */
  teams(
    workspaceId: string,
  ): Promise<readonly { readonly id: string; readonly name: string; readonly by: Reference }[]>;
}

const KEPT = 10_000;

export function createReferences(store: ReferenceStore): References {
  const known = new Map<string, Reference>();
  const gone = new Set<string>();
  const latest = new Map<string, Reference>();
  const nameOf = ({ workspaceId, ref }: ThreadRef) => `${workspaceId} ${ref}`;
  const remember = (name: string, reference: Reference) => {
    if (known.size >= KEPT) known.clear();
    known.set(name, reference);
  };

  async function any(workspaceId: string): Promise<Reference> {
    const found = latest.get(workspaceId) ?? read(await store.latest(workspaceId));
    if (!found) throw notThere();
    latest.set(workspaceId, found);
    return found;
  }

  const left = (thread: ThreadRef) => {
    known.delete(nameOf(thread));
    gone.add(nameOf(thread));
  };

  async function keptOf(thread: ThreadRef): Promise<Reference | undefined> {
    const kept = await store.find(thread);
    return typeof kept === 'object' ? read(kept.text) : undefined;
  }

  return {
    any,
    async heard(thread, given, { isKnown = false } = { isKnown: false }) {
      const name = nameOf(thread);
      const before = known.get(name) ?? (await keptOf(thread));
      if (isKnown && !before) return;
      // Not every activity of a channel says which team it is of.
      const { teamId, teamName } = before ?? {};
      const reference: Reference = { ...(teamId === undefined ? {} : { teamId, teamName }), ...given };
      gone.delete(name);
      latest.set(thread.workspaceId, reference);
      const text = JSON.stringify(reference);
      if (JSON.stringify(known.get(name)) === text) return;
      if (await store.keep(thread, text)) remember(name, reference);
    },
    async of(place) {
      const thread = threadRef(place);
      const name = nameOf(thread);
      if (gone.has(name)) throw notThere();
      const remembered = known.get(name);
      if (remembered) return remembered;
      const kept = await store.find(thread);
      if (kept === 'forgotten') throw notThere();
      const found = read(kept?.text);
      if (found) {
        remember(name, found);
        return found;
      }
      // One that we began ourselves: the organisation's other conversations have the same address.
      const { serviceUrl, botId, botName } = await any(place.workspaceId);
      const { conversationId, scope, workspaceId: tenantId } = place;
      return { serviceUrl, botId, botName, conversationId, scope, tenantId };
    },
    async gone(place) {
      const thread = threadRef(place);
      left(thread);
      await store.forget(thread);
    },
    async removed(place, teamId) {
      const { workspaceId } = place;
      const base = withoutThread(place.conversationId);
      const there = (await store.all(workspaceId)).filter(({ text }) => {
        const found = read(text);
        const isOfTeam = teamId !== undefined && found?.teamId === teamId;
        return found !== undefined && (isOfTeam || withoutThread(found.conversationId) === base);
      });
      const threads = [threadRef(place), ...there.map(({ thread }) => thread)];
      for (const thread of threads) left(thread);
      latest.delete(workspaceId);
      return store.remove(workspaceId, threads);
    },
    async teams(workspaceId) {
      const found = new Map<string, { id: string; name: string; by: Reference }>();
      for (const { text } of await store.all(workspaceId)) {
        const by = read(text);
        if (by?.teamId === undefined) continue;
        const { name } = found.get(by.teamId) ?? { name: '' };
        found.set(by.teamId, { id: by.teamId, name: name || (by.teamName ?? ''), by });
      }
      return [...found.values()];
    },
  };
}

function read(text: string | undefined): Reference | undefined {
  if (text === undefined) return undefined;
  try {
    return stored.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** The place of a conversation that a reference names. */
export function placeIn({ tenantId: workspaceId, scope, conversationId }: Reference): Place {
  const place = { workspaceId, scope, conversationId };
  placeOf(threadRef(place));
  return place;
}
