import type { Card, ChatEvent } from '../core/ports/chat.ts';
import { openLinkForm } from './accounts-flow.ts';
import { helpCard } from './cards/help-card.ts';
import { person, text } from './cards/text.ts';
import { showAudit } from './commands/audit.ts';
import { listConsents } from './commands/consents.ts';
import { sendConsoleLink } from './commands/console.ts';
import { listCredentials } from './commands/credentials.ts';
import { listOperations } from './commands/operations.ts';
import { pauseOperation, resumeOperation, retryOperation } from './commands/pause.ts';
import { askToStopAll, stopOperation } from './commands/stop.ts';
import { testedIn, testService } from './commands/test.ts';
import type { Context, Scene } from './context.ts';
import { linkAgain } from './credential-flow.ts';
import { understand } from './intent.ts';
import { pasted, sayFor } from './message-flow.ts';
import { openNotify } from './notify-flow.ts';
import { isAllowedChannel } from './request-flow.ts';
import { openSettings, SETTINGS_FORM } from './settings-flow.ts';
import { reply, whisper } from './speak.ts';

type Command = Extract<ChatEvent, { kind: 'command' }>;

const UNSEEN = 'I did not show it to anybody, and nothing was asked for: write your request without it.';

/** What `/countersign` and `/audit` were followed by → what shows or does it. */
export async function command(context: Context, scene: Scene, event: Command): Promise<void> {
  const { customerId, member } = scene;
  if (event.command === 'audit') return showAudit(context, customerId, member, event, event.text);
  const [verb = 'help', ...rest] = event.text.trim().split(/\s+/);
  const words = rest.join(' ');
  switch (verb.toLowerCase()) {
    case 'operations':
      return listOperations(context, customerId, event);
    case 'console':
      return sendConsoleLink(context, customerId, member, event);
    case 'consents':
      return listConsents(context, customerId, member, event);
    case 'credentials':
      return listCredentials(context, customerId, member, event);
    case 'test':
      return testService(context, customerId, member, event, testedIn(words));
    case 'link':
      return linkAgain(context, customerId, member, event, words);
    case 'settings':
      return openSettings(context, customerId, member, event, SETTINGS_FORM);
    case 'notify':
    case 'notifications':
      return openNotify(context, customerId, member, event);
    case 'accounts':
      return openLinkForm(context, customerId, member, event);
    case 'stop':
    case 'cancel':
      return words.toLowerCase() === 'all'
        ? askToStopAll(context, customerId, member, event)
        : stopOperation(context, customerId, member, event, words);
    case 'pause':
      return pauseOperation(context, customerId, member, event, words);
    case 'resume':
      return resumeOperation(context, customerId, member, event, words);
    case 'retry':
      return retryOperation(context, customerId, member, event, words);
    case 'audit':
      return showAudit(context, customerId, member, event, words);
    case 'set':
    case 'setup':
    case 'connect':
      return ask(context, scene, event);
    case '':
    case 'help':
      return whisper(context, event, helpCard(context.services, undefined, member.roles));
    default:
      return whisper(
        context,
        event,
        helpCard(
          context.services,
          'I do not know that command. Nothing was done. This is what I can do:',
          member.roles,
        ),
      );
  }
}

/** A request by command, in a thread of its own: what is asked stands there for everybody to see. */
async function ask(context: Context, scene: Scene, event: Command): Promise<void> {
  const { from, text: words } = event;
  if (!event.isOutsideThreads) return sayFor(context, scene, event, words);
  // Until now nobody else has seen those words.
  const intent = await understand(words, context.services, undefined);
  if (intent.kind === 'secret_pasted') return whisper(context, event, pasted(intent.what, UNSEEN));
  if (!(await isAllowedChannel(context, { customerId: scene.customerId, event }))) return;
  const summary = `${from.name} asks: ${words}`;
  const card: Card = { summary, blocks: [{ kind: 'text', text: [person(from), text(` asks: ${words}`)] }] };
  const { thread: ref } = await reply(context, event, card, 'asked');
  const thread = await context.database.withCustomer(scene.customerId, (tx) =>
    context.threads.open(tx, scene.customerId, ref),
  );
  await sayFor(context, { ...scene, thread }, { ...event, thread: ref }, words);
}
