import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import type { Member } from '../core/customers/customers.ts';
import type { Card, Chat, ChatEvent, Transcript } from '../core/ports/chat.ts';
import { text } from './cards/text.ts';
import type { Context } from './context.ts';
import { reply, whisperWords } from './speak.ts';

type Clip = Extract<ChatEvent, { kind: 'clip' }>;
type Message = Extract<ChatEvent, { kind: 'message' }>;

/** When the words are looked for, after the clip came: the platform does not say when it has written them down. */
const LOOKS_AT_MS = [0, 2_000, 5_000, 10_000, 20_000];
/** Of a button's value; more is no request. */
const LONGEST = 800;

/**
 * What somebody said in a recording, as a message of theirs that nobody acts on before they have read it back. `undefined`:
 * nobody wrote it down, and who is known to have spoken to us is asked to type.
 */
export async function wordsOfClip(context: Context, event: Clip): Promise<Message | undefined> {
  const { id, thread, from, clip, isOverheard } = event;
  const transcript = await transcriptOf(context.chat(thread.platform), event);
  if (transcript.kind === 'ready') {
    const words = asTyped(transcript.text);
    if (words !== '' && words.length <= LONGEST)
      return {
        ...{ kind: 'message', id: `heard/${clip}`, thread, from, text: words },
        ...(isOverheard && { isOverheard }),
      };
  }
  if (!isOverheard)
    await whisperWords(context, { ...event, id }, `${whyNot(transcript)} Please type what you want. Nothing was done.`);
  return undefined;
}

async function transcriptOf(chat: Chat, { thread, clip }: Clip): Promise<Transcript> {
  let passed = 0;
  for (const at of LOOKS_AT_MS) {
    await wait(at - passed, undefined, { ref: false });
    passed = at;
    const transcript: Transcript = (await chat.transcript?.(thread, clip)) ?? { kind: 'none', why: 'failed' };
    if (transcript.kind !== 'writing') return transcript;
  }
  return { kind: 'writing' };
}

function whyNot(transcript: Transcript): string {
  if (transcript.kind === 'writing') return 'The words of your recording were not written down in time.';
  if (transcript.kind === 'ready' || transcript.why === 'too_long')
    return 'Your recording is too long, or has no words in it.';
  return transcript.why === 'not_allowed'
    ? 'I may not read what was said in recordings here.'
    : 'The words of your recording could not be written down.';
}

/** A spoken address as it is typed: `shop dot example dot com` is `shop.example.com`. */
export function asTyped(spoken: string): string {
  return spoken
    .trim()
    .replace(/(?<=[\p{L}\p{N}])\s+dot\s+(?=[\p{L}\p{N}])/giu, '.')
    .replace(
      /(?<=[\p{L}\p{N}])\s+(?:punkt|punto|point)\s+(?=(?:com|net|org|shop|store|io|co|eu|de|at|ch|fr|es|it|nl|uk)\b)/giu,
      '.',
    )
    .replace(/(?<=[\p{L}\p{N}])\s+(?:dash|hyphen)\s+(?=[\p{L}\p{N}])/giu, '-')
    .replace(/(?<=\.[\p{L}\p{N}]+)\s+slash\s+(?=[\p{L}\p{N}])/giu, '/')
    .replace(/[.!?]+$/, '');
}

const heard = z.tuple([z.uuid(), z.string().min(1).max(100), z.string().min(1).max(LONGEST)]);

/** What was understood, for whoever said it to agree to. */
export function heardCard(context: Context, member: Member, event: Message, clip: string): Promise<unknown> {
  const words = `I heard: “${event.text}”`;
  const card: Card = {
    summary: `${words}. Is that right?`,
    blocks: [
      { kind: 'text', text: [text(words)] },
      {
        kind: 'text',
        tone: 'quiet',
        text: [text('Is that right? If not, type what you want. Nothing is planned before you say so.')],
      },
      {
        kind: 'actions',
        buttons: [
          {
            ...{ label: 'Yes, go on', style: 'primary', action: 'heard', for: [event.from] },
            value: JSON.stringify([member.id, clip, event.text]),
          },
        ],
      },
    ],
  };
  return reply(context, event, card, 'heard');
}

/** "Yes, go on": the words are now said by whoever spoke them; however often it is pressed, they are said once. */
export async function agreeToHeard(
  context: Context,
  member: Member,
  event: Extract<ChatEvent, { kind: 'action' }>,
): Promise<Message | undefined> {
  const read = heard.safeParse(jsonOf(event.value)).data;
  if (!read) {
    await whisperWords(
      context,
      event,
      'This card is from another version. Nothing was done: please type what you want.',
    );
    return undefined;
  }
  const [speaker, clip, words] = read;
  if (speaker !== member.id) {
    await whisperWords(context, event, 'Only whoever recorded it can agree to its words. Nothing was done.');
    return undefined;
  }
  const { thread, from, message } = event;
  if (message) {
    const said = `Heard from ${from.name}, and agreed to: “${words}”`;
    await context
      .chat(thread.platform)
      .update(message, { summary: said, blocks: [{ kind: 'text', tone: 'quiet', text: [text(said)] }] })
      .catch((err: unknown) => context.log.warn({ err }, 'a card that was agreed to keeps its button'));
  }
  return { kind: 'message', id: `agreed/${clip}`, thread, from, text: words };
}

function jsonOf(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}
