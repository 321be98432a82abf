import { pictureTokens } from '../../adapters/model/prices.ts';
import { BROWSER } from '../../adapters/model/toolsets.ts';
import { toldIn } from '../attack/obedient-model.ts';
import type { MessagesBody } from '../support/anthropic/body.ts';
import { type AnthropicServer, asks, createAnthropicServer, says, type Turn } from '../support/anthropic/server.ts';

/** What the pages are looked at through; source: adapters/browser. */
const VIEWPORT = { width: 1280, height: 800 };
/** About the length of a token in English text, in characters. Source: platform.claude.com, glossary. */
const CHARACTERS_A_TOKEN = 4;
/** Of a reply, thinking included: what a turn with a toolset is reckoned with, in tokens. */
const REPLY_TOKENS = 250;

/**
 * A SIMULATION of the model: behind the loopback stand-in for the Messages API somebody answers at once who looks for the
 * control that the step names and points it out. What it costs is modelled: tokens by the length of what was really sent and
 * the size of its pictures, replies of a fixed length, and the cache as the service documents it.
 */
export async function createSimulatedModel(): Promise<AnthropicServer> {
  const server = await createAnthropicServer();
  const cached = new Set<string>();
  server.improvise((body) => {
    const turn = answerTo(body);
    return turn.kind === 'message' ? { ...turn, usage: usageOf(body, cached) } : turn;
  });
  return server;
}

/** A page's contents, as they are told. */
const READING = /^(\[ref_\d+\] |No controls\.)/m;
/** What was asked for in a page that has changed meanwhile; source: core/agent/model-hands.ts. */
const CHANGED = /(Look|Read the page) again\.$/m;

/**
 * First the control is looked for by its words, then it is pointed out; whoever is asked again has nothing to add, unless
 * the page has changed in between: then it is looked for once more.
 */
function answerTo(body: MessagesBody): Turn {
  const brief = textOf(body.messages[0]);
  const control = /^Last known control: (.+)\.$/m.exec(brief)?.[1] ?? '';
  const name = /“(.+)”/.exec(control)?.[1];
  const told = toldIn({ ...body, messages: body.messages.slice(-1) });
  if (body.messages.length === 1 || CHANGED.test(told)) return asks('browser', [['read_page', { filter: '' }]]);
  if (!READING.test(told)) return says('The step is done, as far as I see.');
  const beside = /^It stood beside: (.+)\.$/m.exec(brief)?.[1]?.split(' · ') ?? [];
  const ref = refIn(told, { control, name, beside, group: /^It is one of the group: (.+)\.$/m.exec(brief)?.[1] });
  if (ref === undefined) return says('I see no control that fits.');
  const target = { type: 'ref', ref };
  const task = /^What is to be done: (.+)\.$/m.exec(brief)?.[1] ?? '';
  if (/^(un)?tick/.test(task)) return asks('browser', [['form_input', { target, value: task.startsWith('tick') }]]);
  if (/\{\{value\}\}/.test(task)) return asks('browser', [['form_input', { target, value: '{{value}}' }]]);
  return asks('browser', [['left_click', { target }]]);
}

/** What the brief says of the control. */
interface Sought {
  readonly control: string;
  readonly name: string | undefined;
  readonly beside: readonly string[];
  readonly group: string | undefined;
}

/**
 * Of the controls of the group, if it has one, that were read the last with the same words, as a dialog's stands last; else
 * one of the same sort, beside the same words.
 */
function refIn(told: string, { control, name, beside, group }: Sought): string | undefined {
  const lines = Array.from(told.matchAll(/^\[(ref_\d+)\] (.*?) "(.*?)"(.*)$/gm), ([, ref, sort, words, rest]) => ({
    ...{ ref, sort: sort ?? '', words: words ?? '', rest: rest ?? '' },
  }));
  const print = control.replace(/ “.*/, '').split(' '); // tag, type and role, as far as they are on record
  const isText = print[0] === 'input' && (print.length === 1 || ['email', 'text', 'search'].includes(print[1] ?? ''));
  const sorts = print[1] === 'password' ? ['password field'] : [...print, ...(isText ? ['textbox'] : [])];
  const isOfGroup = (rest: string) => group === undefined || rest.startsWith(` of "${group}"`);
  const fits = lines.filter(({ sort, rest }) => sorts.includes(sort) && isOfGroup(rest));
  const named = fits.filter(({ words }) => words === name);
  const near = fits.filter(({ rest }) => beside.some((one) => rest.includes(one)));
  return (named.findLast((one) => near.includes(one)) ?? named.at(-1) ?? near[0] ?? fits[0])?.ref;
}

function textOf(message: MessagesBody['messages'][number] | undefined): string {
  const content = message?.content ?? '';
  if (typeof content === 'string') return content;
  return content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('\n');
}

/** Rules and tools are written into the cache by whoever comes first, and read from it by everybody after them. */
function usageOf({ system, messages }: MessagesBody, cached: Set<string>): Readonly<Record<string, number>> {
  const rules = JSON.stringify(system);
  const prefix = Math.ceil(rules.length / CHARACTERS_A_TOKEN) + BROWSER.definitionTokens;
  const isCached = cached.has(rules);
  cached.add(rules);
  let pictures = 0;
  const text = JSON.stringify(messages, (key, value: unknown) => {
    if (key !== 'data') return value;
    pictures++;
    return '';
  });
  return {
    input_tokens: Math.ceil(text.length / CHARACTERS_A_TOKEN) + pictures * pictureTokens(VIEWPORT),
    output_tokens: REPLY_TOKENS,
    cache_creation_input_tokens: isCached ? 0 : prefix,
    cache_read_input_tokens: isCached ? prefix : 0,
  };
}
