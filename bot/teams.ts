import type { Card, Chat, ChatEvent, MessageRef, Person, Platform } from '../core/ports/chat.ts';
import { type Redact, redactAll, redactedChat, redactedReply } from '../core/redacted-ports.ts';
import { welcomeInstaller } from './approvers-flow.ts';
import type { Context } from './context.ts';
import { converse } from './conversation.ts';
import { isLinkOf } from './credential-flow.ts';
import type { Foundation } from './foundation.ts';
import type { ConnectedChat } from './platforms.ts';
import { createReception } from './reception.ts';
import { finishTeamsRemovals } from './teams-references.ts';

/** Teams, as its adapter opens it. */
export interface OpenedTeams extends Omit<ConnectedChat, 'start'> {
  start(hooks: { installed(by: Person): Promise<void>; removed(workspaceId: string): Promise<void> }): Promise<void>;
}

/** How often what a removal of the app left to do is looked for, in case the process that heard of it is gone. */
const REMOVALS_MS = 10 * 60_000;

/** From now on what people say there. Whoever adds the app to an organisation first becomes its first admin. */
export async function startTeams(
  chat: OpenedTeams,
  context: Context,
  { directory, inbox, redact, log, drainMs }: Foundation & { readonly drainMs: number },
  chats: Map<Platform, Chat>,
  ending: (() => Promise<unknown>)[],
): Promise<void> {
  chats.set('teams', redactedChat(chat, redact));
  const converseRedacted = async (event: ChatEvent) => redactedReply(await converse(context, event), redact);
  const reception = createReception({ inbox, directory, log, chat: context.chat, converse: converseRedacted });
  ending.push(() => reception.stop(drainMs));
  ending.push(() => chat.stop());
  chat.listen(reception.listen);
  let finishing = Promise.resolve();
  // Nobody waits for it, least of all Teams.
  const finish = async () => {
    finishing = finishing
      .then(() => finishTeamsRemovals(context))
      .catch((err: unknown) => log.warn({ err }, 'Teams: what a removal leaves to do is done later'));
  };
  ending.push(() => finishing);
  const timer = setInterval(finish, REMOVALS_MS);
  timer.unref();
  ending.push(async () => clearInterval(timer));
  await chat.start({ installed: (by) => install(context, by), removed: finish });
  await finish();
  reception.start();
}

async function install(context: Context, by: Person): Promise<void> {
  const { workspaceId } = by;
  const { directory, customers, database, audit, log } = context;
  if (await directory.customerOfWorkspace('teams', workspaceId)) return;
  // Teams lets guests add apps here and there.
  const { kind: standing } = await context.chat('teams').standing(by);
  if (standing !== 'member') {
    log.warn({ workspaceId, standing }, 'Teams: whoever added the app first is no member of the organisation');
    return;
  }
  const name = `Microsoft 365 ${workspaceId.slice(0, 8)}`;
  const customerId = await customers.install({ platform: 'teams', workspaceId, name }, by);
  log.info({ workspaceId, admin: by.userId }, 'Teams: the organisation is new, and this is its first admin');
  const admin = await database.withCustomer(customerId, async (tx) => {
    const member = await customers.member(tx, customerId, by);
    const payload = { platform: 'teams', workspaceId, how: 'installed' } as const;
    await audit.append(tx, customerId, { kind: 'workspace.installed', actor: member.id, payload });
    return member;
  });
  // Whoever it does not reach is asked with the first request.
  await welcomeInstaller(context, customerId, admin).catch((err: unknown) =>
    log.warn({ err, customerId }, 'Teams: whoever added the app could not be written to'),
  );
}

/** What a message shows by what is on record, with no secret in it, as everything that is said. */
export async function cardOnRecord(
  { directory, progress }: Context,
  redact: Redact,
  message: MessageRef,
): Promise<Card | undefined> {
  const customerId = await directory.customerOfWorkspace('teams', message.thread.workspaceId);
  const card = customerId && (await progress.cardOf(customerId, message));
  return card && redactAll(card, redact);
}

/** A link to the one-time page for the newest request of theirs that waits for what they enter; `undefined`: none does. */
export async function signInToken(context: Context, person: Person): Promise<string | undefined> {
  const customerId = await context.directory.customerOfWorkspace('teams', person.workspaceId);
  return (
    customerId &&
    context.database.withCustomer(customerId, async (tx) => {
      const member = await context.customers.member(tx, customerId, person);
      // The newest first.
      const operation = (await context.operations.open(tx, customerId)).find(
        (one) => one.state === 'awaiting_credentials' && isLinkOf(one, member),
      );
      if (!operation) return undefined;
      const { id: operationId } = operation;
      const link = { purpose: 'credentials', operationId, memberId: member.id } as const;
      const { token } = await context.links.issue(tx, customerId, link);
      await context.audit.append(tx, customerId, {
        ...{ kind: 'credentials.asked', operationId },
        payload: { from: member.id },
      });
      return token;
    })
  );
}
