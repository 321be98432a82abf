import type { ShownMessage } from '../../contracts/chat.ts';

/** A message as the stand-in for Slack keeps it. */
export interface KeptMessage {
  readonly ts: string;
  readonly user: string;
  readonly thread_ts?: string;
  /** Whom alone it is shown to. */
  readonly to?: string;
  text: string;
  blocks: readonly unknown[];
  readonly files?: readonly { readonly id: string; readonly alt: string }[];
}

interface Readable extends Pick<KeptMessage, 'text' | 'blocks'> {
  readonly files?: readonly { readonly id: string }[] | undefined;
}
type Names = ReadonlyMap<string, string>;

/** As a client shows it: blocks in place of the text, markup drawn, names in place of ids. */
export function shownAs(message: Readable, names: Names): ShownMessage {
  const mentions: string[] = [];
  const buttons: string[] = [];
  const parts = message.blocks.length > 0 ? message.blocks.map((block) => draw(block)) : [drawn(message.text)];

  function drawn(text: string): string {
    return text
      .replace(/<@([UW][A-Z0-9]+)>/g, (_, id: string) => named(id))
      .replace(/<!(channel|here|everyone)>/g, (_, whom: string) => {
        mentions.push(whom);
        return `@${whom}`;
      })
      .replace(/<!date\^\d+\^[^^>]*\^([^>]*)>/g, '$1')
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&amp;', '&');
  }

  function named(id: string): string {
    mentions.push(id);
    return names.get(id) ?? id;
  }

  function draw(value: unknown): string {
    if (Array.isArray(value)) return value.map(draw).join(' ');
    if (value === null || typeof value !== 'object') return '';
    const block = value as Record<string, unknown>; // an object, by the line above
    switch (block.type) {
      case 'button':
        buttons.push(draw(block.text).trim());
        return draw(block.text);
      case 'plain_text':
      case 'text':
        return String(block.text);
      case 'mrkdwn':
        return drawn(String(block.text));
      case 'user':
        return named(String(block.user_id));
      case 'link':
        return String(block.text);
      case 'date':
        return String(block.fallback);
      case 'emoji':
        return '';
      case 'task_card':
      case 'plan':
        return `${block.title} ${draw(block.tasks ?? [])}`;
      case 'rich_text_section':
      case 'rich_text_quote':
        return `${(block.elements as unknown[]).map(draw).join('')} `; // the server has refused any other shape
      default:
        return [block.title, block.text, block.elements, block.rows, block.child_blocks].map(draw).join(' ');
    }
  }

  return {
    text: parts.join(' ').replace(/\s+/g, ' ').trim(),
    buttons,
    pictures: (message.files ?? []).map(({ id }) => id),
    mentions,
  };
}
