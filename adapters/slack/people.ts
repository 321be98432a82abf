import { z } from 'zod';
import type { Group, Person, Standing } from '../../core/ports/chat.ts';
import type { Api } from './api.ts';
import { codeOf, slackError, unknownReference } from './errors.ts';
import type { Self } from './events.ts';
import { slackPerson } from './thread.ts';

const NAME_MS = 300_000;
const NAMES = 5_000;
/** Of the second within which an event is to be acknowledged. */
const ACTOR_MS = 600;
/** How old an answer may be to who is in a group; who was taken out of it decides nothing after that. */
const GROUP_MS = 15_000;
const PAGE = 200; // docs.slack.dev, users.list: "no more than 200 results at a time"

/** Slack's words where there is no such group, or we may not see any. */
const NO_GROUP: readonly string[] = ['missing_scope', 'no_such_subteam', 'subteam_not_found', 'invalid_arguments'];

const member = z.looseObject({
  id: z.string(),
  team_id: z.string().optional(),
  name: z.string().default(''),
  real_name: z.string().optional(),
  /** IANA name. */
  tz: z.string().optional(),
  deleted: z.boolean().default(false),
  is_bot: z.boolean().default(false),
  is_restricted: z.boolean().default(false),
  is_ultra_restricted: z.boolean().default(false),
  is_stranger: z.boolean().default(false),
  is_primary_owner: z.boolean().default(false),
  /** In an organisation (Enterprise Grid): which one, and in which of its workspaces. */
  enterprise_user: z.looseObject({ enterprise_id: z.string(), teams: z.array(z.string()).default([]) }).optional(),
  profile: z.looseObject({ display_name: z.string().optional(), real_name: z.string().optional() }).default({}),
});
const userGroup = z.looseObject({
  id: z.string(),
  name: z.string(),
  handle: z.string().default(''),
  date_delete: z.number().default(0),
});
type Member = z.infer<typeof member>;

/** Who somebody is, by Slack's own word. */
export interface People {
  person(userId: string): Promise<Person>;
  /** The same for somebody who has just acted: by the name that came along where Slack can't be asked right now. */
  actor(userId: string, userName: string | undefined): Promise<Person>;
  standing(person: Person, group?: string): Promise<Standing>;
  /** As their Slack is set. A form waits for it: where Slack can't be asked just now, it is not known. */
  timeZone(person: Person): Promise<string | undefined>;
  /** Those that are in use, by name. Without the scope, none. */
  groups(): Promise<readonly Group[]>;
  /** Whoever owns the workspace. `undefined`: Slack names nobody. */
  primaryOwner(): Promise<Person | undefined>;
}

export function createPeople(api: Api, self: () => Self): People {
  const inGroups = new Map<string, { readonly users: ReadonlySet<string>; readonly until: number }>();
  let named: { readonly groups: readonly Group[]; readonly until: number } | undefined;
  const names = new Map<string, { readonly name: string; readonly until: number }>();

  async function info(userId: string, isQuick = false): Promise<Member> {
    const { user } = await api.raw('users.info', (client) => client.users.info({ user: userId }), { isQuick });
    return member.parse(user);
  }

  function keep({ id, profile, real_name, name }: Member): Person {
    const shown = profile.display_name || real_name || profile.real_name || name || id;
    if (names.size >= NAMES) names.clear();
    names.set(id, { name: shown, until: performance.now() + NAME_MS });
    return personOf(id, shown);
  }

  function personOf(userId: string, name: string): Person {
    return { platform: 'slack', workspaceId: self().workspaceId, userId, name };
  }

  function known(userId: string): Person | undefined {
    const found = names.get(userId);
    return found && found.until > performance.now() ? personOf(userId, found.name) : undefined;
  }

  async function person(userId: string): Promise<Person> {
    try {
      return known(userId) ?? keep(await info(userId));
    } catch (error) {
      throw slackError(error, 'users.info');
    }
  }

  async function actor(userId: string, userName: string | undefined): Promise<Person> {
    const at = known(userId);
    if (at) return at;
    const otherwise = personOf(userId, names.get(userId)?.name ?? userName ?? userId);
    // An answer that comes later is kept for the next time.
    const asked = info(userId, true).then(keep, () => otherwise);
    const timer = Promise.withResolvers<Person>();
    const late = setTimeout(() => timer.resolve(otherwise), ACTOR_MS);
    const found = await Promise.race([asked, timer.promise]);
    clearTimeout(late);
    return found;
  }

  async function standing(of: Person, group?: string): Promise<Standing> {
    const { userId, workspaceId } = slackPerson(of);
    if (workspaceId !== self().workspaceId) return { kind: 'unknown' };
    const found = await asked(userId);
    if (!found || found.deleted || found.is_bot || userId === 'USLACKBOT') return { kind: 'unknown' };
    if (isForeign(found, self()) || found.is_restricted || found.is_ultra_restricted) return { kind: 'guest' };
    return { kind: 'member', isInGroup: group === undefined ? false : await isIn(userId, group) };
  }

  async function timeZone(of: Person): Promise<string | undefined> {
    const userId = ownUserId(of, self());
    return info(userId, true).then(
      ({ tz }) => tz,
      () => undefined,
    );
  }

  async function asked(userId: string): Promise<Member | undefined> {
    try {
      return await info(userId);
    } catch (error) {
      if (codeOf(error) === 'user_not_found' || codeOf(error) === 'user_not_visible') return undefined;
      throw slackError(error, 'users.info');
    }
  }

  /**
   * Who may not be seen in a group is not in it: without the scope, or with a group that is gone, nobody is. Who is in one is
   * remembered for as short as Slack's rate allows: it takes 20 questions a minute.
   */
  async function isIn(userId: string, group: string): Promise<boolean> {
    const known = inGroups.get(group);
    if (known && known.until > performance.now()) return known.users.has(userId);
    const users = new Set<string>();
    // The token of an organisation has to say which of its workspaces it asks about.
    for (const team of self().isOrgWide ? await teams() : [{}])
      for (const user of await usersOf(group, team)) users.add(user);
    if (users.size > 0) inGroups.set(group, { users, until: performance.now() + GROUP_MS });
    return users.has(userId);
  }

  async function usersOf(usergroup: string, team: { readonly team_id?: string }): Promise<readonly string[]> {
    try {
      const { users = [] } = await api.raw('usergroups.users.list', (client) =>
        client.usergroups.users.list({ usergroup, ...team }),
      );
      return users;
    } catch (error) {
      if (NO_GROUP.includes(codeOf(error) ?? '')) return [];
      throw slackError(error, 'usergroups.users.list');
    }
  }

  /** A form waits for it, and its trigger does not. */
  async function groups(): Promise<readonly Group[]> {
    if (named && named.until > performance.now()) return named.groups;
    try {
      const listed: unknown[] = [];
      for (const team of self().isOrgWide ? await teams() : [{}]) {
        const page = await api.raw('usergroups.list', (client) => client.usergroups.list(team), { isQuick: true });
        listed.push(...(page.usergroups ?? []));
      }
      const found = z
        .array(userGroup)
        .parse(listed)
        .filter(({ date_delete }) => date_delete === 0)
        .map(({ id, name, handle }) => ({ id, name: handle ? `${name} (@${handle})` : name }));
      named = { groups: found, until: performance.now() + NAME_MS };
      return found;
    } catch (error) {
      if (codeOf(error) === 'missing_scope') return [];
      throw slackError(error, 'usergroups.list');
    }
  }

  /** The workspaces of an organisation that we may be in, at most 100 of them. */
  async function teams(): Promise<readonly { team_id: string }[]> {
    const { teams: found = [] } = await api.raw('auth.teams.list', (client) => client.auth.teams.list({ limit: 100 }));
    return found.flatMap(({ id }) => (id === undefined ? [] : [{ team_id: id }]));
  }

  async function primaryOwner(): Promise<Person | undefined> {
    for (let cursor = ''; ; ) {
      const page = await api.call('users.list', (client) =>
        client.users.list({ limit: PAGE, ...(cursor === '' ? {} : { cursor }) }),
      );
      const owner = z
        .array(member)
        .parse(page.members ?? [])
        .find(({ is_primary_owner }) => is_primary_owner);
      if (owner) return keep(owner);
      cursor = page.response_metadata?.next_cursor ?? '';
      if (cursor === '') return undefined;
    }
  }

  return { person, actor, standing, timeZone, groups, primaryOwner };
}

function isForeign(
  { is_stranger, team_id, enterprise_user: within }: Member,
  { workspaceId, isOrgWide }: Self,
): boolean {
  if (is_stranger) return true;
  if (isOrgWide) return within?.enterprise_id !== workspaceId;
  return team_id !== undefined && team_id !== workspaceId && !within?.teams.includes(workspaceId);
}

/** @throws CountersignError for somebody of another workspace than ours. */
export function ownUserId(person: Person, { workspaceId }: Self): string {
  if (slackPerson(person).workspaceId !== workspaceId) throw unknownReference('person');
  return person.userId;
}
