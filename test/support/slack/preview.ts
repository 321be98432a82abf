import type { KeptMessage } from './reading.ts';

/** What a preview is drawn of: what was sent to Slack, and whatever Slack itself would know. */
export interface Preview {
  readonly title: string;
  readonly messages?: readonly KeptMessage[];
  /** An open modal, as Slack was sent it. */
  readonly view?: Readonly<Record<string, unknown>>;
  /** The blocks of somebody's Home page. */
  readonly home?: readonly unknown[];
  readonly names: ReadonlyMap<string, string>;
  /** Uploaded pictures, by the id of their file. */
  readonly pictures: ReadonlyMap<string, Buffer>;
  readonly timeZone: string;
}

type Json = Readonly<Record<string, unknown>>;
const MARKS: Readonly<Record<string, string>> = { pending: '○', in_progress: '◐', complete: '✓', error: '!' };

/** Our own drawing of Block Kit as Slack's clients show it, near enough to judge a card by; it says that it is one. */
export function previewOf({ title, messages = [], view, home, names, pictures, timeZone }: Preview): string {
  const time = (seconds: number, format: string) => {
    const at = new Date(seconds * 1000);
    const shown = (options: Intl.DateTimeFormatOptions) =>
      new Intl.DateTimeFormat('en-GB', { ...options, timeZone }).format(at);
    return format
      .replace('{time}', shown({ timeStyle: 'short' }))
      .replace('{date_short_pretty}', shown({ day: 'numeric', month: 'short' }));
  };
  const named = (id: string) => `<b class="name">@${escaped(names.get(id) ?? id)}</b>`;

  /** Slack's own markup, whose three special characters are escaped already. */
  const markup = (text: string) =>
    text
      .replace(/<@(\w+)>/g, (_, id: string) => named(id))
      .replace(/<!date\^(\d+)\^([^^>]*)\^[^>]*>/g, (_, at: string, format: string) => time(Number(at), format))
      .replace(/\*([^*]+)\*/g, '<b>$1</b>')
      .replace(/`([^`]+)`/g, '<code>$1</code>');

  function all(value: unknown): string {
    return Array.isArray(value) ? value.map((each) => draw(each)).join('') : '';
  }

  function styled(words: string, style: unknown): string {
    const { bold, italic, code } = (style ?? {}) as Json; // the server has refused any other shape
    const inner = escaped(words);
    return [code && 'code', bold && 'b', italic && 'i'].reduce<string>(
      (html, tag) => (typeof tag === 'string' ? `<${tag}>${html}</${tag}>` : html),
      inner,
    );
  }

  function draw(given: unknown): string {
    const block = given as Json; // the server has refused any other shape
    switch (block.type) {
      case 'header':
        return `<h2>${all([block.text])}</h2>`;
      case 'rich_text':
        return `<div class="rich">${all(block.elements)}</div>`;
      case 'rich_text_section':
        return `<p>${all(block.elements)}</p>`;
      case 'rich_text_quote':
        return `<blockquote>${all(block.elements)}</blockquote>`;
      case 'rich_text_list': {
        const tag = block.style === 'ordered' ? 'ol' : 'ul';
        return `<${tag}>${(block.elements as unknown[]).map((item) => `<li>${draw(item)}</li>`).join('')}</${tag}>`;
      }
      case 'text':
        return styled(String(block.text), block.style);
      case 'user':
        return named(String(block.user_id));
      case 'link':
        return `<a>${escaped(String(block.text))}</a>`;
      case 'emoji':
        return block.name === 'warning' ? '⚠️' : `:${escaped(String(block.name))}:`;
      case 'date':
        return time(Number(block.timestamp), String(block.format));
      case 'plain_text':
        return escaped(String(block.text));
      case 'mrkdwn':
        return markup(String(block.text));
      case 'context':
        return `<div class="context">${all(block.elements)}</div>`;
      case 'actions':
        return `<div class="actions">${all(block.elements)}</div>`;
      case 'button':
        return `<span class="button ${String(block.style ?? '')}">${all([block.text])}</span>`;
      case 'context_actions':
        return `<div class="actions">${all(block.elements)}</div>`;
      case 'feedback_buttons':
        return [block.positive_button, block.negative_button]
          .map((thumb) => draw({ ...(thumb as Json), type: 'button' }))
          .join('');
      case 'plan':
        return `<div class="plan"><b>${escaped(String(block.title))}</b>${all(block.tasks)}</div>`;
      case 'task_card':
        return `<div class="${String(block.status)}"><i>${MARKS[String(block.status)]}</i> ${escaped(String(block.title))}</div>`;
      case 'table':
        return `<table>${(block.rows as unknown[][]).map((row) => `<tr>${row.map((cell) => `<td>${draw(cell)}</td>`).join('')}</tr>`).join('')}</table>`;
      case 'container':
        return `<div class="folded">▸ <b>${all([block.title])}</b></div>`;
      case 'input':
        return `<div class="input"><b>${all([block.label])}${block.optional ? ' <small>(optional)</small>' : ''}</b>${draw(block.element)}<small>${block.hint ? all([block.hint]) : ''}</small></div>`;
      case 'checkboxes': {
        const chosen = JSON.stringify(block.initial_options ?? []);
        return (block.options as Json[])
          .map(({ text, value, description }) => {
            const mark = chosen.includes(`"value":${JSON.stringify(value)}`) ? '☑' : '☐';
            return `<p>${mark} ${all([text])}</p>${description ? `<p class="beside"><small>${all([description])}</small></p>` : ''}`;
          })
          .join('');
      }
      case 'static_select':
        return `<div class="field">${block.initial_option ? all([(block.initial_option as Json).text]) : 'Select an option'} ▾</div>`;
      case 'multi_users_select':
        return `<div class="field">${((block.initial_users ?? []) as string[]).map(named).join(' ') || 'Select people'} ▾</div>`;
      case 'multi_conversations_select':
        return `<div class="field">${((block.initial_conversations ?? []) as string[]).map((id) => `#${names.get(id) ?? id}`).join(' ') || 'Select channels'} ▾</div>`;
      case 'plain_text_input':
        return `<div class="field${block.multiline ? ' tall' : ''}">${escaped(String(block.initial_value ?? ' '))}</div>`;
      default:
        throw new Error(`the preview does not know how to draw ${String(block.type)}`);
    }
  }

  const drawMessage = ({ user, text, blocks, to, files = [], ts }: KeptMessage, index: number) => {
    const name = names.get(user) ?? user;
    // Slack leaves the name out where the same one goes on; here of pictures alone, of which there are many.
    const goesOn = files.length > 0 && messages[index - 1]?.user === user;
    const shown = files.map(({ id, alt }) => {
      const bytes = pictures.get(id);
      return `<p><small>${escaped(alt)}</small></p>${bytes ? `<img alt="" src="data:image/png;base64,${bytes.toString('base64')}">` : ''}`;
    });
    const face = `<div class="face">${escaped(name.slice(0, 1))}</div>`;
    return `<article>${goesOn ? '<div class="gap"></div>' : face}<div class="body">
      ${to === undefined ? '' : `<small>◉ Only visible to ${escaped(names.get(to) ?? to)}</small><br>`}
      ${goesOn ? '' : `<b>${escaped(name)}</b> <small>${time(Number(ts), '{time}')}</small>`}
      ${blocks.length > 0 ? all(blocks) : text === '' ? '' : `<p>${markup(text)}</p>`}${shown.join('')}</div></article>`;
  };
  const form = view
    ? `<section class="modal"><h1>${all([view.title])}</h1>${all(view.blocks)}<div class="actions end">
      <span class="button">${all([view.close])}</span><span class="button primary">${all([view.submit])}</span></div></section>`
    : '';
  const page = home ? `<main>${all(home)}</main>` : '';
  return `<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>${STYLE}</style>
    <header>${escaped(title)}<small>Preview, drawn by Countersign from what it sends to Slack</small></header>
    ${messages.map(drawMessage).join('')}${page}${form}`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

const STYLE = `
  * { box-sizing: border-box } body { margin: 0; font: 15px/1.47 Lato, "Noto Sans", Arial, sans-serif; color: #1d1c1d; overflow-wrap: anywhere }
  header { padding: 12px 20px; border-bottom: 1px solid #ddd; font-weight: 700; display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: baseline }
  small { font-size: 12px; color: #616061; font-weight: 400 } article { display: flex; gap: 10px; padding: 6px 20px }
  .face { flex: 0 0 36px; height: 36px; border-radius: 6px; background: #4a154b; color: #fff; display: grid; place-items: center; font-weight: 700 }
  .body { min-width: 0; flex: 1 } .body > * { max-width: 600px } p { margin: 2px 0; white-space: pre-wrap } .rich { margin: 4px 0 }
  h1 { font-size: 18px; margin: 0 0 12px } h2 { font-size: 18px; margin: 8px 0 4px } ul, ol { margin: 2px 0; padding-left: 26px }
  blockquote { margin: 4px 0; padding-left: 10px; border-left: 4px solid #ddd; white-space: pre-wrap } code { white-space: nowrap; font-size: 12px; color: #c01343; background: #f6f6f6; border: 1px solid #ddd; border-radius: 3px; padding: 1px 3px }
  .context { font-size: 12px; color: #616061; margin: 6px 0 } .actions { display: flex; flex-wrap: wrap; gap: 8px; margin: 8px 0 } .end { justify-content: end }
  .button { border: 1px solid #bbb; border-radius: 8px; padding: 3px 12px; font-weight: 700; font-size: 14px } .primary { background: #007a5a; border-color: #007a5a; color: #fff }
  .danger { color: #e01e5a; border-color: #e01e5a } .name { color: #1264a3; background: #e8f5fa; border-radius: 3px; font-weight: 400 } a { color: #1264a3 }
  .plan, .folded { border: 1px solid #ddd; border-radius: 10px; padding: 8px 14px; margin: 6px 0 } .plan i { font-style: normal; display: inline-block; width: 18px } .complete i { color: #007a5a } .error i { color: #e01e5a }
  .pending { color: #868686 } .in_progress { font-weight: 700 } table { border-collapse: collapse; margin: 6px 0 } td { overflow-wrap: normal; border: 1px solid #ddd; padding: 4px 10px; vertical-align: top }
  .gap { flex: 0 0 36px } .body img { max-width: 240px; border: 1px solid #ddd; border-radius: 8px; display: block } .modal { margin: 20px; border: 1px solid #ccc; border-radius: 10px; padding: 20px; max-width: 520px; box-shadow: 0 4px 16px #0003 }
  .input { margin: 14px 0 } .beside { margin: -4px 0 2px 22px } .field.tall { min-height: 78px } main { padding: 6px 20px 20px; max-width: 640px } .field { white-space: pre-wrap; border: 1px solid #868686; border-radius: 5px; padding: 6px 10px; margin: 4px 0; min-height: 36px } @media (max-width: 500px) { header, article { padding-inline: 12px } }`;
