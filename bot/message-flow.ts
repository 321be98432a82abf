import { CountersignError } from '../core/errors.ts';
import { take } from '../core/limits.ts';
import type { Card, ChatEvent } from '../core/ports/chat.ts';
import type { Model } from '../core/ports/model.ts';
import { stateWords } from './cards/audit-card.ts';
import { helpCard } from './cards/help-card.ts';
import { note } from './cards/text.ts';
import { showAudit } from './commands/audit.ts';
import { sendConsoleLink } from './commands/console.ts';
import { pauseOperation, resumeOperation, retryOperation } from './commands/pause.ts';
import { askToStopAll, stopOperation } from './commands/stop.ts';
import { testService } from './commands/test.ts';
import { completed } from './completion.ts';
import type { Context, Scene } from './context.ts';
import { type Intent, understand } from './intent.ts';
import { requestForKey } from './key-flow.ts';
import { requestSetUp } from './request-flow.ts';
import { reply, whisper, whisperWords } from './speak.ts';
import { requestSetUpTogether } from './together-request-flow.ts';

type Message = Extract<ChatEvent, { kind: 'message' }>;

/** What people write when they mean a button. */
const DECIDING = /^\s*(?:i )?(?:approved?|approve it|deny|denied|yes|ok|okay|go ahead|confirm(?:ed)?)\b[\s.!]*$/i;
const THANKS = /\b(?:thanks|thank you|thx|cheers|danke(?:schön)?|merci|gracias|grazie)(?!\p{L})/iu;
/** Of one member, each with a price; what is written beyond that the grammar alone understands. */
const SENTENCES = { quota: 60, windowSeconds: 3600 } as const;
const EVERYTHING = /\b(?:all|everything)\b/i;

/** What somebody wrote → the flow that answers it. */
export async function hear(context: Context, scene: Scene, event: Message): Promise<void> {
  const rules = await context.database.withCustomer(scene.customerId, (tx) =>
    context.customers.rules(tx, scene.customerId),
  );
  // What is said to others is no model's business.
  const model = rules.allowsModel && !event.isOverheard ? modelFor(context, scene) : undefined;
  const understood = await understand(event.text, context.services, model);
  const intent = completed(context.services, scene, event.text, understood);
  if (event.isOverheard && !isMeantForUs(intent)) return;
  await answer(context, scene, event, intent);
}

function modelFor({ model, database }: Context, { customerId, member }: Scene): Model | undefined {
  const limit = { name: `sentences for a model ${member.id}`, ...SENTENCES };
  return (
    model && {
      async answer(question) {
        const { isAllowed } = await database.withCustomer(customerId, (tx) => take(tx, customerId, limit));
        if (!isAllowed) throw new CountersignError('model_unavailable', 'This member has asked it enough for now.');
        return model.answer(question);
      },
    }
  );
}

/** Of what people say among themselves in a thread of ours: the answer to our question, a stop, and what must not stand there. */
export function isMeantForUs({ kind }: Intent): boolean {
  return kind === 'set_up' || kind === 'set_up_together' || kind === 'cancel' || kind === 'secret_pasted';
}

async function answer(context: Context, scene: Scene, event: Message, intent: Intent): Promise<void> {
  const { customerId, member } = scene;
  switch (intent.kind) {
    case 'set_up':
      return requestSetUp(context, { ...scene, event }, intent);
    case 'set_up_together':
      return requestSetUpTogether(context, { ...scene, event }, intent);
    case 'target':
      await reply(context, event, helpCard(context.services, `What shall I set up for ${intent.target}?`));
      return;
    case 'audit':
      return showAudit(context, customerId, member, event, intent.operationId ?? '');
    case 'cancel':
      if (!intent.operationId && EVERYTHING.test(event.text)) return askToStopAll(context, customerId, member, event);
      return stopOperation(context, customerId, member, event, intent.operationId ?? '');
    case 'pause':
      return pauseOperation(context, customerId, member, event, intent.operationId ?? '');
    case 'resume':
      return resumeOperation(context, customerId, member, event, intent.operationId ?? '');
    case 'retry':
      return retryOperation(context, customerId, member, event, intent.operationId ?? '');
    case 'test':
      return testService(context, customerId, member, event, intent);
    case 'console':
      return sendConsoleLink(context, customerId, member, event);
    case 'key':
      return requestForKey(context, { ...scene, event }, intent);
    case 'help':
      await reply(context, event, helpCard(context.services));
      return;
    case 'greeting':
      if (THANKS.test(event.text)) {
        await reply(context, event, note(`You are welcome, ${member.person.name}.`));
        return;
      }
      await reply(
        context,
        event,
        helpCard(
          context.services,
          `Hello ${member.person.name}. I set up store integrations, step by step, where everybody can watch.`,
        ),
      );
      return;
    case 'secret_pasted':
      await whisper(context, event, pasted(intent.what));
      return;
    case 'unsure':
      if (DECIDING.test(event.text) && (await isAskedHere(context, scene)))
        return whisperWords(context, event, 'Words decide nothing here. Press Approve or Deny on the card above.');
      await reply(context, event, await unsureCard(context, scene, intent.nearest));
      return;
    default:
      return intent satisfies never;
  }
}

const SEEN =
  'It now stands in this conversation for everybody who reads it, so change that password or key where it belongs, and delete your message if you can.';

export function pasted(what: string, where = SEEN) {
  return note(
    `That looks like ${what}. I did not use it, nor did I do anything else that the message may ask for. ${where} I only ever ask for such things on a one-time page.`,
    'warning',
  );
}

/** Whether a card of the thread has an Approve: of a request, or of repairs to come. */
function isAskedHere(context: Context, { customerId, thread }: Scene): Promise<boolean> {
  const operationRow = { threadId: thread.id, status: { in: ['awaiting_consent', 'completed'] } };
  return context.database.withCustomer(
    customerId,
    async (tx) => (await tx.consentRequest.count({ where: { customerId, decision: null, operationRow } })) > 0,
  );
}

/** Who has met it already needs no introduction: in a thread with a request a sentence will do. */
async function unsureCard(context: Context, { customerId, thread }: Scene, nearest: string | undefined): Promise<Card> {
  const where = { customerId, threadId: thread.id };
  const latest = await context.database.withCustomer(customerId, (tx) =>
    tx.operation.findFirst({ where, select: { id: true, status: true }, orderBy: { createdAt: 'desc' } }),
  );
  if (!latest) return helpCard(context.services, unsureWords(context, nearest));
  return note(
    `I am not sure what you mean, so nothing was done. The latest request of this thread is ${latest.id} (${stateWords(latest.status)}). Write “help” to see what I can do.`,
  );
}

function unsureWords(context: Context, nearest: string | undefined): string {
  const service = context.services.find((known) => known.id === nearest);
  return service
    ? `I am not sure what you mean. Did you mean “set up ${service.name} for ${service.targetExample ?? 'shop.example.com'}”?`
    : 'I am not sure what you mean. Nothing was done. This is what I can do:';
}

/** What a command asks for, or was read back to somebody, as if they had typed it. */
export function sayFor(context: Context, scene: Scene, { id, thread, from }: ChatEvent, words: string): Promise<void> {
  return hear(context, scene, { kind: 'message', id, thread, from, text: words });
}
