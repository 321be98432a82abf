import { CONSOLE_LINK_MINUTES } from '../../core/console/sessions.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { CustomerId } from '../../core/ids.ts';
import type { Card, ChatEvent } from '../../core/ports/chat.ts';
import { text } from '../cards/text.ts';
import type { Context } from '../context.ts';
import { refuse } from '../refusal.ts';
import { whisper, whisperWords } from '../speak.ts';

/**
 * "open the console": a one-time link for whoever asked, which they alone are shown. Whom the platform calls a guest, or does
 * not know, gets none.
 */
export async function sendConsoleLink(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
): Promise<void> {
  const { person } = member;
  if ((await context.chat(person.platform).standing(person)).kind !== 'member')
    return refuse(context, customerId, member, event, {
      asked: 'console',
      words: 'The console is for full members of this workspace alone. Nothing was opened.',
    });
  const link = await context.sessions.issue(customerId, member.id);
  if ('tooSoon' in link) {
    const minutes = Math.ceil(link.tooSoon.retrySeconds / 60);
    return whisperWords(
      context,
      event,
      `You have asked for many links to the console. Ask again in ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}. Nothing was opened.`,
    );
  }
  await whisper(context, event, consoleCard(`${context.publicUrl()}/console/sign-in/${link.token}`));
}

function consoleCard(url: string): Card {
  const words = 'Your link to the console: operations, live, approvals and their records.';
  return {
    summary: words,
    blocks: [
      { kind: 'text', text: [text(words)] },
      {
        kind: 'actions',
        buttons: [{ label: 'Open the console', style: 'primary', action: 'open', value: 'console', url }],
      },
      {
        kind: 'text',
        tone: 'quiet',
        text: [text(`For you alone, once, for ${CONSOLE_LINK_MINUTES} minutes. That you came in goes on record.`)],
      },
    ],
  };
}
