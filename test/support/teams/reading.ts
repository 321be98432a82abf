import { z } from 'zod';
import type { ShownMessage } from '../../contracts/chat.ts';

/** A part of a card: elements and actions alike, since both hold both. */
export type Part = { readonly type?: string | undefined; readonly [name: string]: unknown };
const part: z.ZodType<Part> = z.looseObject({ type: z.string().optional() });

/** Not read by people: what a button brings back, and what their clients ask with. */
const UNSEEN = new Set(['data', 'refresh']);

/** Every element and action of a card in the order of reading, itself first. */
export function partsOf(card: unknown): readonly Part[] {
  if (Array.isArray(card)) return card.flatMap(partsOf);
  if (card === null || typeof card !== 'object') return [];
  const inner = Object.entries(card).flatMap(([name, value]) => (UNSEEN.has(name) ? [] : partsOf(value)));
  return [part.parse(card), ...inner];
}

const entities = z.looseObject({
  msteams: z
    .looseObject({
      entities: z
        .array(z.looseObject({ text: z.string(), mentioned: z.looseObject({ id: z.string(), name: z.string() }) }))
        .default([]),
    })
    .optional(),
});

/** A card as a person reads it: all that is folded away included. */
export function shownAs(card: unknown): ShownMessage {
  const named = entities.safeParse(card).data?.msteams?.entities ?? [];
  const parts = partsOf(card);
  const mentions: string[] = [];
  const words = parts.flatMap((each): string[] => {
    switch (each.type) {
      case 'TextBlock': {
        const { text, calls } = readMarkdown(String(each.text), new Map(named.map((one) => [one.text, one.mentioned])));
        mentions.push(...calls);
        return ['\n', text, '\n'];
      }
      case 'TextRun':
        return [withClock(String(each.text))];
      case 'RichTextBlock':
        return ['\n'];
      case 'Action.Execute':
      case 'Action.OpenUrl':
      case 'Action.ShowCard':
      case 'Action.ToggleVisibility':
        return [`\n${String(each.title)}\n`];
      default:
        return typeof each.label === 'string' ? [`\n${each.label}\n`] : [];
    }
  });
  return {
    text: words.join('').replaceAll('\u200b', '').replace(/\s+/g, ' ').trim(),
    buttons: parts.filter(isButton).map(({ title }) => String(title)),
    pictures: parts.filter(({ type }) => type === 'Image').map(({ url }) => String(url)),
    mentions,
  };
}

function isButton({ type, url }: Part): boolean {
  return type === 'Action.Execute' || type === 'Action.ShowCard' || (type === 'Action.OpenUrl' && url !== undefined);
}

/** Teams' Markdown as far as it does anything: marks that are not escaped are gone, and links are their words. */
function readMarkdown(
  text: string,
  named: ReadonlyMap<string, { readonly id: string; readonly name: string }>,
): { readonly text: string; readonly calls: readonly string[] } {
  const calls: string[] = [];
  const shown = text
    .replace(/(?<!\\)<at>[^<>]*<\/at>/g, (tag) => {
      const found = named.get(tag);
      if (!found) return tag;
      calls.push(found.id);
      return found.name;
    })
    .replace(/(?<!\\)\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/(?<!\\)(?:\*\*|[*_`])/g, '')
    .replace(/\\([!-/:-@[-`{-~])/g, '$1');
  return { text: withClock(shown), calls };
}

function withClock(text: string): string {
  return text.replace(/\{\{(?:DATE|TIME)\(([^),]+)[^)]*\)\}\}/g, 'at $1');
}
