import type { Database, Transaction } from '../core/database.ts';
import type { Directory } from '../core/directory.ts';
import type { CustomerId } from '../core/ids.ts';
import type { ThreadState, Threads } from '../core/operations/threads.ts';
import type { Chat, ChatEvent, Person, Platform, ThreadRef } from '../core/ports/chat.ts';
import { redactedChat, redactedReply } from '../core/redacted-ports.ts';
import { welcomeInstaller } from './approvers-flow.ts';
import type { Context } from './context.ts';
import { converse } from './conversation.ts';
import type { Foundation } from './foundation.ts';
import type { ConnectedChat } from './main.ts';
import { createReception } from './reception.ts';

/** Teams, as its adapter opens it. */
export interface OpenedTeams extends Omit<ConnectedChat, 'start'> {
  start(hooks: { installed(by: Person): Promise<void> }): Promise<void>;
}

/** Among a thread's messages: how its conversation is reached, as the adapter wrote it. */
const SLOT = 'reference';

/** Conversations kept with their threads, since Teams says only in passing how one is reached. */
export function createTeamsReferences(deps: { database: Database; directory: Directory; threads: Threads }) {
  const { database, directory, threads } = deps;

  /** `undefined`: nobody installed it there. */
  async function within<T>(
    workspaceId: string,
    work: (tx: Transaction, customerId: CustomerId) => Promise<T>,
  ): Promise<T | undefined> {
    const customerId = await directory.customerOfWorkspace('teams', workspaceId);
    return customerId && database.withCustomer(customerId, (tx) => work(tx, customerId));
  }

  async function write(ref: ThreadRef, text: string): Promise<boolean> {
    const kept = await within(ref.workspaceId, async (tx, customerId) => {
      const thread: ThreadState = await threads.open(tx, customerId, ref);
      await threads.keepMessage(tx, customerId, thread, SLOT, { thread: ref, ref: text }, '');
      return true;
    });
    return kept ?? false;
  }

  return {
    keep: write,
    forget: async (ref: ThreadRef) => void (await write(ref, '')),
    async find({ platform, workspaceId, ref }: ThreadRef) {
      const row = await within(workspaceId, (tx, customerId) =>
        tx.threadMessage.findFirst({ where: { customerId, slot: SLOT, thread: { platform, workspaceId, ref } } }),
      );
      if (row?.ref === '') return 'forgotten' as const;
      return row ? { text: row.ref } : undefined;
    },
    async latest(workspaceId: string) {
      const row = await within(workspaceId, (tx, customerId) =>
        tx.threadMessage.findFirst({
          where: { customerId, slot: SLOT, ref: { not: '' }, thread: { platform: 'teams', workspaceId } },
          orderBy: { createdAt: 'desc' },
        }),
      );
      return row?.ref;
    },
  };
}

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
  await chat.start({ installed: (by) => install(context, by) });
  reception.start();
}

async function install(context: Context, by: Person): Promise<void> {
  const { workspaceId } = by;
  const { directory, customers, database, log } = context;
  if (await directory.customerOfWorkspace('teams', workspaceId)) return;
  const name = `Microsoft 365 ${workspaceId.slice(0, 8)}`;
  const customerId = await customers.install({ platform: 'teams', workspaceId, name }, by);
  log.info({ workspaceId, admin: by.userId }, 'Teams: the organisation is new, and this is its first admin');
  const admin = await database.withCustomer(customerId, (tx) => customers.member(tx, customerId, by));
  // Whoever it does not reach is asked with the first request.
  await welcomeInstaller(context, customerId, admin).catch((err: unknown) =>
    log.warn({ err, customerId }, 'Teams: whoever added the app could not be written to'),
  );
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
        ({ state, requester }) => state === 'awaiting_credentials' && requester.id === member.id,
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
