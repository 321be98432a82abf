import { PNG } from 'pngjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jpegOf, sizeOf } from './anthropic/images.ts';
import { RULES, type RuleName } from './anthropic/rules.ts';
import { type AnthropicServer, createAnthropicServer, replayAgainstRules, says } from './anthropic/server.ts';

type Json = Readonly<Record<string, unknown>>;

const MODEL = 'claude-sonnet-5-5';
const BROWSER = { type: 'browser_toolset_20260801' };
const COMPUTER = { type: 'computer_toolset_20260801' };
const LEGACY = { type: 'computer_20251124', name: 'computer', display_width_px: 1280, display_height_px: 800 };
const CUSTOM = { name: 'answer', input_schema: { type: 'object' } };
const USER = { role: 'user', content: 'hi' };
const TEXT = { type: 'text', text: 'Clicked.' };
const STATE = { type: 'browser_state', tabs: [{ tab_id: '1', title: '', url: '', active: true }] };

const good: Json = { model: MODEL, max_tokens: 10, messages: [USER], tools: [BROWSER] };

const picture = (width: number, height: number, bytes = jpegOf(width, height), media_type = 'image/jpeg') => ({
  type: 'image',
  source: { type: 'base64', media_type, data: bytes.toString('base64') },
});
const seen = (...pictures: readonly object[]): Json => ({ ...good, messages: [{ role: 'user', content: pictures }] });
const asked = (use: Json = {}) => ({
  role: 'assistant',
  content: [{ type: 'tool_use', id: 'toolu_1', name: 'left_click', toolset_name: 'browser', input: {}, ...use }],
});
const result = (more: Json = {}) => ({
  type: 'tool_result',
  tool_use_id: 'toolu_1',
  toolset_name: 'browser',
  content: [TEXT],
  ...more,
});
const told = (...results: readonly object[]) => ({ role: 'user', content: results });
/** A conversation in which one call was answered so. */
const answered = (more: Json, use: Json = {}): Json => ({ ...good, messages: [USER, asked(use), told(result(more))] });
const legacyOn = (model: string): Json => ({ ...good, model, tools: [LEGACY] });
const BETA = { 'anthropic-beta': 'computer-use-2025-11-24' };

let server: AnthropicServer;
beforeAll(async () => {
  server = await createAnthropicServer('key');
  server.improvise(() => says('Good.'));
});
afterAll(() => server.close());

function post(body: Json | string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return fetch(`${server.url}/v1/messages?beta=true`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: {
      authorization: 'Bearer key',
      'anthropic-version': '2026-10-21',
      'content-type': 'application/json',
      ...headers,
    },
  });
}

describe('what the rules allow', () => {
  test.each<[string, Json, Readonly<Record<string, string>>]>([
    ['a toolset', good, {}],
    ['both toolsets', { ...good, tools: [BROWSER, COMPUTER] }, {}],
    ['members switched off', { ...good, tools: [{ ...BROWSER, configs: { zoom: { enabled: false } } }] }, {}],
    ['a result with text, picture and state', answered({ content: [TEXT, picture(1280, 800), STATE] }), {}],
    ['a result in one text', answered({ content: 'Clicked.' }), {}],
    ['an error', answered({ is_error: true }), {}],
    ['a tab’s result', answered({ content: [STATE] }, { name: 'list_tabs' }), {}],
    ['no open tab', answered({ content: [{ type: 'browser_state', tabs: [] }] }), {}],
    ['the largest picture', seen(picture(2576, 1449)), {}],
    ['twenty large pictures', seen(...Array.from({ length: 20 }, () => picture(2100, 600))), {}],
    ['many small pictures', seen(...Array.from({ length: 30 }, () => picture(1280, 800))), {}],
    ['the old tool on an older model with its header', legacyOn('claude-opus-4-5'), BETA],
  ])('takes %s', async (_, body, headers) => {
    const response = await post(body, headers);
    expect([response.status, await response.text()]).toEqual([200, expect.any(String)]);
  });
});

/** A request for each way in which each rule can be broken. */
const BROKEN: readonly (readonly [rule: RuleName, what: string, Json | string, Readonly<Record<string, string>>?])[] = [
  ['headers', 'an old version', good, { 'anthropic-version': '2023-06-01' }],
  ['headers', 'another content type', good, { 'content-type': 'text/plain' }],
  ['no sampling parameters', 'temperature', { ...good, temperature: 1 }],
  ['no sampling parameters', 'top_p', { ...good, top_p: 1 }],
  ['no sampling parameters', 'top_k', { ...good, top_k: 1 }],
  ['the body has its shape', 'no JSON', '{'],
  ['the body has its shape', 'an unknown parameter', { ...good, functions: [] }],
  ['the body has its shape', 'an empty text', { ...good, messages: [{ role: 'user', content: '' }] }],
  ['the first message is the user’s', 'an assistant first', { ...good, messages: [asked(), told(result())] }],
  [
    'no prefill, unless the turn only paused',
    'a prefill',
    { ...good, messages: [USER, { role: 'assistant', content: 'I' }] },
  ],
  ['newest models take no forced tool', 'any', { ...good, tool_choice: { type: 'any' } }],
  [
    'newest models take no forced tool',
    'one',
    { ...good, tools: [CUSTOM], tool_choice: { type: 'tool', name: 'answer' } },
  ],
  ['newest models always think', 'disabled', { ...good, thinking: { type: 'disabled' } }],
  ...[
    { name: 'browser' },
    { display_width_px: 1280, display_height_px: 800 },
    { enable_zoom: true },
    { strict: true },
    { input_examples: [] },
    { defer_loading: true },
    { configs: { levitate: { enabled: true } } },
    { configs: { zoom: { name: 'z' } } },
  ].map(
    (more) => ['tools have their shape', JSON.stringify(more), { ...good, tools: [{ ...BROWSER, ...more }] }] as const,
  ),
  ['tools have their shape', 'a type nobody knows', { ...good, tools: [{ type: 'browser_20300101' }] }],
  [
    'tools have their shape',
    'the old tool without its size',
    { ...good, tools: [{ type: LEGACY.type, name: 'computer' }] },
  ],
  ['one toolset of a family', 'a second one', { ...good, tools: [BROWSER, BROWSER] }],
  ['names of tools are unique, and a toolset’s are taken', 'a twin', { ...good, tools: [CUSTOM, CUSTOM] }],
  ...['browser', 'computer'].map(
    (name) =>
      [
        'names of tools are unique, and a toolset’s are taken',
        name,
        { ...good, tools: [COMPUTER, { ...CUSTOM, name }] },
      ] as const,
  ),
  ['the model takes the tool', 'an older model with a toolset', { ...good, model: 'claude-haiku-4-5' }],
  ...['claude-sonnet-5-5', 'claude-opus-5-5', 'claude-haiku-5-5'].map(
    (model) => ['the model takes the tool', `the old tool on ${model}`, legacyOn(model), BETA] as const,
  ),
  ['a beta tool has its header', 'none', legacyOn('claude-opus-4-5')],
  [
    'a beta tool has its header',
    'another one',
    legacyOn('claude-opus-4-5'),
    { 'anthropic-beta': 'computer-use-2025-01-24' },
  ],
  [
    'a choice is among the tools, and no member',
    'no tools',
    { ...good, tools: undefined, tool_choice: { type: 'auto' } },
  ],
  [
    'a choice is among the tools, and no member',
    'a member',
    { ...good, model: 'claude-opus-4-8', tool_choice: { type: 'tool', name: 'screenshot' } },
  ],
  [
    'ids are unique',
    'the same call twice',
    { ...good, messages: [USER, asked(), told(result()), asked(), told(result())] },
  ],
  [
    'every tool_use is answered in the next message',
    'an answer too late',
    { ...good, messages: [USER, asked(), USER, told(result())] },
  ],
  [
    'every tool_use is answered in the next message',
    'one of two',
    {
      ...good,
      messages: [
        USER,
        { role: 'assistant', content: [...asked().content, ...asked({ id: 'toolu_2' }).content] },
        told(result()),
      ],
    },
  ],
  [
    'every tool_result answers a tool_use of the message before',
    'an id nobody knows',
    { ...good, messages: [told(result())] },
  ],
  [
    'every tool_result answers a tool_use of the message before',
    'two answers',
    { ...good, messages: [USER, asked(), told(result(), result())] },
  ],
  ['results come first', 'words before', { ...good, messages: [USER, asked(), told(TEXT, result())] }],
  ['toolset_name is the tool_use’s', 'missing', answered({ toolset_name: undefined })],
  ['toolset_name is the tool_use’s', 'wrong', answered({ toolset_name: 'computer' })],
  ['toolset_name is the tool_use’s', 'extra', answered({}, { toolset_name: undefined })],
  [
    'a member’s result is text, pictures and browser_state',
    'a document',
    answered({ content: [{ type: 'document' }] }),
  ],
  [
    'a member’s result is text, pictures and browser_state',
    'an empty text',
    answered({ content: [{ ...TEXT, text: '' }] }),
  ],
  [
    'a member’s result is text, pictures and browser_state',
    'an empty error',
    answered({ is_error: true, content: [] }),
  ],
  [
    'a member’s result is text, pictures and browser_state',
    'a computer with tabs',
    answered({ toolset_name: 'computer', content: [STATE] }, { toolset_name: 'computer' }),
  ],
  [
    'a member’s result is text, pictures and browser_state',
    'an empty list of changes',
    answered({ content: [{ ...STATE, state_changes: [] }] }),
  ],
  ['browser_state keeps its rules', 'two of them', answered({ content: [STATE, STATE] })],
  ['browser_state keeps its rules', 'one on an error', answered({ is_error: true, content: [TEXT, STATE] })],
  [
    'browser_state keeps its rules',
    'more than it for a tab',
    answered({ content: [TEXT, STATE] }, { name: 'new_tab' }),
  ],
  ['browser_state keeps its rules', 'none for a tab', answered({ content: [TEXT] }, { name: 'switch_tab' })],
  [
    'browser_state keeps its rules',
    'no active tab',
    answered({ content: [{ ...STATE, tabs: [{ tab_id: '1', title: '', url: '' }] }] }),
  ],
  [
    'browser_state keeps its rules',
    'one tab twice',
    answered({ content: [{ ...STATE, tabs: [...STATE.tabs, { tab_id: '1', title: '', url: '' }] }] }),
  ],
  [
    'browser_state keeps its rules',
    'a new tab that isn’t there',
    answered({ content: [{ ...STATE, state_changes: [{ type: 'tab_opened', tab_id: '2' }] }] }),
  ],
  [
    'pictures are what they say',
    'a PNG as JPEG',
    seen(picture(1, 1, PNG.sync.write(new PNG({ width: 1, height: 1 })))),
  ],
  ['pictures are what they say', 'no picture', seen(picture(1, 1, Buffer.from('not a picture')))],
  [
    'pictures are what they say',
    'too many bytes',
    seen(picture(1, 1, Buffer.concat([jpegOf(1, 1), Buffer.alloc(5_300_000)]))),
  ],
  ['pictures are not too large', 'too wide', seen(picture(2577, 100))],
  ['pictures are not too large', 'too many tokens', seen(picture(2576, 1484))],
  ['pictures are not too large', 'too large in a result', answered({ content: [picture(3000, 100)] })],
  [
    'pictures are not too large',
    'too large for an older model',
    { ...seen(picture(1600, 900)), model: 'claude-opus-4-6', tools: [] },
  ],
  [
    'many pictures are small',
    'one of 21',
    seen(...Array.from({ length: 20 }, () => picture(100, 100)), picture(2001, 100)),
  ],
  [
    'at most four cache marks',
    'five',
    seen(...Array.from({ length: 5 }, () => ({ ...TEXT, cache_control: { type: 'ephemeral' } }))),
  ],
];

describe('what the rules refuse', () => {
  const cases = BROKEN.map(([rule, what, body, headers = {}]) => [rule, what, body, headers] as const);
  test.each(cases)('%s: %s', async (rule, _, body, headers) => {
    const before = server.refusals.length;
    const response = await post(body, headers);
    expect([response.status, server.refusals[before]?.rule]).toEqual([400, rule]);
    expect(await response.json()).toMatchObject({
      type: 'error',
      error: { type: 'invalid_request_error', message: expect.any(String) },
      request_id: expect.any(String),
    });
  });

  test('has a request for every rule', () => {
    const ofThinking = ['thinking keeps its signature', 'thinking keeps what stands before it'];
    const covered = new Set<string>([...BROKEN.map(([rule]) => rule), ...ofThinking]);
    expect(Object.keys(RULES).filter((rule) => !covered.has(rule))).toEqual([]);
  });

  test('names the pictures that are too large', async () => {
    const response = await post(seen(...Array.from({ length: 21 }, () => picture(2001, 100))));
    expect(await response.json()).toMatchObject({
      error: {
        details: {
          error_code: 'image_dimensions_too_large',
          max_side_length_pixels: 2000,
          paths: expect.arrayContaining(['messages.0.content.0', 'messages.0.content.20']),
        },
      },
    });
  });
});

describe('a reply', () => {
  test('that thought goes back unchanged, with everything before it unchanged', async () => {
    server.script({
      kind: 'message',
      content: [
        { type: 'thinking', thinking: 'Hm.' },
        { type: 'text', text: 'Well.' },
      ],
    });
    const { content } = (await (await post(good)).json()) as { content: readonly Json[] }; // the stand-in's own message
    const [thinking, text] = content;
    const next = (thought: unknown, first: object = USER) =>
      post({ ...good, messages: [first, { role: 'assistant', content: [thought, text] }, USER] });
    const refusedAs = async (sent: Promise<Response>) => [(await sent).status, server.refusals.at(-1)?.rule];
    expect((await next(thinking)).status).toBe(200);
    expect(await refusedAs(next({ ...thinking, signature: 'x' }))).toEqual([400, 'thinking keeps its signature']);
    expect(await refusedAs(next({ ...thinking, thinking: 'Ha.' }))).toEqual([400, 'thinking keeps its signature']);
    expect(await refusedAs(next(thinking, { ...USER, content: 'ho' }))).toEqual([
      400,
      'thinking keeps what stands before it',
    ]);
  });

  test('that paused may be the last message when it goes back, and nothing else may', async () => {
    server.script(says('One moment.', { stopReason: 'pause_turn' }));
    const { content } = (await (await post(good)).json()) as { content: readonly Json[] }; // the stand-in's own message
    const sent = (said: readonly Json[]) => post({ ...good, messages: [USER, { role: 'assistant', content: said }] });
    expect((await sent(content)).status).toBe(200);
    expect((await sent([{ type: 'text', text: 'Another moment.' }])).status).toBe(400);
  });
});

test('requests on record are held against the rules once more', async () => {
  const own = await createAnthropicServer('key');
  own.script(says('Good.'));
  await fetch(`${own.url}/v1/messages`, {
    method: 'POST',
    body: JSON.stringify(good),
    headers: { authorization: 'Bearer key', 'anthropic-version': '2026-10-21', 'content-type': 'application/json' },
  });
  await own.close();
  expect(own.requests).toHaveLength(1);
  expect(replayAgainstRules(own.requests)).toEqual([]);
  const spoiled = own.requests.map((request) => ({ ...request, text: JSON.stringify({ ...good, top_k: 1 }) }));
  expect(replayAgainstRules(spoiled)).toMatchObject([{ rule: 'no sampling parameters' }]);
});

test('a picture’s size is read from its bytes', () => {
  const png = PNG.sync.write(new PNG({ width: 12, height: 34 }));
  expect(sizeOf(png)).toEqual({ mediaType: 'image/png', width: 12, height: 34 });
  expect(sizeOf(jpegOf(1280, 800))).toEqual({ mediaType: 'image/jpeg', width: 1280, height: 800 });
  expect(sizeOf(Buffer.from('GIF89a'))).toBeUndefined();
});
