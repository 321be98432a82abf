import { type Html, raw } from '../html.ts';

/** Plain shapes of our own on a 20 x 20 grid; WordPress uses its icon font here. */
const SHAPES = {
  dashboard:
    '<path d="M10 3a8 8 0 0 0-8 8c0 2 .7 4 2 5h12c1.3-1 2-3 2-5a8 8 0 0 0-8-8zm1 9.5a1.5 1.5 0 1 1-2-2l5-3z"/>',
  posts: '<path d="M12 2l6 6-2 1-2 .5-2 2 .5 3.5-1.5 1.5-3.5-3.5-4.5 4.5-.8-.8 4.5-4.5L3 8l1.5-1.5 3.5.5 2-2 .5-2z"/>',
  media: '<path d="M2 4h11v9H2zm2 2v5h7V6zM15 7h3v9H6v-2h9z"/>',
  pages: '<path d="M5 2h7l4 4v12H5zm6 1.5V7h3.5z"/>',
  comments: '<path d="M3 3h14v10h-7l-4 4v-4H3z"/>',
  woocommerce: '<path d="M2 5h16v9h-6l-2 3-2-3H2z"/>',
  products: '<path d="M2 4h16v4H2zM3 9h14v8H3zm5 1.5v1.5h4v-1.5z"/>',
  payments: '<path d="M2 4h16v3H2zm0 5h16v7H2zm2 3v2h4v-2z"/>',
  analytics: '<path d="M3 11h3v6H3zM8.5 6h3v11h-3zM14 2h3v15h-3z"/>',
  marketing: '<path d="M3 8h3l8-4v12l-8-4H3zm2 5h2.5l1 4H6zM15.5 8v4a2 2 0 0 0 0-4z"/>',
  appearance: '<path d="M14 2l4 4-7.5 7.5L6.5 9.5zM5.5 11l3.5 3.5c-1 2.5-4 3-7 2.5 1.5-1 1.5-5 3.5-6z"/>',
  plugins: '<path d="M6 2h2v4h4V2h2v4h2v3a6 6 0 0 1-5 5.9V18H9v-3.1A6 6 0 0 1 4 9V6h2z"/>',
  people: '<path d="M10 2.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7zM3 17c0-4 3-6 7-6s7 2 7 6z"/>',
  tools: '<path d="M17 5.5a4.5 4.5 0 0 1-6 4.200L5.5 16 3 14l6.3-6A4.5 4.5 0 0 1 14 3l-1.5 3 1.5 1.5z"/>',
  settings:
    '<path d="M8.5 2h3l.5 2.3 1.700 1 2.3-.8 1.5 2.5-1.700 1.700v2l1.700 1.700-1.5 2.5-2.3-.8-1.700 1-.5 2.3h-3L8 15.1l-1.700-1-2.3.8-1.5-2.5 1.700-1.700v-2L2.5 7 4 4.5l2.3.8 1.700-1zM10 7.3a2.700 2.700 0 1 0 0 5.400 2.700 2.700 0 0 0 0-5.400z"/>',
  collapse: '<path d="M10 2a8 8 0 1 1 0 16 8 8 0 0 1 0-16zm2 4l-5 4 5 4z"/>',
  home: '<path d="M10 2l8 7h-2v8h-4v-5H8v5H4V9H2z"/>',
  plus: '<path d="M8.5 3h3v5.5H17v3h-5.5V17h-3v-5.5H3v-3h5.5z"/>',
  eye: '<path d="M10 4.5c4 0 7 3 8.5 5.5-1.5 2.5-4.5 5.5-8.5 5.5S3 12.5 1.5 10C3 7.5 6 4.5 10 4.5zm0 2.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6z"/>',
} as const;

export type IconName = keyof typeof SHAPES;

export function icon(name: IconName): Html {
  return raw(`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">${SHAPES[name]}</svg>`);
}
