import { type Html, html } from '../../../core/markup.ts';
import type { EpisodePicture } from '../../../core/workflow/watch.ts';
import { time } from '../words.ts';

/** One of two pictures beside each other. @param words when it was taken, as the beginning of a sentence */
export function drawPicture(picture: EpisodePicture | undefined, words: string): Html {
  if (!picture) return html`<div class="no-picture"><p>${words}: there is no picture.</p></div>`;
  const src = `/console/operations/${picture.operationId}/pictures/${picture.id}`;
  return html`<figure><a class="picture-link" href="${src}"><img loading="lazy" src="${src}" alt="${words}; secrets are masked" width="${picture.width}" height="${picture.height}"></a><figcaption>${words}, ${time(picture.at)}</figcaption></figure>`;
}

/** What a plan fills in, in words; every level of a permission reads the same. */
const FILLED_IN: Readonly<Record<string, string>> = {
  label: 'the key’s name',
  oldLabel: 'the old key',
  base: 'the address',
  baseHost: 'the site',
  mode: 'test or live',
  scope: 'the chosen access',
  scopeWords: 'the chosen access',
  scopes: 'the chosen permissions',
};

/** A step’s sentence before a plan has filled it in. */
export function intentWords(intent: string): string {
  return intent
    .replace(/^Name it “?\{label\}”?/, 'Name it as the plan says')
    .replaceAll(/“?\{(\w+)\}”?/g, (_, slot: string) =>
      slot.endsWith('_level') ? 'the chosen level' : (FILLED_IN[slot] ?? 'what the plan says'),
    );
}
