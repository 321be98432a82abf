import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import type { SharedLimits } from '../../core/limits.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Reference } from './activity.ts';
import { type AdaptiveCard, attachmentOf } from './elements.ts';
import { Refused, teamsError, tooMany } from './errors.ts';
import { linesFor } from './limits.ts';
import { placeIn, type References } from './references.ts';
import { type Place, withoutThread } from './thread.ts';

/** The Connector's calls, by whichever library; none of them is repeated there. @throws Refused, or what a network throws. */
export interface Connector {
  /** @returns the new activity's id. */
  send(to: Reference, activity: OutgoingActivity): Promise<string>;
  update(to: Reference, activityId: string, activity: OutgoingActivity): Promise<void>;
  /** @returns the conversation's id: the same one whenever the same person is asked for. */
  createConversation(to: Reference, memberId: string): Promise<string>;
  /** As the Connector answers; `userId` is the directory's id or the Connector's own. */
  member(to: Reference, conversationId: string, userId: string): Promise<unknown>;
  members(to: Reference, conversationId: string, most: number): Promise<unknown>;
  /** Those of a team, as the Connector answers; the first one has no name. */
  channels(to: Reference, teamId: string): Promise<unknown>;
}

export interface OutgoingActivity {
  readonly type: 'message' | 'typing';
  /** The notification, and what a screen reader hears. */
  readonly summary?: string;
  readonly attachments?: readonly { readonly contentType: string; readonly content: AdaptiveCard }[];
}

const memberSchema = z.looseObject({
  id: z.string(),
  name: z.string().nullish(),
  aadObjectId: z.string().nullish(),
  objectId: z.string().nullish(),
  tenantId: z.string().nullish(),
  userRole: z.string().nullish(),
  userPrincipalName: z.string().nullish(),
});
export type ConnectorMember = z.infer<typeof memberSchema>;
const page = z.looseObject({ members: z.array(memberSchema).default([]), continuationToken: z.string().nullish() });

const channelPage = z.looseObject({
  conversations: z.array(z.looseObject({ id: z.string(), name: z.string().nullish() })).default([]),
});

export interface Api {
  send(place: Place, card: AdaptiveCard, summary: string, how?: How): Promise<string>;
  update(place: Place, activityId: string, card: AdaptiveCard, summary: string, how?: How): Promise<void>;
  /** Shows that an answer is coming; it is left out where anything else waits. */
  typing(place: Place): Promise<void>;
  directConversation(workspaceId: string, memberId: string): Promise<Place>;
  /** What the Connector calls somebody, where they are in the conversation that was heard of last; else `undefined`. */
  accountId(workspaceId: string, userId: string): Promise<string | undefined>;
  /** `undefined`: nobody of that conversation. */
  member(place: Place, userId: string): Promise<ConnectorMember | undefined>;
  members(
    place: Place,
    most: number,
  ): Promise<{ readonly members: readonly ConnectorMember[]; readonly hasMore: boolean }>;
  /** Of a team that `to` is in; one without a name is the team's first. */
  channels(to: Reference, teamId: string): Promise<readonly { readonly id: string; readonly name: string }[]>;
  /** Books the next place in line. @returns the milliseconds until then. */
  place(place: Place, isEdit: boolean): Promise<number>;
}

export interface How {
  /** Its place in line was booked before, and its time has come. */
  readonly hasPlace?: boolean | undefined;
}

/** Whoever would wait longer comes back later. */
const LONGEST_WAIT_MS = 45_000;
/** Teams' own trouble: tried again after about 0.5 s, 1 s and 2 s, or as late as Teams asks for within that. */
const TRIES = 4;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5_000;

export interface ApiDeps {
  readonly connector: Connector;
  readonly references: References;
  readonly line: Pick<SharedLimits, 'book'>;
  readonly log: Log;
}

/** Calls of the Connector within Teams' rates, repeated while Teams says that this may help. */
export function createApi({ connector, references, line, log }: ApiDeps): Api {
  async function book(place: Place, isEdit: boolean): Promise<number> {
    let longest = 0;
    for (const limit of linesFor(place.workspaceId, place.conversationId, isEdit))
      longest = Math.max(longest, await line.book(limit));
    return longest;
  }

  async function untilPlaced(place: Place, isEdit: boolean): Promise<void> {
    const ms = await book(place, isEdit);
    if (ms > LONGEST_WAIT_MS) throw tooMany(ms);
    if (ms > 0) await wait(ms);
  }

  /** @throws CountersignError `chat_unavailable`. */
  async function call<T>(what: string, place: Place, run: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await run();
      } catch (error) {
        const refused = error instanceof Refused ? error : undefined;
        if (refused?.isGone) await references.gone(place);
        const asked = refused?.retryAfterMs ?? 0;
        const mayHelp = refused?.isPassing && tries < TRIES && asked <= LONGEST_PAUSE_MS;
        if (!mayHelp) throw teamsError(error, what);
        // By chance, so that many who were refused at once don't come back at once.
        const pauseMs = FIRST_PAUSE_MS * 2 ** (tries - 1) * (0.5 + Math.random());
        log.debug({ what, status: refused?.status, tries }, 'teams: a call is tried again');
        await wait(Math.max(asked, pauseMs));
      }
    }
  }

  const message = (card: AdaptiveCard, summary: string): OutgoingActivity => ({
    ...{ type: 'message', summary, attachments: [attachmentOf(card)] },
  });

  async function member(place: Place, userId: string): Promise<ConnectorMember | undefined> {
    const to = await references.of(place);
    try {
      return memberSchema.parse(await connector.member(to, withoutThread(place.conversationId), userId));
    } catch (error) {
      if (error instanceof Refused && (error.status === 404 || error.status === 403 || error.status === 400))
        return undefined;
      throw teamsError(error, 'who somebody is');
    }
  }

  return {
    place: book,
    member,
    async accountId(workspaceId, userId) {
      return (await member(placeIn(await references.any(workspaceId)), userId))?.id;
    },
    async send(place, card, summary, { hasPlace } = {}) {
      const to = await references.of(place);
      if (!hasPlace) await untilPlaced(place, false);
      return call('a message', place, () => connector.send(to, message(card, summary)));
    },
    async update(place, activityId, card, summary, { hasPlace } = {}) {
      const to = await references.of(place);
      if (!hasPlace) await untilPlaced(place, true);
      await call('an edit', place, () => connector.update(to, activityId, message(card, summary)));
    },
    async typing(place) {
      if ((await book(place, false)) > 0) return;
      await connector.send(await references.of(place), { type: 'typing' });
    },
    async directConversation(workspaceId, memberId) {
      const to = await references.any(workspaceId);
      const id = await call('a chat', placeIn(to), () => connector.createConversation(to, memberId));
      return { workspaceId, scope: 'personal', conversationId: id };
    },
    async members(place, most) {
      const to = await references.of(place);
      const what = 'who is in the conversation';
      const read = page.parse(
        await call(what, place, () => connector.members(to, withoutThread(place.conversationId), most)),
      );
      return { members: read.members, hasMore: Boolean(read.continuationToken) };
    },
    async channels(to, teamId) {
      const answer = await call('the channels of a team', placeIn(to), () => connector.channels(to, teamId));
      return channelPage.parse(answer).conversations.map(({ id, name }) => ({ id, name: name || 'General' }));
    },
  };
}
