import type { Card, ChatEvent, EventRef, MessageRef } from '../core/ports/chat.ts';
import { note } from './cards/text.ts';
import type { Context } from './context.ts';

/** What an effect of the event is recorded under. */
export function eventRef({ thread, id }: ChatEvent): EventRef {
  return { platform: thread.platform, id };
}

/** Answers in the thread of an event, for everybody; said once, however often the platform repeats the event. */
export function reply(context: Context, event: ChatEvent, card: Card, part = 'reply'): Promise<MessageRef> {
  return context.chat(event.thread.platform).post(event.thread, card, { key: `${part}:${event.id}` });
}

/**
 * Answers whoever caused the event, and nobody else: in place of the card that only they saw, if its button was pressed, or
 * opened the form.
 */
export function whisper(context: Context, event: ChatEvent, card: Card): Promise<void> {
  const replaces = event.kind === 'action' || event.kind === 'form' ? event.shown : undefined;
  return context
    .chat(event.thread.platform)
    .ephemeral(event.thread, event.from, card, ...(replaces === undefined ? [] : [{ replaces }]));
}

export function whisperWords(context: Context, event: ChatEvent, words: string): Promise<void> {
  return whisper(context, event, note(words, 'quiet'));
}
