import { z } from 'zod';
import type { ThreadRef } from '../../core/ports/chat.ts';
import type { Reference } from './activity.ts';
import { notThere } from './errors.ts';
import { type Place, placeOf, threadRef } from './thread.ts';

/** Where conversations are kept beyond this process, as text that nobody else reads. */
export interface ReferenceStore {
  /** In place of what was known. @returns whether it was kept: a workspace that nobody installed keeps nothing. */
  keep(thread: ThreadRef, text: string): Promise<boolean>;
  /** `forgotten`: we were removed from it. */
  find(thread: ThreadRef): Promise<{ readonly text: string } | 'forgotten' | undefined>;
  /** That of any conversation of the workspace, the newest first. */
  latest(workspaceId: string): Promise<string | undefined>;
  forget(thread: ThreadRef): Promise<void>;
}

const stored = z.object({
  ...{ serviceUrl: z.url(), conversationId: z.string(), tenantId: z.string() },
  ...{ scope: z.enum(['personal', 'group', 'channel']), botId: z.string(), botName: z.string() },
}) satisfies z.ZodType<Reference>;

/** How each conversation is reached: as it was heard of last, by this process or another one. */
export interface References {
  heard(thread: ThreadRef, reference: Reference): Promise<void>;
  /** @throws CountersignError when Teams never told us of it, or has told us that we are not there. */
  of(place: Place): Promise<Reference>;
  /** Of the organisation, for conversations that we begin. @throws CountersignError as `of` does. */
  any(workspaceId: string): Promise<Reference>;
  /** Nothing is sent there until it is heard of again. */
  gone(place: Place): Promise<void>;
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

  return {
    any,
    async heard(thread, reference) {
      const name = nameOf(thread);
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
      known.delete(nameOf(thread));
      gone.add(nameOf(thread));
      await store.forget(thread);
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
