/** Markup that is safe to send: made by `html`, which escapes, or by `raw`, which does not. */
export interface Html {
  readonly markup: string;
}

export type HtmlPart = Html | string | number | undefined | readonly HtmlPart[];

/** Template tag: every value is escaped unless it is `Html` itself; lists are joined; `undefined` leaves nothing. */
export function html(strings: TemplateStringsArray, ...parts: readonly HtmlPart[]): Html {
  const markup = strings.reduce((text, piece, index) => text + render(parts[index - 1]) + piece);
  return { markup };
}

/** For markup written by hand in this folder, never for anything that came with a request. */
export function raw(markup: string): Html {
  return { markup };
}

/** `when(isOpen, html`…`)`: the part, or nothing. */
export function when(condition: boolean, part: HtmlPart): HtmlPart {
  return condition ? part : undefined;
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#039;');
}

function render(part: HtmlPart): string {
  if (part === undefined) return '';
  if (typeof part === 'string') return escapeHtml(part);
  if (typeof part === 'number') return String(part);
  if ('markup' in part) return part.markup;
  return part.map(render).join('');
}
