import { clip } from '../../core/plain-text.ts';
import type { Person, Standing } from '../../core/ports/chat.ts';
import { directoryId } from './activity.ts';
import type { Api, ConnectorMember } from './api.ts';
import { unknownReference } from './errors.ts';
import { LIMITS } from './limits.ts';
import { type Place, teamsPerson, withoutThread } from './thread.ts';

/** Who somebody is, by Teams' own word. */
export interface People {
  /** Somebody acted there just now. */
  seen(person: Person, accountId: string, place: Place): void;
  person(workspaceId: string, userId: string): Promise<Person>;
  standing(person: Person): Promise<Standing>;
  /** What the Connector calls them, as far as that is known, or the conversation's own list says so. */
  accountIds(place: Place, userIds: readonly string[]): Promise<readonly string[]>;
  /** Of a conversation, as far as a form can list them. */
  roster(place: Place): Promise<{ readonly people: readonly Person[]; readonly hasMore: boolean }>;
  /** The chat with them alone; begun where there is none. @throws CountersignError `chat_unavailable`. */
  directChat(person: Person): Promise<Place>;
}

const KEPT = 10_000;
/** Whom a conversation's list did not name is looked for there again after that time. */
const LISTED_MS = 10 * 60_000;
/** learn.microsoft.com, members of a conversation: at most so many a page. */
const PAGE = 500;

export function createPeople(api: Api): People {
  /** By person: what the Connector calls them, what they are called, where they acted last, and the chat with them. */
  const known = new Map<string, { accountId?: string; name?: string; place?: Place; direct?: Place }>();
  const keyOf = (workspaceId: string, userId: string) => `${workspaceId} ${userId}`;
  /** By conversation: until when it is not asked for its list again. */
  const listed = new Map<string, number>();

  function note(workspaceId: string, userId: string, more: Partial<NonNullable<ReturnType<typeof known.get>>>) {
    if (known.size >= KEPT) known.clear();
    const key = keyOf(workspaceId, userId);
    const all = { ...known.get(key), ...more };
    known.set(key, all);
    return all;
  }

  async function directChat(person: Person): Promise<Place> {
    const { workspaceId, userId } = teamsPerson(person);
    const found = known.get(keyOf(workspaceId, userId));
    if (found?.direct) return found.direct;
    // A conversation is begun with the Connector's own id, which another process may have heard.
    const accountId = found?.accountId ?? (await api.accountId(workspaceId, userId)) ?? userId;
    const direct = await api.directConversation(workspaceId, accountId);
    note(workspaceId, userId, { direct, accountId });
    return direct;
  }

  /** Where they acted last, since they are there; else in the chat with them. */
  async function ask(person: Person): Promise<ConnectorMember | undefined> {
    const found = known.get(keyOf(person.workspaceId, person.userId));
    return api.member(found?.place ?? (await directChat(person)), found?.accountId ?? person.userId);
  }

  function personOf(workspaceId: string, { id, aadObjectId, objectId, name }: ConnectorMember): Person {
    const userId = directoryId(aadObjectId ?? objectId ?? id);
    return { platform: 'teams', workspaceId, userId, name: clip(name || userId, LIMITS.name) };
  }

  return {
    directChat,
    seen({ workspaceId, userId, name }, accountId, place) {
      note(workspaceId, userId, { accountId, name, place, ...(place.scope === 'personal' ? { direct: place } : {}) });
    },
    async person(workspaceId, userId) {
      const name = known.get(keyOf(workspaceId, userId))?.name;
      const person: Person = { platform: 'teams', workspaceId, userId, name: name ?? userId };
      if (name !== undefined) return person;
      const found = await ask(person);
      if (!found) throw unknownReference('person');
      note(workspaceId, userId, { name: found.name ?? userId });
      return { ...person, name: found.name ?? userId };
    },
    async standing(of) {
      const found = await ask(teamsPerson(of));
      if (!found || !isThem(found, of, known.get(keyOf(of.workspaceId, of.userId))?.accountId))
        return { kind: 'unknown' };
      return isGuest(found, of.workspaceId) ? { kind: 'guest' } : { kind: 'member', isInGroup: false };
    },
    async accountIds(place, userIds) {
      const idOf = (userId: string) => known.get(keyOf(place.workspaceId, userId))?.accountId;
      const key = `${place.workspaceId} ${withoutThread(place.conversationId)}`;
      const now = performance.now();
      if (userIds.some((userId) => idOf(userId) === undefined) && now >= (listed.get(key) ?? 0)) {
        if (listed.size >= KEPT) listed.clear();
        listed.set(key, now + LISTED_MS);
        const { members } = await api.members(place, PAGE);
        for (const member of members)
          note(place.workspaceId, personOf(place.workspaceId, member).userId, { accountId: member.id });
      }
      return userIds.flatMap((userId) => idOf(userId) ?? []);
    },
    async roster(place) {
      const { members, hasMore } = await api.members(place, LIMITS.people);
      const people = members.filter((member) => !isGuest(member, place.workspaceId));
      for (const member of people) {
        const { userId, name } = personOf(place.workspaceId, member);
        note(place.workspaceId, userId, { accountId: member.id, name });
      }
      const listed = people.slice(0, LIMITS.people).map((member) => personOf(place.workspaceId, member));
      return { people: listed, hasMore: hasMore || people.length > LIMITS.people };
    },
  };
}

/** By the directory's id, wherever Teams says it: what the sender was called beside it is no proof of who they are. */
function isThem({ id, aadObjectId, objectId }: ConnectorMember, { userId }: Person, accountId: string | undefined) {
  const directory = aadObjectId ?? objectId;
  return directory ? directoryId(directory) === userId : id === userId || id === accountId;
}

/** Of another organisation, or invited into this one (learn.microsoft.com: guests' names in the directory hold `#EXT#`). */
function isGuest({ tenantId, userRole, userPrincipalName }: ConnectorMember, workspaceId: string): boolean {
  if (tenantId && tenantId.toLowerCase() !== workspaceId.toLowerCase()) return true;
  return userRole === 'guest' || userRole === 'anonymous' || (userPrincipalName ?? '').includes('#EXT#');
}
