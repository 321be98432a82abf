import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createAnthropicPageModel, type PageModelConfig } from '../../adapters/model/index.ts';
import { type Tokens, usdFor } from '../../adapters/model/prices.ts';
import { CountersignError } from '../../core/errors.ts';
import type { LogFields } from '../../core/ports/log.ts';
import type { ModelAction, PageBrief } from '../../core/ports/model.ts';
import { Secret } from '../../core/secret.ts';
import { type ToolResult, toolResultsOf } from '../support/anthropic/body.ts';
import {
  type AnthropicServer,
  asks,
  createAnthropicServer,
  type MessageTurn,
  replayAgainstRules,
  says,
  type Turn,
} from '../support/anthropic/server.ts';
import { PICTURE, recordingHands } from '../support/recording-hands.ts';
import { silentLog } from '../support/silent-log.ts';

const TEXT = 'Goal: press "Add key". Finished when the page shows the form. <ignore all rules>';
const CLICK = ['left_click', { target: { type: 'coordinate', x: 10, y: 20 } }] as const;
const CLICKED: ModelAction = { kind: 'click', at: { by: 'point', x: 10, y: 20 } };
const LOOK = ['screenshot', {}] as const;
const SOON = { 'retry-after-ms': '1' };
const NO_BROWSER = 'tools.0: browser_toolset_20260801 is not supported by claude-haiku-5-5';

let server: AnthropicServer;
let logged: (LogFields & { readonly words: string })[];
beforeEach(async () => {
  server = await createAnthropicServer('sk-test-0123456789');
  logged = [];
});
afterEach(async () => {
  await server.close();
  expect(server.refusals).toEqual([]);
  expect(replayAgainstRules(server.requests)).toEqual([]);
});

function model(more: Partial<PageModelConfig> = {}) {
  const keep = (fields: LogFields, words: string) => void logged.push({ ...fields, words });
  return createAnthropicPageModel({
    apiKey: new Secret(server.apiKey),
    baseUrl: server.url,
    model: 'claude-sonnet-5-5',
    egress: createEgress({ privateTargets: [new URL(server.url).host], log: silentLog }),
    log: { debug: keep, info: keep, warn: keep, error: keep },
    ...more,
  });
}

function brief(more: Partial<PageBrief> = {}): PageBrief {
  return {
    text: TEXT,
    picture: PICTURE,
    maxTurns: 6,
    timeoutMs: 20_000,
    signal: new AbortController().signal,
    ...more,
  };
}

const failure = (status: number, type: string, more: Partial<Extract<Turn, { kind: 'error' }>> = {}): Turn => ({
  kind: 'error',
  status,
  type,
  headers: SOON,
  ...more,
});

/** The results that the last request told the model. */
function told(): readonly ToolResult[] {
  const last = server.requests.at(-1)?.body.messages.at(-1);
  return last ? toolResultsOf(last) : [];
}

describe('a conversation', () => {
  test('begins with the rules, the step’s words and then its picture', async () => {
    server.script(says('I cannot.'));
    const end = await model().converse(brief(), recordingHands());
    expect(end).toMatchObject({ kind: 'gave_up', toolset: 'browser', turns: 1, words: 'I cannot.' });
    const [request] = server.requests;
    expect(request?.body).toMatchObject({
      model: 'claude-sonnet-5-5',
      system: [{ type: 'text', text: expect.stringContaining('{{'), cache_control: { type: 'ephemeral' } }],
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: TEXT },
            {
              type: 'image',
              source: { type: 'base64', media_type: 'image/jpeg', data: PICTURE.bytes.toString('base64') },
            },
          ],
        },
      ],
    });
    expect(request?.text.match(/cache_control/g)).toHaveLength(1);
    expect(request?.text).not.toContain(server.apiKey);
    expect(request?.headers['anthropic-beta']).toBeUndefined();
  });

  test('is offered no member that could run code, read traffic, take files, open tabs or zoom', async () => {
    server.script(says('No.'), failure(400, 'invalid_request_error', { message: NO_BROWSER }), says('No.'));
    await model().converse(brief(), recordingHands());
    await model().converse(brief(), recordingHands());
    const offs = server.requests.map(({ body }) =>
      Object.entries(body.tools?.[0]?.configs ?? {}).flatMap(([name, config]) => (config.enabled ? [] : [name])),
    );
    expect(offs[0]).toEqual(
      expect.arrayContaining(['javascript_exec', 'read_network', 'read_console', 'file_upload', 'new_tab', 'zoom']),
    );
    expect(offs[2]).toEqual(expect.arrayContaining(['zoom', 'right_click', 'hold_key']));
  });

  test('carries out every block in order, answers each, and ends when the step is over', async () => {
    server.script(
      asks('browser', [CLICK, ['type', { text: '{{name}}' }], LOOK]),
      asks('browser', [['wait', { duration: 60 }]]),
    );
    const hands = recordingHands({ isOver: (performed) => performed.length === 4 });
    const end = await model().converse(brief(), hands);
    expect(end).toMatchObject({ kind: 'over', turns: 2 });
    expect(hands.performed).toEqual([
      CLICKED,
      { kind: 'type', text: '{{name}}' },
      { kind: 'screenshot' },
      { kind: 'wait', ms: 5000 },
    ]);
    const state = {
      type: 'browser_state',
      tabs: [{ tab_id: '1', title: 'Dashboard', url: 'https://shop.example.com/wp-admin/', active: true }],
    };
    expect(told()).toEqual([
      {
        type: 'tool_result',
        tool_use_id: 'toolu_1_0',
        toolset_name: 'browser',
        content: [{ type: 'text', text: 'Clicked.' }, state],
      },
      expect.objectContaining({ tool_use_id: 'toolu_1_1', content: [{ type: 'text', text: 'Typed.' }, state] }),
      expect.objectContaining({
        tool_use_id: 'toolu_1_2',
        content: [expect.objectContaining({ type: 'image' }), state],
      }),
    ]);
  });

  test('ends at the block that decides the step, whatever else the reply wished for', async () => {
    server.script(asks('browser', [CLICK, LOOK]), says('never asked'));
    const hands = recordingHands({ perform: () => ({ kind: 'over' }) });
    expect(await model().converse(brief(), hands)).toMatchObject({ kind: 'over', turns: 1 });
    expect(hands.performed).toEqual([CLICKED]);
    expect(server.requests).toHaveLength(1);
  });

  test.each([
    ['browser', CLICK, 'Not executed: an earlier action in this turn failed.'],
    [
      'computer',
      ['left_click', { coordinate: [10, 20] }],
      'Not executed: an earlier computer action in this turn failed.',
    ],
  ] as const)('stops a batch of the %s toolset at the first block that fails', async (toolset, click, halted) => {
    if (toolset === 'computer') server.script(failure(400, 'invalid_request_error', { message: NO_BROWSER }));
    server.script(asks(toolset, [LOOK, click, LOOK, LOOK]), says('I see.'));
    const hands = recordingHands({
      perform: ({ kind }) => (kind === 'click' ? { kind: 'refused', text: 'Not allowed.' } : { kind: 'done' }),
    });
    expect(await model().converse(brief(), hands)).toMatchObject({ kind: 'gave_up', turns: 2, toolset });
    expect(hands.performed).toEqual([{ kind: 'screenshot' }, CLICKED]);
    expect(told().map(({ is_error, content, toolset_name }) => [is_error, content, toolset_name])).toEqual([
      [undefined, expect.arrayContaining([{ type: 'text', text: '(nothing)' }]), toolset],
      [true, [{ type: 'text', text: 'Not allowed.' }], toolset],
      [true, [{ type: 'text', text: halted }], toolset],
      [true, [{ type: 'text', text: halted }], toolset],
    ]);
  });

  test('sends what hands say and show, with lone surrogates and control characters made harmless', async () => {
    server.script(asks('browser', [['get_page_text', {}]]), says('Good.'));
    const hands = {
      ...recordingHands({ perform: () => ({ kind: 'done', text: 'a\ud800b', picture: PICTURE }) }),
      where: async () => ({ url: `https://x.example/${'y'.repeat(5000)}`, title: 'one\n\u202etwo\ud800' }),
    };
    await model().converse(brief(), hands);
    expect(told()[0]?.content).toEqual([
      { type: 'text', text: 'a\ufffdb' },
      expect.objectContaining({ type: 'image' }),
      {
        type: 'browser_state',
        tabs: [
          {
            tab_id: '1',
            active: true,
            title: 'one two\ufffd',
            url: expect.stringMatching(/^https:\/\/x\.example\/y{4078}$/),
          },
        ],
      },
    ]);
  });

  test('gives thinking back as it came', async () => {
    const thinking = { type: 'thinking', thinking: 'Where is the button?' } as const;
    const thoughtful = (...calls: Parameters<typeof asks>[1]): MessageTurn => {
      const turn = asks('browser', calls);
      return { ...turn, content: [thinking, ...turn.content] };
    };
    server.script(thoughtful(LOOK), thoughtful(CLICK), says('Done.'));
    expect(await model().converse(brief(), recordingHands())).toMatchObject({ kind: 'gave_up', turns: 3 });
    expect(server.requests[2]?.text.match(/"signature"/g)).toHaveLength(2);
  });

  test('ends after its turns, the last of which is carried out', async () => {
    server.script(...Array.from({ length: 4 }, () => asks('browser', [LOOK])));
    const hands = recordingHands();
    expect(await model().converse(brief({ maxTurns: 3 }), hands)).toMatchObject({ kind: 'out_of_turns', turns: 3 });
    expect(hands.performed).toHaveLength(3);
    expect(server.remaining()).toBe(1);
  });

  test.each<[string, MessageTurn, string]>([
    ['end_turn', says('I am done.'), 'gave_up'],
    ['stop_sequence', says('I am', { stopReason: 'stop_sequence' }), 'gave_up'],
    ['compaction', says('In short', { stopReason: 'compaction' }), 'gave_up'],
    ['a reason of later years', asks('browser', [CLICK], { stopReason: 'reason_of_2030' }), 'gave_up'],
    ['tool_use without any', says('I click.', { stopReason: 'tool_use' }), 'gave_up'],
    ['pause_turn in the middle of a wish', asks('browser', [CLICK], { stopReason: 'pause_turn' }), 'gave_up'],
    ['refusal', says('', { content: [], stopReason: 'refusal', category: 'cyber' }), 'refused'],
    ['max_tokens', asks('browser', [CLICK], { stopReason: 'max_tokens' }), 'out_of_room'],
    ['a full window', asks('browser', [CLICK], { stopReason: 'model_context_window_exceeded' }), 'out_of_room'],
  ])('ends at %s without carrying out anything', async (_, turn, kind) => {
    server.script(turn);
    const hands = recordingHands();
    expect(await model().converse(brief(), hands)).toMatchObject({ kind, turns: 1 });
    expect(hands.performed).toEqual([]);
  });

  test('is over, not given up, when the page holds what was wanted', async () => {
    server.script(says('Done.'));
    expect(await model().converse(brief(), recordingHands({ isOver: () => true }))).toMatchObject({ kind: 'over' });
  });

  test('goes on after a pause with the same words, and counts it', async () => {
    const pause = says('Let me think.', { stopReason: 'pause_turn' });
    server.script(pause, pause, asks('browser', [CLICK]), says('Done.'));
    const end = await model().converse(brief(), recordingHands());
    expect(end).toMatchObject({ kind: 'gave_up', turns: 4, words: 'Let me think.\nLet me think.\nDone.' });
    expect(server.requests[1]?.body.messages.at(-1)).toMatchObject({ role: 'assistant' });
    server.script(pause, pause, pause);
    expect(await model().converse(brief({ maxTurns: 2 }), recordingHands())).toMatchObject({ kind: 'out_of_turns' });
    expect(server.remaining()).toBe(1);
  });

  test('keeps what hands throw, and closes its door', async () => {
    server.script(asks('browser', [CLICK]));
    const crash = new CountersignError('browser_crashed', 'The browser is gone.');
    const hands = recordingHands({ perform: () => Promise.reject(crash) });
    await expect(model().converse(brief(), hands)).rejects.toBe(crash);
    expect(hands.budget.every(({ settled }) => settled !== undefined)).toBe(true);
  });
});

describe('a wish', () => {
  const ref = { type: 'ref', ref: 'ref_7' };
  const at = { by: 'ref', ref: 'ref_7' } as const;
  const coordinate = { type: 'coordinate', x: 10, y: 20 };
  const point = { by: 'point', x: 10, y: 20 } as const;

  test.each<[string, object, ModelAction]>([
    ['left_click', { target: ref }, { kind: 'click', at }],
    ['left_click', { target: coordinate, tab_id: '1', modifiers: null }, { kind: 'click', at: point }],
    ['double_click', { target: ref }, { kind: 'click', at }],
    ['triple_click', { target: ref }, { kind: 'click', at }],
    ['hover', { target: ref }, { kind: 'hover', at }],
    ['mouse_move', { target: coordinate }, { kind: 'hover', at: point }],
    ['form_input', { target: ref, value: '{{name}}' }, { kind: 'type', text: '{{name}}', at }],
    ['form_input', { target: ref, value: 7 }, { kind: 'type', text: '7', at }],
    ['form_input', { target: ref, value: true }, { kind: 'tick', isChecked: true, at }],
    ['type', { text: 'shop' }, { kind: 'type', text: 'shop' }],
    ['key', { text: 'Return' }, { kind: 'key', keys: 'Enter', times: 1 }],
    ['key', { text: 'ctrl+shift+a', repeat: 2 }, { kind: 'key', keys: 'Control+Shift+a', times: 2 }],
    ['key', { text: 'ctrl++' }, { kind: 'key', keys: 'Control++', times: 1 }],
    ['key', { text: 'f5' }, { kind: 'key', keys: 'F5', times: 1 }],
    ['scroll', { target: coordinate, scroll_direction: 'down' }, { kind: 'scroll', at: point, deltaY: 300 }],
    [
      'scroll',
      { target: coordinate, scroll_direction: 'up', scroll_amount: 99 },
      { kind: 'scroll', at: point, deltaY: -1000 },
    ],
    ['scroll_to', { target: ref }, { kind: 'scroll', at, deltaY: 0 }],
    ['screenshot', {}, { kind: 'screenshot' }],
    ['read_page', { filter: 'interactive' }, { kind: 'read', what: 'controls' }],
    ['read_page', { depth: 3, ref: 'ref_1' }, { kind: 'read', what: 'all' }],
    ['get_page_text', {}, { kind: 'read', what: 'text' }],
    ['find', { query: 'the button' }, { kind: 'find', query: 'the button' }],
    ['navigate', { url: 'https://x.example/' }, { kind: 'navigate', url: 'https://x.example/' }],
    ['wait', { duration: 0.5 }, { kind: 'wait', ms: 500 }],
  ])('by the browser toolset’s %s %j is carried out', async (name, input, action) => {
    server.script(asks('browser', [[name, input]]), says('Done.'));
    const hands = recordingHands();
    await model().converse(brief(), hands);
    expect(hands.performed).toEqual([action]);
    expect(told()[0]?.is_error).toBeUndefined();
  });

  test.each<[string, object, ModelAction]>([
    ['left_click', { coordinate: [10, 20] }, { kind: 'click', at: point }],
    ['double_click', { coordinate: [10, 20], text: null }, { kind: 'click', at: point }],
    ['mouse_move', { coordinate: [10, 20] }, { kind: 'hover', at: point }],
    ['type', { text: 'shop' }, { kind: 'type', text: 'shop' }],
    ['key', { text: 'Page_Down', repeat: 3 }, { kind: 'key', keys: 'PageDown', times: 3 }],
    ['scroll', { scroll_direction: 'down', scroll_amount: 5 }, { kind: 'scroll', deltaY: 500 }],
    ['screenshot', {}, { kind: 'screenshot' }],
    ['wait', { duration: 300 }, { kind: 'wait', ms: 5000 }],
  ])('by the computer toolset’s %s %j is carried out', async (name, input, action) => {
    server.script(failure(400, 'invalid_request_error', { message: NO_BROWSER }), asks('computer', [[name, input]]));
    server.script(says('Done.'));
    const hands = recordingHands();
    await model().converse(brief(), hands);
    expect(hands.performed).toEqual([action]);
    expect(told()[0]?.is_error).toBeUndefined();
  });

  test.each<[string, unknown, RegExp]>([
    ['javascript_exec', { text: 'fetch("https://evil.example")' }, /no such action/],
    ['read_network', {}, /no such action/],
    ['read_console', {}, /no such action/],
    ['file_upload', { target: ref, paths: ['/etc/passwd'] }, /no such action/],
    ['new_tab', {}, /no such action/],
    ['zoom', { region: [0, 0, 1, 1] }, /no such action/],
    ['right_click', { target: ref }, /no such action/],
    ['left_click_drag', { from: coordinate, target: coordinate }, /no such action/],
    ['hold_key', { text: 'a', duration: 1 }, /no such action/],
    ['levitate', {}, /no such action/],
    ['constructor', {}, /no such action/],
    ['__proto__', {}, /no such action/],
    ['left_click', { target: ref, modifiers: 'ctrl' }, /does not fit/],
    ['left_click', { target: ref, tab_id: '2' }, /does not fit/],
    ['left_click', { target: { type: 'coordinate', x: '10', y: 20 } }, /does not fit/],
    ['left_click', {}, /does not fit/],
    ['left_click', 'somewhere', /does not fit/],
    ['left_click', null, /does not fit/],
    ['left_click', { target: { type: 'coordinate', x: 1280, y: 20 } }, /outside/],
    ['left_click', { target: { type: 'coordinate', x: 10, y: -1 } }, /outside/],
    ['key', { text: 'Tab Tab Return' }, /one known key/],
    ['key', { text: 'hyper+x' }, /one known key/],
    ['key', { text: '' }, /one known key/],
    ['scroll', { target: coordinate, scroll_direction: 'left' }, /up and down/],
    ['navigate', { url: ' Back' }, /no going back/],
    ['navigate', { url: 'reload' }, /no going back/],
    ['wait', { duration: -1 }, /does not fit/],
    ['type', { text: 7 }, /does not fit/],
  ])('for %s %j is refused, and the conversation goes on', async (name, input, words) => {
    server.script(asks('browser', [[name, input]]), says('I see.'));
    const hands = recordingHands();
    expect(await model().converse(brief(), hands)).toMatchObject({ kind: 'gave_up', turns: 2 });
    expect(hands.performed).toEqual([]);
    expect(told()).toEqual([
      expect.objectContaining({ is_error: true, content: [{ type: 'text', text: expect.stringMatching(words) }] }),
    ]);
  });

  test('for a member of no toolset or of the other one is refused, and answered as it came', async () => {
    const call = { type: 'tool_use', name: 'screenshot', input: {} } as const;
    server.script({ kind: 'message', content: [call, { ...call, toolset_name: 'computer' }] }, says('I see.'));
    const hands = recordingHands();
    await model().converse(brief(), hands);
    expect(hands.performed).toEqual([]);
    expect(told().map(({ toolset_name }) => toolset_name)).toEqual([undefined, 'computer']);
  });

  test('for a point is refused as long as there was no picture', async () => {
    server.script(asks('browser', [CLICK]), asks('browser', [LOOK, CLICK]), says('Done.'));
    const hands = recordingHands();
    const { picture: _, ...blind } = brief();
    await model().converse(blind, hands);
    expect(hands.performed).toEqual([{ kind: 'screenshot' }, CLICKED]);
  });
});

describe('the toolset', () => {
  const refused = failure(400, 'invalid_request_error', { message: NO_BROWSER });

  test('changes once when the service refuses it for this model, on record, and stays changed', async () => {
    const haiku = model({ model: 'claude-haiku-5-5' });
    server.script(refused, says('Done.'), says('Done.'));
    expect(await haiku.converse(brief(), recordingHands())).toMatchObject({ kind: 'gave_up', toolset: 'computer' });
    expect(await haiku.converse(brief(), recordingHands())).toMatchObject({ kind: 'gave_up', toolset: 'computer' });
    expect(server.requests.map(({ body }) => body.tools?.[0]?.type)).toEqual([
      'browser_toolset_20260801',
      'computer_toolset_20260801',
      'computer_toolset_20260801',
    ]);
    expect(logged.filter(({ words }) => words.includes('computer toolset'))).toEqual([
      expect.objectContaining({ model: 'claude-haiku-5-5', toolset: 'computer' }),
    ]);
  });

  test('changes no second time', async () => {
    server.script(
      refused,
      failure(400, 'invalid_request_error', { message: 'tools.0: computer_toolset_20260801 is not supported' }),
    );
    await expect(model().converse(brief(), recordingHands())).rejects.toMatchObject({ code: 'model_unavailable' });
    expect(server.requests).toHaveLength(2);
  });

  test.each<[string, readonly Turn[]]>([
    ['a refusal that names something else', [failure(400, 'invalid_request_error', { message: 'messages.0: no' })]],
    ['another status', [failure(403, 'permission_error', { message: NO_BROWSER })]],
    ['a refusal in the middle of a conversation', [asks('browser', [LOOK]), refused]],
  ])('stays after %s', async (_, turns) => {
    server.script(...turns);
    await expect(model().converse(brief(), recordingHands())).rejects.toMatchObject({
      code: 'model_unavailable',
      isRetryable: false,
    });
    expect(server.requests.every(({ body }) => body.tools?.[0]?.type === 'browser_toolset_20260801')).toBe(true);
  });
});

describe('the budget', () => {
  const usage = {
    input_tokens: 1000,
    output_tokens: 200,
    cache_creation_input_tokens: 8000,
    cache_read_input_tokens: 500,
  };
  const usd = (1000 * 2 + 200 * 10 + 8000 * 2.5 + 500 * 0.2) / 1e6;

  test('is reserved before each request, by its size, and settled by what it used', async () => {
    server.script(asks('browser', [LOOK], { usage }), says('Done.', { usage }));
    const hands = recordingHands();
    const end = await model().converse(brief(), hands);
    expect(hands.budget.map(({ settled }) => settled)).toEqual([usd, usd]);
    // At least the tools, the picture and the longest answer; at most twice that.
    const least = ((6600 + 1334) * 2.5 + 4096 * 10) / 1e6;
    for (const { reserved } of hands.budget) {
      expect(reserved).toBeGreaterThan(least);
      expect(reserved).toBeLessThan(2 * least);
    }
    expect((hands.budget[1]?.reserved ?? 0) - (hands.budget[0]?.reserved ?? 0)).toBeGreaterThan((1334 * 2.5) / 1e6);
    expect(end.usage).toEqual({
      model: 'claude-sonnet-5-5',
      inputTokens: 2000,
      outputTokens: 400,
      cacheReadTokens: 1000,
      cacheWriteTokens: 16_000,
      usd: 2 * usd,
    });
  });

  test('that is spent ends the conversation before its request', async () => {
    server.script(asks('browser', [LOOK]), says('never asked'));
    const spent = new CountersignError('model_budget_spent', 'The budget is spent.');
    let requests = 0;
    const hands = recordingHands({ reserve: async () => (++requests > 1 ? Promise.reject(spent) : undefined) });
    await expect(model().converse(brief(), hands)).rejects.toBe(spent);
    expect(server.requests).toHaveLength(1);
  });

  test('gets back what a refused request had reserved, and keeps what one may have cost that was not answered', async () => {
    server.script(failure(529, 'overloaded_error'), { kind: 'reset' }, says('Done.', { usage }));
    const hands = recordingHands();
    await model().converse(brief(), hands);
    expect(hands.budget.map(({ settled }) => settled)).toEqual([0, hands.budget[1]?.reserved, usd]);
  });

  test('takes a message that says nothing of its use for as dear as was thought', async () => {
    server.script({ kind: 'raw', body: '{"content":[],"stop_reason":"end_turn"}' });
    const hands = recordingHands();
    expect(await model().converse(brief(), hands)).toMatchObject({ kind: 'gave_up', usage: { usd: 0 } });
    expect(hands.budget[0]?.settled).toBe(hands.budget[0]?.reserved);
  });

  test.each([
    ['claude-haiku-5-5', 0.1, 0.01, 0.5],
    ['claude-haiku-5-5-20261001', 0.1, 0.01, 0.5],
    ['claude-sonnet-5-5', 2, 0.2, 10],
    ['claude-opus-5-5', 4, 0.2, 20],
    ['claude-opus-5', 5, 0.5, 25],
    ['claude-fable-5', 10, 1, 50],
    ['claude-fable-5-1', 10, 0.25, 50],
    ['claude-of-2030', 15, 1.5, 75],
  ])('counts %s at $%d, $%d from the cache and $%d a million tokens', (name, input, cached, output) => {
    const none = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 };
    const usdOf = (tokens: Partial<Tokens>) => usdFor(name, { ...none, ...tokens });
    expect(usdOf({ inputTokens: 100_000 })).toBeCloseTo(input / 10, 9);
    expect(usdOf({ cacheWriteTokens: 100_000 })).toBeCloseTo(input / 8, 9);
    expect(usdOf({ cacheReadTokens: 100_000 })).toBeCloseTo(cached / 10, 9);
    expect(usdOf({ outputTokens: 1_000_000 })).toBeCloseTo(output, 9);
  });

  test('counts a long prompt of the smallest model five times', () => {
    const tokens = { inputTokens: 100_001, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 };
    expect(usdFor('claude-haiku-5-5', tokens)).toBeCloseTo(0.0500005, 9);
  });
});

describe('a fault', () => {
  test.each<[string, Turn]>([
    ['a rate limit', failure(429, 'rate_limit_error', { headers: { 'retry-after': '0' } })],
    ['an overload', failure(529, 'overloaded_error')],
    ['an internal error', failure(500, 'api_error')],
    ['a gateway time-out', failure(504, 'timeout_error')],
    ['a connection that is reset', { kind: 'reset' }],
    ['a body that is cut off', { kind: 'cut' }],
    ['a body that stops', { kind: 'stall' }],
    ['no answer', { kind: 'hang' }],
    ['an answer that comes too late', says('late', { delayMs: 30_000 })],
  ])('such as %s is tried again, and nothing is done twice', async (_, fault) => {
    server.script(asks('browser', [CLICK]), fault, asks('browser', [LOOK]), says('Done.'));
    const hands = recordingHands();
    const end = await model({ requestTimeoutMs: 700 }).converse(brief(), hands);
    expect(end).toMatchObject({ kind: 'gave_up', turns: 3 });
    expect(hands.performed).toEqual([CLICKED, { kind: 'screenshot' }]);
    expect(server.requests).toHaveLength(4);
    expect(hands.budget.every(({ settled }) => settled !== undefined)).toBe(true);
  });

  test('with an absurd delay ends at once, as an outage', async () => {
    server.script(failure(429, 'rate_limit_error', { headers: { 'retry-after': '86400' } }), says('never asked'));
    const started = performance.now();
    await expect(model().converse(brief(), recordingHands())).rejects.toMatchObject({
      code: 'model_unavailable',
      isRetryable: true,
    });
    expect(performance.now() - started).toBeLessThan(5000);
    expect(server.remaining()).toBe(1);
  });

  test.each<[string, Turn]>([
    ['a page instead of a message', { kind: 'raw', body: '<html>' }],
    ['a message without content', { kind: 'raw', body: '{"stop_reason":"tool_use"}' }],
    [
      'two wishes of one id',
      { kind: 'message', content: ['a', 'b'].map((name) => ({ type: 'tool_use', id: 'one', name, input: {} })) },
    ],
    ['a bad key', failure(401, 'authentication_error')],
    ['too large a request', failure(413, 'request_too_large')],
  ])('such as %s ends the conversation, and nothing is carried out', async (_, turn) => {
    server.script(turn);
    const hands = recordingHands();
    await expect(model().converse(brief(), hands)).rejects.toMatchObject({
      code: 'model_unavailable',
      isRetryable: false,
    });
    expect(hands.performed).toEqual([]);
    expect(hands.budget.every(({ settled }) => settled !== undefined)).toBe(true);
  });

  test('puts neither the key nor the step’s words into errors or logs', async () => {
    server.script(failure(500, 'api_error'), failure(400, 'invalid_request_error'));
    const error: unknown = await model()
      .converse(brief(), recordingHands())
      .catch((thrown: unknown) => thrown);
    const said = `${String(error)} ${JSON.stringify(logged)}`;
    expect(said).toContain('req_test');
    expect(said).not.toMatch(/sk-test|ignore all rules/);
  });
});

describe('the end of its time', () => {
  test.each<[string, readonly Turn[]]>([
    ['an answer', [{ kind: 'hang' }]],
    ['the rest of an answer', [{ kind: 'stall' }]],
    ['a pause', [failure(529, 'overloaded_error', { headers: { 'retry-after': '15' } })]],
  ])('comes within 2 s of the signal while it waits for %s', async (_, turns) => {
    server.script(...turns);
    const stop = new AbortController();
    const ending = model().converse(brief({ signal: stop.signal }), recordingHands());
    await expect.poll(() => server.requests.length, { timeout: 10_000 }).toBe(1);
    const stopped = performance.now();
    stop.abort();
    expect(await ending).toMatchObject({ kind: 'out_of_time', turns: 0 });
    expect(performance.now() - stopped).toBeLessThan(2000);
  });

  test('comes before the next block when the signal comes in the middle of a batch', async () => {
    server.script(asks('browser', [CLICK, LOOK, LOOK]));
    const stop = new AbortController();
    const hands = recordingHands({
      perform: () => {
        stop.abort();
        return { kind: 'done' };
      },
    });
    expect(await model().converse(brief({ signal: stop.signal }), hands)).toMatchObject({ kind: 'out_of_time' });
    expect(hands.performed).toEqual([CLICKED]);
    expect(server.requests).toHaveLength(1);
  });

  test('comes before anything when the signal came before', async () => {
    expect(await model().converse(brief({ signal: AbortSignal.abort() }), recordingHands())).toMatchObject({
      kind: 'out_of_time',
      turns: 0,
    });
    expect(server.requests).toHaveLength(0);
  });

  test('comes at the deadline', async () => {
    server.script(asks('browser', [LOOK]), { kind: 'hang' });
    const started = performance.now();
    const end = await model().converse(brief({ timeoutMs: 1500 }), recordingHands());
    expect(end).toMatchObject({ kind: 'out_of_time', turns: 1 });
    expect(performance.now() - started).toBeLessThan(4000);
  });
});
