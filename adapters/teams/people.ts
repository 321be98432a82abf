import type { Person, Standing } from '../../core/ports/chat.ts';
import type { Api, ConnectorMember } from './api.ts';
import { unknownReference } from './errors.ts';
import { LIMITS } from './limits.ts';
import { type Place, teamsPerson } from './thread.ts';

/** Who somebody is, by Teams' own word. */
export interface People {
  /** Somebody acted there just now. */
  seen(person: Person, accountId: string, place: Place): void;
  person(workspaceId: string, userId: string): Promise<Person>;
  standing(person: Person): Promise<Standing>;
  /** Of a conversation, as far as a form can list them. */
  roster(place: Place): Promise<{ readonly people: readonly Person[]; readonly hasMore: boolean }>;
  /** The chat with them alone; begun where there is none. @throws CountersignError `chat_unavailable`. */
  directChat(person: Person): Promise<Place>;
}

const KEPT = 10_000;

export function createPeople(api: Api): People {
  /** By person: what the Connector calls them, what they are called, where they acted last, and the chat with them. */
  const known = new Map<string, { accountId?: string; name?: string; place?: Place; direct?: Place }>();
  const keyOf = (workspaceId: string, userId: string) => `${workspaceId} ${userId}`;

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
    const userId = aadObjectId ?? objectId ?? id;
    return { platform: 'teams', workspaceId, userId, name: name || userId };
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
      const { accountId = of.userId } = known.get(keyOf(of.workspaceId, of.userId)) ?? {};
      const isThem =
        found && [found.id, found.aadObjectId, found.objectId].some((id) => id === of.userId || id === accountId);
      if (!isThem) return { kind: 'unknown' };
      return isGuest(found, of.workspaceId) ? { kind: 'guest' } : { kind: 'member', isInGroup: false };
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

/** Of another organisation, or invited into this one (learn.microsoft.com: guests' names in the directory hold `#EXT#`). */
function isGuest({ tenantId, userRole, userPrincipalName }: ConnectorMember, workspaceId: string): boolean {
  if (tenantId && tenantId.toLowerCase() !== workspaceId.toLowerCase()) return true;
  return userRole === 'guest' || userRole === 'anonymous' || (userPrincipalName ?? '').includes('#EXT#');
}
