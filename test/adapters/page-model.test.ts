import { describe, expect, test } from 'vitest';
import { type Tokens, usdFor } from '../../adapters/model/prices.ts';
import { CountersignError } from '../../core/errors.ts';
import { asks, type MessageTurn, says, type Turn } from '../support/anthropic/server.ts';
import { brief, CLICK, CLICKED, failure, LOOK, NO_BROWSER, TEXT, usePageModel } from '../support/page-model.ts';
import { PICTURE, recordingHands } from '../support/recording-hands.ts';

const page = usePageModel();

describe('a conversation', () => {
  test('begins with the rules, the step’s words and then its picture', async () => {
    page.server.script(says('I cannot.'));
    const end = await page.model().converse(brief(), recordingHands());
    expect(end).toMatchObject({ kind: 'gave_up', toolset: 'browser', turns: 1, words: 'I cannot.' });
    const [request] = page.server.requests;
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
    expect(request?.text).not.toContain(page.server.apiKey);
    expect(request?.headers['anthropic-beta']).toBeUndefined();
  });

  test('is offered no member that could run code, read traffic, take files, open tabs or zoom', async () => {
    page.server.script(says('No.'), NO_BROWSER, says('No.'));
    await page.model().converse(brief(), recordingHands());
    await page.model().converse(brief(), recordingHands());
    const offs = page.server.requests.map(({ body }) =>
      Object.entries(body.tools?.[0]?.configs ?? {}).flatMap(([name, config]) => (config.enabled ? [] : [name])),
    );
    expect(offs[0]).toEqual(
      expect.arrayContaining(['javascript_exec', 'read_network', 'read_console', 'file_upload', 'new_tab', 'zoom']),
    );
    expect(offs[2]).toEqual(expect.arrayContaining(['zoom', 'right_click', 'hold_key']));
  });

  test('carries out every block in order, answers each, and ends when the step is over', async () => {
    page.server.script(
      asks('browser', [CLICK, ['type', { text: '{{name}}' }], LOOK]),
      asks('browser', [['wait', { duration: 60 }]]),
    );
    const hands = recordingHands({ isOver: (performed) => performed.length === 4 });
    const end = await page.model().converse(brief(), hands);
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
    expect(page.told()).toEqual([
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
    page.server.script(asks('browser', [CLICK, LOOK]), says('never asked'));
    const hands = recordingHands({ perform: () => ({ kind: 'over' }) });
    expect(await page.model().converse(brief(), hands)).toMatchObject({ kind: 'over', turns: 1 });
    expect(hands.performed).toEqual([CLICKED]);
    expect(page.server.requests).toHaveLength(1);
  });

  test.each([
    ['browser', CLICK, 'Not executed: an earlier action in this turn failed.'],
    [
      'computer',
      ['left_click', { coordinate: [10, 20] }],
      'Not executed: an earlier computer action in this turn failed.',
    ],
  ] as const)('stops a batch of the %s toolset at the first block that fails', async (toolset, click, halted) => {
    if (toolset === 'computer') page.server.script(NO_BROWSER);
    page.server.script(asks(toolset, [LOOK, click, LOOK, LOOK]), says('I see.'));
    const hands = recordingHands({
      perform: ({ kind }) => (kind === 'click' ? { kind: 'refused', text: 'Not allowed.' } : { kind: 'done' }),
    });
    expect(await page.model().converse(brief(), hands)).toMatchObject({ kind: 'gave_up', turns: 2, toolset });
    expect(hands.performed).toEqual([{ kind: 'screenshot' }, CLICKED]);
    expect(page.told().map(({ is_error, content, toolset_name }) => [is_error, content, toolset_name])).toEqual([
      [undefined, expect.arrayContaining([{ type: 'text', text: '(nothing)' }]), toolset],
      [true, [{ type: 'text', text: 'Not allowed.' }], toolset],
      [true, [{ type: 'text', text: halted }], toolset],
      [true, [{ type: 'text', text: halted }], toolset],
    ]);
  });

  test('sends what hands say and show, with lone surrogates and control characters made harmless', async () => {
    page.server.script(asks('browser', [['get_page_text', {}]]), says('Good.'));
    const hands = {
      ...recordingHands({ perform: () => ({ kind: 'done', text: 'a\ud800b', picture: PICTURE }) }),
      where: async () => ({ url: `https://x.example/${'y'.repeat(5000)}`, title: 'one\n\u202etwo\ud800' }),
    };
    await page.model().converse(brief(), hands);
    expect(page.told()[0]?.content).toEqual([
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
    page.server.script(thoughtful(LOOK), thoughtful(CLICK), says('Done.'));
    expect(await page.model().converse(brief(), recordingHands())).toMatchObject({ kind: 'gave_up', turns: 3 });
    expect(page.server.requests[2]?.text.match(/"signature"/g)).toHaveLength(2);
  });

  test('ends after its turns, the last of which is carried out', async () => {
    page.server.script(...Array.from({ length: 4 }, () => asks('browser', [LOOK])));
    const hands = recordingHands();
    expect(await page.model().converse(brief({ maxTurns: 3 }), hands)).toMatchObject({
      kind: 'out_of_turns',
      turns: 3,
    });
    expect(hands.performed).toHaveLength(3);
    expect(page.server.remaining()).toBe(1);
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
    page.server.script(turn);
    const hands = recordingHands();
    expect(await page.model().converse(brief(), hands)).toMatchObject({ kind, turns: 1 });
    expect(hands.performed).toEqual([]);
  });

  test('is over, not given up, when the page holds what was wanted', async () => {
    page.server.script(says('Done.'));
    expect(await page.model().converse(brief(), recordingHands({ isOver: () => true }))).toMatchObject({
      kind: 'over',
    });
  });

  test('goes on after a pause with the same words, and counts it', async () => {
    const pause = says('Let me think.', { stopReason: 'pause_turn' });
    page.server.script(pause, pause, asks('browser', [CLICK]), says('Done.'));
    const end = await page.model().converse(brief(), recordingHands());
    expect(end).toMatchObject({ kind: 'gave_up', turns: 4, words: 'Let me think.\nLet me think.\nDone.' });
    expect(page.server.requests[1]?.body.messages.at(-1)).toMatchObject({ role: 'assistant' });
    page.server.script(pause, pause, pause);
    expect(await page.model().converse(brief({ maxTurns: 2 }), recordingHands())).toMatchObject({
      kind: 'out_of_turns',
    });
    expect(page.server.remaining()).toBe(1);
  });

  test('keeps what hands throw, and closes its door', async () => {
    page.server.script(asks('browser', [CLICK]));
    const crash = new CountersignError('browser_crashed', 'The browser is gone.');
    const hands = recordingHands({ perform: () => Promise.reject(crash) });
    await expect(page.model().converse(brief(), hands)).rejects.toBe(crash);
    expect(hands.budget.every(({ settled }) => settled !== undefined)).toBe(true);
  });
});

describe('the toolset', () => {
  test('changes once when the service refuses it for this model, on record, and stays changed', async () => {
    const haiku = page.model({ model: 'claude-haiku-5-5' });
    page.server.script(NO_BROWSER, says('Done.'), says('Done.'));
    expect(await haiku.converse(brief(), recordingHands())).toMatchObject({ kind: 'gave_up', toolset: 'computer' });
    expect(await haiku.converse(brief(), recordingHands())).toMatchObject({ kind: 'gave_up', toolset: 'computer' });
    expect(page.server.requests.map(({ body }) => body.tools?.[0]?.type)).toEqual([
      'browser_toolset_20260801',
      'computer_toolset_20260801',
      'computer_toolset_20260801',
    ]);
    expect(page.logged.filter(({ words }) => words.includes('computer toolset'))).toEqual([
      expect.objectContaining({ model: 'claude-haiku-5-5', toolset: 'computer' }),
    ]);
  });

  test('changes no second time', async () => {
    page.server.script(
      NO_BROWSER,
      failure(400, 'invalid_request_error', { message: 'tools.0: computer_toolset_20260801 is not supported' }),
    );
    await expect(page.model().converse(brief(), recordingHands())).rejects.toMatchObject({ code: 'model_unavailable' });
    expect(page.server.requests).toHaveLength(2);
  });

  test.each<[string, readonly Turn[]]>([
    ['a refusal that names something else', [failure(400, 'invalid_request_error', { message: 'messages.0: no' })]],
    ['another status', [failure(403, 'permission_error', { message: 'browser_toolset_20260801' })]],
    ['a refusal in the middle of a conversation', [asks('browser', [LOOK]), NO_BROWSER]],
  ])('stays after %s', async (_, turns) => {
    page.server.script(...turns);
    await expect(page.model().converse(brief(), recordingHands())).rejects.toMatchObject({
      code: 'model_unavailable',
      isRetryable: false,
    });
    expect(page.server.requests.every(({ body }) => body.tools?.[0]?.type === 'browser_toolset_20260801')).toBe(true);
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
    page.server.script(asks('browser', [LOOK], { usage }), says('Done.', { usage }));
    const hands = recordingHands();
    const end = await page.model().converse(brief(), hands);
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
    page.server.script(asks('browser', [LOOK]), says('never asked'));
    const spent = new CountersignError('model_budget_spent', 'The budget is spent.');
    let requests = 0;
    const hands = recordingHands({ reserve: async () => (++requests > 1 ? Promise.reject(spent) : undefined) });
    await expect(page.model().converse(brief(), hands)).rejects.toBe(spent);
    expect(page.server.requests).toHaveLength(1);
  });

  test('gets back what a refused request had reserved, and keeps what one may have cost that was not answered', async () => {
    page.server.script(failure(529, 'overloaded_error'), { kind: 'reset' }, says('Done.', { usage }));
    const hands = recordingHands();
    await page.model().converse(brief(), hands);
    expect(hands.budget.map(({ settled }) => settled)).toEqual([0, hands.budget[1]?.reserved, usd]);
  });

  test('takes a message that says nothing of its use for as dear as was thought', async () => {
    page.server.script({ kind: 'raw', body: '{"content":[],"stop_reason":"end_turn"}' });
    const hands = recordingHands();
    expect(await page.model().converse(brief(), hands)).toMatchObject({ kind: 'gave_up', usage: { usd: 0 } });
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
