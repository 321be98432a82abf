import type { IncomingMessage } from 'node:http';
import { isEverybodys } from '../../core/console/listing.ts';
import type { Session } from '../../core/console/sessions.ts';
import { customerId as asCustomerId } from '../../core/ids.ts';
import type { ConsoleDeps } from './routes.ts';
import { sessionToken } from './session.ts';

/**
 * Whose session the cookie of a request for the live stream is. A page is told there that something happened, and asks for it by
 * its own route, where everything is held to the rules of pages.
 */
export function consoleCallers({ sessions, desk, publicUrl }: Pick<ConsoleDeps, 'sessions' | 'desk' | 'publicUrl'>) {
  const asking = new Set<string>();
  /** Not waited for: a platform that takes its time keeps nobody else's connection open. What it says is on the session soon. */
  const endIfGone = async (session: Session): Promise<void> => {
    if (asking.has(session.id)) return;
    asking.add(session.id);
    try {
      if ((await desk.standing(session.member.person)) === 'gone') await sessions.leave(session);
    } catch {
      // The database is away, and the next look asks again.
    } finally {
      asking.delete(session.id);
    }
  };
  return {
    async admit(request: IncomingMessage) {
      const token = sessionToken(request, publicUrl());
      const session = token === undefined ? undefined : await sessions.find(token, false);
      if (!session || (await desk.standing(session.member.person)) !== 'member') return undefined;
      const requester = requesterOf(session);
      const sees = requester === undefined ? {} : { requester };
      return { customerId: session.customerId, key: keyOf(session), isPage: true as const, ...sees };
    },
    async stillGood(keys: readonly string[]): Promise<ReadonlySet<string>> {
      const good = await sessions.stillGood(keys.map(readKey));
      for (const session of good) void endIfGone(session);
      return new Set(good.map(keyOf));
    },
  };
}

/** Of whose operations alone they may hear; `undefined`: of everybody's. */
function requesterOf({ member }: Session): string | undefined {
  return isEverybodys(member) ? undefined : member.personId;
}

/** With what they may hear of: whoever turns out to be somebody else, or has another role, is let go, and comes back as who they are. */
function keyOf(session: Session): string {
  return `console ${session.customerId} ${session.id} ${requesterOf(session) ?? 'everybody'}`;
}

function readKey(key: string): Pick<Session, 'customerId' | 'id'> {
  const [, customerId = '', id = ''] = key.split(' '); // as written above
  return { customerId: asCustomerId(customerId), id };
}
