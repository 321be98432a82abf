import { type Html, html } from '../../core/markup.ts';

/** Drawn in the colour of the text around, 16 by 16; what they mean is said in words beside them. */
function icon(shape: Html): Html {
  return html`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">${shape}</svg>`;
}

export const icons = {
  done: icon(html`<path d="M3.5 8.5l3 3 6-7"/>`),
  running: icon(html`<path d="M5 3.5l7 4.5-7 4.5z" fill="currentColor" stroke="none"/>`),
  waiting: icon(html`<circle cx="8" cy="8" r="1.25" fill="currentColor" stroke="none"/>`),
  failed: icon(html`<path d="M4.5 4.5l7 7M11.5 4.5l-7 7"/>`),
  unsure: icon(
    html`<path d="M5.75 6a2.25 2.25 0 1 1 3.3 2c-.7.4-1.05.8-1.05 1.6"/><circle cx="8" cy="12.25" r=".4" fill="currentColor"/>`,
  ),
  send: icon(html`<path d="M8 13V3.5M4 7.25L8 3.25l4 4"/>`),
  speak: icon(
    html`<rect x="6" y="1.75" width="4" height="7.5" rx="2"/><path d="M3.5 7.75a4.5 4.5 0 0 0 9 0M8 12.25v2"/>`,
  ),
  chevron: icon(html`<path d="M4.5 6.5L8 10l3.5-3.5"/>`),
  eye: icon(
    html`<path d="M1.75 8S4 3.75 8 3.75 14.25 8 14.25 8 12 12.25 8 12.25 1.75 8 1.75 8z"/><circle cx="8" cy="8" r="1.75"/>`,
  ),
} as const;
