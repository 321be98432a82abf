import type { Member } from '../core/customers/customers.ts';
import type { CustomerId } from '../core/ids.ts';
import { isOurs, isOverheard } from '../core/inbox.ts';
import type { ThreadState } from '../core/operations/threads.ts';
import type { Card, ChatEvent, ChatReply } from '../core/ports/chat.ts';
import { LINK_FORM, openLinkForm, submitLink } from './accounts-flow.ts';
import { workAlone } from './approvers-flow.ts';
import { stateWords } from './cards/audit-card.ts';
import { helpCard } from './cards/help-card.ts';
import { note, person, text } from './cards/text.ts';
import { shareAudit, showAudit } from './commands/audit.ts';
import { listConsents, revokeConsent } from './commands/consents.ts';
import { sendConsoleLink } from './commands/console.ts';
import { listCredentials } from './commands/credentials.ts';
import { listOperations } from './commands/operations.ts';
import { pauseOperation, resumeOperation, retryOperation } from './commands/pause.ts';
import { revokeResult } from './commands/revoke.ts';
import { askToStopAll, stopAll, stopOperation, stopThread, stopTogether } from './commands/stop.ts';
import { testedIn, testService } from './commands/test.ts';
import { completed } from './completion.ts';
import {
  approve,
  chooseWay,
  DENY_FORM,
  openDenyForm,
  openPermissionsForm,
  PERMISSIONS_FORM,
  showGuide,
  submitDenial,
  submitPermissions,
} from './consent-flow.ts';
import type { Context } from './context.ts';
import { enterSignIn, linkAgain } from './credential-flow.ts';
import { followEdit } from './edit-flow.ts';
import { showHome } from './home.ts';
import { goOn, sendCodeLink } from './human-flow.ts';
import { type Intent, understand } from './intent.ts';
import {
  approveStanding,
  DENY_STANDING_FORM,
  keepSignIn,
  keepWorking,
  openDenyStandingForm,
  submitDenialOfStanding,
} from './keep-flow.ts';
import { changeKeyOf, requestForKey } from './key-flow.ts';
import { NOTIFY_FORM, openNotify, submitNotify } from './notify-flow.ts';
import { rateResult } from './rating.ts';
import { renewConsent } from './renew-flow.ts';
import { isAllowedChannel, requestSetUp } from './request-flow.ts';
import { sendRevealLink } from './reveal-flow.ts';
import { APPROVERS_FORM, openSettings, SETTINGS_FORM, submitSettings } from './settings-flow.ts';
import { reply, whisper, whisperWords } from './speak.ts';
import {
  approveTogether,
  DENY_TOGETHER_FORM,
  openDenyTogetherForm,
  splitTogether,
  submitDenialTogether,
} from './together-consent-flow.ts';
import { requestSetUpTogether } from './together-request-flow.ts';
import { confirmHeard, editHeard, HEARD_FORM, hearClip } from './voice-flow.ts';

/** What people write when they mean a button. */
const DECIDING = /^\s*(?:i )?(?:approved?|approve it|deny|denied|yes|ok|okay|go ahead|confirm(?:ed)?)\b[\s.!]*$/i;
const THANKS = /\b(?:thanks|thank you|thx|cheers|danke(?:schön)?|merci|gracias|grazie)(?!\p{L})/iu;
const EVERYTHING = /\b(?:all|everything)\b/i;

interface Scene {
  readonly customerId: CustomerId;
  readonly member: Member;
  readonly thread: ThreadState;
}

/** One incoming message, command, button or form → the flow that answers it. */
export async function converse(context: Context, event: ChatEvent): Promise<ChatReply> {
  const scene = await enter(context, event);
  if (!scene) return undefined;
  switch (event.kind) {
    case 'message':
      if (event.clip !== undefined) return hearClip(context, scene.member, event, isMeantForUs);
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

async function hear(context: Context, scene: Scene, event: Extract<ChatEvent, { kind: 'message' }>): Promise<void> {
  const rules = await context.database.withCustomer(scene.customerId, (tx) =>
    context.customers.rules(tx, scene.customerId),
  );
  // What is said to others is no model's business.
  const model = rules.allowsModel && !event.isOverheard ? context.model : undefined;
  const understood = await understand(event.text, context.services, model);
  const intent = completed(context.services, scene, event.text, understood);
  if (event.isOverheard && !isMeantForUs(intent)) return;
  await answer(context, scene, event, intent);
}

/** Of what people say among themselves in a thread of ours: the answer to our question, a stop, and what must not stand there. */
function isMeantForUs({ kind }: Intent): boolean {
  return kind === 'set_up' || kind === 'set_up_together' || kind === 'cancel' || kind === 'secret_pasted';
}

async function answer(
  context: Context,
  scene: Scene,
  event: Extract<ChatEvent, { kind: 'message' }>,
  intent: Intent,
): Promise<void> {
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
      if (DECIDING.test(event.text))
        return whisperWords(context, event, 'Words decide nothing here. Press Approve or Deny on the card above.');
      await reply(context, event, await unsureCard(context, scene, intent.nearest));
      return;
    default:
      return intent satisfies never;
  }
}

const SEEN =
  'It now stands in this conversation for everybody who reads it, so change that password or key where it belongs, and delete your message if you can.';
const UNSEEN = 'I did not show it to anybody, and nothing was asked for: write your request without it.';

function pasted(what: string, where = SEEN) {
  return note(
    `That looks like ${what}. I did not use it, nor did I do anything else that the message may ask for. ${where} I only ever ask for such things on a one-time page.`,
    'warning',
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

async function command(context: Context, scene: Scene, event: Extract<ChatEvent, { kind: 'command' }>): Promise<void> {
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
async function ask(context: Context, scene: Scene, event: Extract<ChatEvent, { kind: 'command' }>): Promise<void> {
  const { id, from, text: words } = event;
  if (!event.isOutsideThreads)
    return hear(context, scene, { kind: 'message', id, from, thread: event.thread, text: words });
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
  await hear(context, { ...scene, thread }, { kind: 'message', id, from, thread: ref, text: words });
}

async function press(context: Context, scene: Scene, event: Extract<ChatEvent, { kind: 'action' }>): Promise<void> {
  await pressed(context, scene, event);
  if (event.isFromHome) await showHome(context, scene.customerId, scene.member, event);
}

async function pressed(context: Context, scene: Scene, event: Extract<ChatEvent, { kind: 'action' }>): Promise<void> {
  const { customerId, member } = scene;
  switch (event.action) {
    case 'approve':
      return approve(context, customerId, member, event);
    case 'deny':
      return openDenyForm(context, customerId, member, event);
    case 'approve_together':
      return approveTogether(context, customerId, member, event);
    case 'deny_together':
      return openDenyTogetherForm(context, customerId, member, event);
    case 'split_together':
      return splitTogether(context, customerId, member, event);
    case 'stop_together':
      return stopTogether(context, customerId, member, event);
    case 'choose_permissions':
      return openPermissionsForm(context, customerId, member, event);
    case 'choose_way':
      return chooseWay(context, customerId, member, event);
    case 'guide':
      return showGuide(context, customerId, member, event);
    case 'choose_approvers':
      return openSettings(context, customerId, member, event, APPROVERS_FORM);
    case 'link_accounts':
      return openLinkForm(context, customerId, member, event);
    case 'work_alone':
      return workAlone(context, customerId, member, event);
    case 'enter_sign_in':
      return enterSignIn(context, customerId, member, event);
    case 'enter_code':
      return sendCodeLink(context, customerId, member, event);
    case 'go_on':
      return goOn(context, customerId, member, event);
    case 'stop':
      return stopOperation(context, customerId, member, event, event.value);
    case 'stop_all':
      return stopAll(context, customerId, member, event);
    case 'pause':
      return pauseOperation(context, customerId, member, event, event.value);
    case 'resume':
      return resumeOperation(context, customerId, member, event, event.value);
    case 'retry':
      return retryOperation(context, customerId, member, event, event.value);
    case 'audit':
    case 'audit_page':
      return showAudit(context, customerId, member, event, event.value);
    case 'share_audit':
      return shareAudit(context, customerId, member, event);
    case 'heard': {
      const said = await confirmHeard(context, member, event);
      // However often it is pressed, it is said once.
      const { message, thread } = event;
      const id = message ? `heard/${thread.ref}/${message.ref}` : event.id;
      return said === undefined ? undefined : sayFor(context, scene, { ...event, id }, said);
    }
    case 'edit_heard':
      return editHeard(context, member, event);
    case 'rate':
      return rateResult(context, customerId, member, event);
    case 'renew_consent':
      return renewConsent(context, customerId, member, event);
    case 'notify':
      return openNotify(context, customerId, member, event);
    case 'revoke_consent':
      return revokeConsent(context, customerId, member, event);
    case 'reveal':
      return sendRevealLink(context, customerId, member, event);
    case 'revoke':
      return revokeResult(context, customerId, member, event);
    case 'rotate':
      return changeKeyOf(context, { ...scene, event }, event, 'credential_rotation');
    case 'keep_working':
      return keepWorking(context, customerId, member, event);
    case 'approve_standing':
      return approveStanding(context, customerId, member, event);
    case 'deny_standing':
      return openDenyStandingForm(context, event);
    case 'keep_sign_in':
      return keepSignIn(context, customerId, member, event);
    case 'revoke_there':
      return changeKeyOf(context, { ...scene, event }, event, 'credential_revocation');
    default:
      return whisperWords(context, event, 'This button is from another version. Nothing was changed.');
  }
}

/** What was read back to somebody, as if they had typed it. */
function sayFor(context: Context, scene: Scene, { id, thread, from }: ChatEvent, words: string): Promise<void> {
  return hear(context, scene, { kind: 'message', id, thread, from, text: words });
}

async function submit(context: Context, scene: Scene, event: Extract<ChatEvent, { kind: 'form' }>): Promise<ChatReply> {
  const { customerId, member } = scene;
  if (event.form === HEARD_FORM) {
    await sayFor(context, scene, event, event.fields.words?.[0] ?? '');
    return undefined;
  }
  const errors = await submitted(context, customerId, member, event);
  return errors && { fieldErrors: errors };
}

async function submitted(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Extract<ChatEvent, { kind: 'form' }>,
) {
  switch (event.form) {
    case APPROVERS_FORM:
    case SETTINGS_FORM:
      return submitSettings(context, customerId, member, event);
    case LINK_FORM:
      return submitLink(context, customerId, member, event);
    case DENY_FORM:
      return submitDenial(context, customerId, member, event);
    case DENY_STANDING_FORM:
      return submitDenialOfStanding(context, customerId, member, event);
    case DENY_TOGETHER_FORM:
      return submitDenialTogether(context, customerId, member, event);
    case PERMISSIONS_FORM:
      return submitPermissions(context, customerId, member, event);
    case NOTIFY_FORM:
      return submitNotify(context, customerId, member, event);
    default:
      await whisperWords(context, event, 'This form is from another version. Nothing was changed.');
      return undefined;
  }
}
