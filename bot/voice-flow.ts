import type { Member } from '../core/customers/customers.ts';
import type { Card, ChatEvent, ChatReply, Transcript } from '../core/ports/chat.ts';
import { bold, note, text } from './cards/text.ts';
import { completed } from './completion.ts';
import type { Context, Scene } from './context.ts';
import { understand } from './intent.ts';
import { isMeantForUs } from './message-flow.ts';
import { reply, whisper, whisperWords } from './speak.ts';

export const HEARD_FORM = 'heard';

type Message = Extract<ChatEvent, { kind: 'message' }>;
type Action = Extract<ChatEvent, { kind: 'action' }>;

/** When the platform is asked for its transcript, after the one before, in ms: it tells nobody when it is ready. */
const ASKED_AFTER_MS = [2_000, 3_000, 5_000, 10_000];
/** A button carries it, within every platform's limits. */
const LONGEST = 1_000;
const TYPE_IT =
  'I could not make out what you said. Please type it, such as “set up WooCommerce for shop.example.com”.';

/**
 * What somebody said in a clip is read back to them before anything comes of it: a machine wrote it down. It approves nothing,
 * and a password in it is not used. The platform is asked again later while it still listens; nobody waits meanwhile.
 */
export async function hearClip(context: Context, scene: Scene, event: Message): Promise<ChatReply> {
  const chat = context.chat(event.thread.platform);
  const heard: Transcript = (await chat.transcript?.(event.thread, event.clip ?? '')) ?? { kind: 'none' };
  if (heard.kind === 'not_yet') {
    const laterMs = ASKED_AFTER_MS[event.attempt ?? 0];
    if (laterMs !== undefined) return { laterMs };
  }
  const words = heard.kind === 'ready' ? written(heard.text) : '';
  if (words === '') {
    if (!event.isOverheard) await whisperWords(context, event, TYPE_IT);
    return undefined;
  }
  const intent = completed(context.services, scene, words, await understand(words, context.services, undefined));
  if (intent.kind === 'secret_pasted') await whisper(context, event, secret(intent.what));
  else if (!event.isOverheard || isMeantForUs(intent))
    await reply(context, event, heardCard(scene.member, words), 'heard');
  return undefined;
}

/** As it is typed: `shop dot example dot com` is `shop.example.com`. */
function written(spoken: string): string {
  return spoken
    .replace(/\s+/g, ' ')
    .replace(/(?<=[\p{L}\p{N}]) dot (?=[\p{L}\p{N}])/giu, '.')
    .replace(/(?<=\.[a-z]{2,}) slash (?=[\p{L}\p{N}])/giu, '/')
    .replace(/(?<=[a-z]{2})[.!]$/i, '')
    .trim()
    .slice(0, LONGEST);
}

function heardCard({ id, person }: Member, words: string): Card {
  return {
    summary: `I heard: ${words}`,
    blocks: [
      { kind: 'text', text: [text('I heard: '), bold(words)] },
      { kind: 'text', tone: 'quiet', text: [text('Nothing is planned before you confirm it.')] },
      {
        kind: 'actions',
        buttons: [
          { label: 'Confirm', style: 'primary', action: 'heard', value: `${id} ${words}`, for: [person] },
          { label: 'Edit', style: 'plain', action: 'edit_heard', value: `${id} ${words}`, for: [person] },
        ],
      },
    ],
  };
}

function secret(what: string): Card {
  return note(
    `What you said sounds like ${what}. I did not use it. Delete the clip if you can, and change that password or key where it belongs. I only ever ask for such things on a one-time page.`,
    'warning',
  );
}

/** What was read back, from whoever said it; `undefined` after telling anybody else. */
export async function confirmHeard(context: Context, member: Member, event: Action): Promise<string | undefined> {
  const words = await theirs(context, member, event);
  if (words === undefined) return undefined;
  if (event.message)
    await context.chat(event.thread.platform).update(event.message, note(`I heard: ${words}. Confirmed.`, 'quiet'));
  return words;
}

export async function editHeard(context: Context, member: Member, event: Action): Promise<void> {
  const words = await theirs(context, member, event);
  if (words === undefined) return;
  await context.chat(event.thread.platform).openForm(event.trigger, {
    form: HEARD_FORM,
    value: '',
    title: 'What did you say?',
    submit: 'Ask for it',
    fields: [{ kind: 'text', name: 'words', label: 'Your words', isRequired: true, initial: words, isMultiline: true }],
  });
}

async function theirs(context: Context, member: Member, event: Action): Promise<string | undefined> {
  const at = event.value.indexOf(' ');
  if (event.value.slice(0, at) === member.id) return event.value.slice(at + 1);
  await whisperWords(context, event, 'Only whoever said it can confirm or change it. Nothing was done.');
  return undefined;
}
