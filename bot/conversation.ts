import { isOurs, isOverheard } from '../core/inbox.ts';
import type { ChatEvent, ChatReply } from '../core/ports/chat.ts';
import { press } from './action-flow.ts';
import { command } from './command-flow.ts';
import { stopThread } from './commands/stop.ts';
import type { Context, Scene } from './context.ts';
import { followEdit } from './edit-flow.ts';
import { submit } from './form-flow.ts';
import { showHome } from './home.ts';
import { hear } from './message-flow.ts';
import { hearClip } from './voice-flow.ts';

/** One incoming message, command, button or form → the flow that answers it. */
export async function converse(context: Context, event: ChatEvent): Promise<ChatReply> {
  const scene = await enter(context, event);
  if (!scene) return undefined;
  switch (event.kind) {
    case 'message':
      if (event.clip !== undefined) return hearClip(context, scene, event);
      await hear(context, scene, event);
      return undefined;
    case 'command':
      await command(context, scene, event);
      return undefined;
    case 'action':
      await press(context, scene, event);
      return undefined;
    case 'form':
      return submit(context, scene, event);
    case 'edit':
      await followEdit(context, scene, event);
      return undefined;
    case 'stop':
      await stopThread(context, scene, event);
      return undefined;
    case 'home':
      await showHome(context, scene.customerId, scene.member, event);
      return undefined;
    default:
      return event satisfies never;
  }
}

/** Who speaks, and where. A workspace that nobody installed gets no answer, and what is said to others is heard in our threads only. */
async function enter(context: Context, event: ChatEvent): Promise<Scene | undefined> {
  const customerId = await context.directory.customerOfWorkspace(event.thread.platform, event.thread.workspaceId);
  if (!customerId) {
    context.log.warn({ platform: event.thread.platform }, 'a message came from a workspace that is not installed');
    return undefined;
  }
  return context.database.withCustomer(customerId, async (tx) => {
    if (isOverheard(event) && !(await isOurs(tx, customerId, event.thread))) return undefined;
    return {
      customerId,
      member: await context.customers.member(tx, customerId, event.from),
      thread: await context.threads.open(tx, customerId, event.thread),
    };
  });
}
