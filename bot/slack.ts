import { CountersignError } from '../core/errors.ts';
import type { Chat, ChatEvent, Person, Platform } from '../core/ports/chat.ts';
import { redactedChat, redactedReply } from '../core/redacted-ports.ts';
import type { Config } from './config.ts';
import type { Context } from './context.ts';
import { converse } from './conversation.ts';
import type { Foundation } from './foundation.ts';
import type { ConnectedChat } from './platforms.ts';
import { createReception } from './reception.ts';

interface Workspace {
  readonly workspaceId: string;
  readonly name: string;
}

/** One workspace by its bot token; `start` says which, before anything of it is heard. */
interface OneWorkspace extends Omit<ConnectedChat<Workspace>, 'start'> {
  start(prepare: (workspace: Workspace) => Promise<void>): Promise<Workspace>;
  primaryOwner(): Promise<Person | undefined>;
}

/** Slack as it was configured. */
export type OpenedSlack =
  | {
      readonly ways: 'one';
      readonly kind: 'http' | 'socket';
      readonly firstAdmin?: string;
      readonly chat: OneWorkspace;
    }
  | { readonly ways: 'many'; readonly chat: ConnectedChat };

/** How often what a removal of Slack left to do is looked for, in case the process that did it is gone. */
const REMOVALS_MS = 60_000;

/** From now on what people say there; what an uninstalled workspace left to do is done. */
export async function startSlack(
  slack: OpenedSlack,
  { http }: Config,
  context: Context,
  { directory, inbox, redact, log, installations, drainMs }: Foundation & { readonly drainMs: number },
  chats: Map<Platform, Chat>,
  ending: (() => Promise<unknown>)[],
): Promise<void> {
  const { chat } = slack;
  chats.set('slack', redactedChat(chat, redact));
  const converseRedacted = async (event: ChatEvent) => redactedReply(await converse(context, event), redact);
  const reception = createReception({ inbox, directory, log, chat: context.chat, converse: converseRedacted });
  ending.push(() => reception.stop(drainMs));
  ending.push(() => chat.stop());
  chat.listen(reception.listen);
  const finish = () =>
    installations.finishRemovals().catch((err: unknown) => log.warn({ err }, 'a removal could not be finished yet'));
  await finish();
  const timer = setInterval(finish, REMOVALS_MS);
  timer.unref();
  ending.push(async () => clearInterval(timer));
  if (slack.ways === 'one') await startWorkspace(slack, context);
  else {
    await slack.chat.start();
    const install = `${http.publicUrl}/slack/install`;
    log.info({ way: 'many workspaces by OAuth', install }, 'Slack is connected');
  }
  reception.start();
}

/** Who Slack says we are, and its first admin the first time. */
async function startWorkspace(
  { chat, kind, firstAdmin }: Extract<OpenedSlack, { ways: 'one' }>,
  { directory, customers, log }: Context,
): Promise<void> {
  const workspace = await chat.start(async ({ workspaceId, name }) => {
    if (await directory.customerOfWorkspace('slack', workspaceId)) return;
    const admin = firstAdmin ? await chat.person(workspaceId, firstAdmin) : await chat.primaryOwner();
    if (!admin)
      throw new CountersignError(
        'config_invalid',
        'Slack names no Primary Owner of this workspace: set SLACK_FIRST_ADMIN to the id of whoever shall be the first admin.',
      );
    await customers.install({ platform: 'slack', workspaceId, name }, admin);
    log.info({ workspaceId, admin: admin.userId }, 'Slack: the workspace is new, and this is its first admin');
  });
  const way = kind === 'http' ? 'one workspace over HTTP' : 'one workspace in Socket Mode';
  log.info({ way, workspaceId: workspace.workspaceId }, 'Slack is connected');
}
