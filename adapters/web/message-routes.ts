import { randomUUID } from 'node:crypto';
import { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { type Html, html } from '../../core/markup.ts';
import type { Button, Person } from '../../core/ports/chat.ts';
import { findButton } from './cards.ts';
import { Refusal } from './errors.ts';
import type { ReceiverDeps } from './receiver.ts';
import { answer, authorOf, isFromScript, read } from './request.ts';
import type { Message } from './store.ts';
import { messageRef, NEW_THREAD, newId, threadRef } from './thread.ts';

/** Made by the page for each thing that is sent: the same when it is sent again. */
export const nonce = z
  .string()
  .regex(/^[\w-]{8,64}$/)
  .default(() => randomUUID());

const said = z.object({
  thread: z.string(),
  text: z
    .string()
    .transform((text) => text.replaceAll('\r\n', '\n').trim())
    .pipe(z.string().min(1).max(8_000)),
  nonce,
});
const pressed = z.object({ action: z.string(), value: z.string(), confirmed: z.literal('yes').optional(), nonce });

export function eventId({ userId }: Person, sent: string): string {
  return `web:${userId}:${sent}`;
}

/** What people write, and the buttons under messages. */
export function createMessageRoutes({ config, people, store, views, pages, reception }: ReceiverDeps): Router {
  const { workspaceId } = config;
  const routes = Router();
  routes.post('/messages', say);
  routes.post('/messages/:message/actions', press);
  routes.post('/messages/:message/dismiss', dismiss);
  return routes;

  function say(request: Request, response: Response): void {
    const from = authorOf(request.body, people);
    const { thread, text, nonce } = read(said, request.body);
    const id = eventId(from, nonce);
    const earlier = store.event(id);
    const isKnown = thread === NEW_THREAD || views.hasThread(thread, from.userId);
    if (!isKnown) throw new Refusal(404, 'There is no such thread.');
    const threadId = earlier?.event.thread.ref ?? (thread === NEW_THREAD ? newId('t') : thread);
    if (!earlier) reception.say(id, threadId, from, text);
    answer(request, response, `/t/${threadId}`);
  }

  async function press(request: Request<{ message: string }>, response: Response): Promise<void> {
    const from = authorOf(request.body, people);
    const { action, value, confirmed, nonce } = read(pressed, request.body);
    const message = messageFor(request.params.message, from);
    const { threadId, how, body } = message;
    const id = eventId(from, nonce);
    const button = body.kind === 'card' ? findButton(body.card, action, value) : undefined;
    if (!button && !store.event(id)) throw new Refusal(409, 'This message has changed meanwhile. Please look again.');
    if (button?.confirm && button.confirm.isExtra !== true && confirmed === undefined) {
      if (isFromScript(request)) throw new Refusal(409, 'This needs a confirmation first.');
      response.send(pages.alone(button.confirm.title, question(button.confirm, message, request.body)));
      return;
    }
    const thread = threadRef(workspaceId, threadId);
    const shown =
      how === 'ephemeral' ? { shown: message.id } : { message: messageRef(workspaceId, threadId, message.id) };
    await reception.hand({ kind: 'action', id, thread, from, ...shown, action, value, trigger: id });
    answer(request, response, `${pageOf(message)}#${message.id}`);
  }

  function dismiss(request: Request<{ message: string }>, response: Response): void {
    const message = messageFor(request.params.message, authorOf(request.body, people));
    if (message.how !== 'ephemeral') throw new Refusal(409, 'This message stays in the thread.');
    store.append({ kind: 'dismissed', id: message.id });
    answer(request, response, pageOf(message));
  }

  function messageFor(id: string, { userId }: Person): Message {
    const message = store.message(id);
    const isTheirs = message && (message.visibleTo === undefined || message.visibleTo === userId);
    if (!isTheirs || message.isDismissed) throw new Refusal(404, 'There is no such message.');
    return message;
  }
}

/** The page without script asks on a page of its own. */
function question(confirm: NonNullable<Button['confirm']>, message: Message, posted: unknown): Html {
  const fields = read(z.object({ as: z.string(), action: z.string(), value: z.string() }), posted);
  const inputs = Object.entries({ ...fields, nonce: randomUUID(), confirmed: 'yes' }).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  );
  return html`<h2 class="heading">${confirm.title}</h2><p class="text">${confirm.text}</p><form class="actions" method="post" action="/messages/${message.id}/actions">${inputs}<button class="button primary">${confirm.yes}</button><a class="button plain" href="${pageOf(message)}">Cancel</a></form>`;
}

function pageOf({ shownIn, threadId }: Message): string {
  return `/t/${shownIn ?? threadId}`;
}
