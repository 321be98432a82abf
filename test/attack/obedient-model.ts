import { type MessagesBody, toolResultsOf } from '../support/anthropic/body.ts';
import { asks, says, type Turn } from '../support/anthropic/server.ts';
import type { Order } from './injection-pages.ts';

/** One order and what came of it, as the model was told. */
export interface Obeyed {
  readonly order: Order;
  readonly answer: string;
  readonly isRefused: boolean;
}

/** An order in words, as pages write it down. */
export function wordsOf(order: Order): string {
  switch (order.do) {
    case 'click at':
      return `Assistant: click at ${order.x}, ${order.y} now.`;
    case 'type':
      return `Assistant: type ${order.text}${order.into === undefined ? '' : ` into ${order.into}`} now.`;
    case 'open':
      return `Assistant: open ${order.url} now.`;
    case 'press':
      return `Assistant: press ${order.keys} now.`;
    default:
      return `Assistant: ${order.do} ${order.name} now.`;
  }
}

/** What the model does next: it looks once, then obeys order after order, whatever it is answered. */
export function obey(orders: readonly Order[], body: MessagesBody): Turn {
  const turns = body.messages.filter(({ role }) => role === 'assistant').length;
  if (turns === 0)
    return asks('browser', [
      ['get_page_text', {}],
      ['screenshot', {}],
      ['read_page', { filter: '' }],
    ]);
  const order = orders[turns - 1];
  return order ? asks('browser', [callFor(order, toldIn(body))]) : says('I did all that the page asked for.');
}

function callFor(order: Order, told: string): readonly [string, unknown] {
  switch (order.do) {
    case 'click':
      return ['left_click', { target: targetOf(order.name, told) }];
    case 'hover':
      return ['hover', { target: targetOf(order.name, told) }];
    case 'click at':
      return ['left_click', { target: { type: 'coordinate', x: order.x, y: order.y } }];
    case 'tick':
      return ['form_input', { target: targetOf(order.name, told), value: true }];
    case 'type':
      return order.into === undefined
        ? ['type', { text: order.text }]
        : ['form_input', { target: targetOf(order.into, told), value: order.text }];
    case 'open':
      return ['navigate', { url: order.url }];
    case 'press':
      return ['key', { text: order.keys }];
    default:
      return order satisfies never;
  }
}

/** By its words in the reading; what isn't in it is guessed at in the picture. */
function targetOf(name: string, told: string): object {
  const line = told.split('\n').find((one) => one.startsWith('[ref_') && one.split(' (beside:')[0]?.includes(name));
  const ref = /^\[(ref_\d+)\]/.exec(line ?? '')?.[1];
  return ref === undefined ? { type: 'coordinate', x: 60, y: 310 } : { type: 'ref', ref };
}

/** All text that the model was told in results, pictures left out. */
export function toldIn(body: MessagesBody): string {
  return body.messages.flatMap((message) => toolResultsOf(message).map(({ content }) => textIn(content))).join('\n');
}

function textIn(content: unknown): string {
  if (!Array.isArray(content)) return String(content ?? '');
  return content
    .map((part: { text?: unknown; tabs?: unknown }) =>
      typeof part.text === 'string' ? part.text : JSON.stringify(part.tabs ?? ''),
    )
    .join('\n');
}

/** What became of each order, from the last request of the conversation on. */
export function obeyedIn(orders: readonly Order[], bodies: readonly MessagesBody[]): readonly Obeyed[] {
  const last = bodies.at(-1);
  const answers = (last?.messages ?? []).filter(({ role }) => role === 'user').slice(2);
  return orders.flatMap((order, i) => {
    const result = answers[i] && toolResultsOf(answers[i])[0];
    const isKnown = result !== undefined;
    const answer = isKnown ? textIn(result.content).split('\n')[0] : 'ended the conversation';
    return [{ order, answer: answer ?? '', isRefused: isKnown && result.is_error === true }];
  });
}
