import { describe, expect, test } from 'vitest';
import { asks, says, type Turn } from '../support/anthropic/server.ts';
import { brief, CLICK, CLICKED, failure, LOOK, usePageModel } from '../support/page-model.ts';
import { recordingHands } from '../support/recording-hands.ts';

const page = usePageModel();

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
    page.server.script(asks('browser', [CLICK]), fault, asks('browser', [LOOK]), says('Done.'));
    const hands = recordingHands();
    const isSilent = fault.kind === 'stall' || fault.kind === 'hang' || fault.kind === 'message';
    const model = page.model(isSilent ? { requestTimeoutMs: 2500 } : {});
    const end = await model.converse(brief({ timeoutMs: 50_000 }), hands);
    expect(end).toMatchObject({ kind: 'gave_up', turns: 3 });
    expect(hands.performed).toEqual([CLICKED, { kind: 'screenshot' }]);
    expect(page.server.requests).toHaveLength(4);
    expect(hands.budget.every(({ settled }) => settled !== undefined)).toBe(true);
  });

  test('with an absurd delay ends at once, as an outage', async () => {
    page.server.script(failure(429, 'rate_limit_error', { headers: { 'retry-after': '86400' } }), says('never asked'));
    const started = performance.now();
    await expect(page.model().converse(brief(), recordingHands())).rejects.toMatchObject({
      code: 'model_unavailable',
      isRetryable: true,
    });
    expect(performance.now() - started).toBeLessThan(5000);
    expect(page.server.remaining()).toBe(1);
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
    page.server.script(turn);
    const hands = recordingHands();
    await expect(page.model().converse(brief(), hands)).rejects.toMatchObject({
      code: 'model_unavailable',
      isRetryable: false,
    });
    expect(hands.performed).toEqual([]);
    expect(hands.budget.every(({ settled }) => settled !== undefined)).toBe(true);
  });

  test('puts neither the key nor the step’s words into errors or logs', async () => {
    page.server.script(failure(500, 'api_error'), failure(400, 'invalid_request_error'));
    const error: unknown = await page
      .model()
      .converse(brief(), recordingHands())
      .catch((thrown: unknown) => thrown);
    const said = `${String(error)} ${JSON.stringify(page.logged)}`;
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
    page.server.script(...turns);
    const stop = new AbortController();
    const ending = page.model().converse(brief({ signal: stop.signal }), recordingHands());
    await expect.poll(() => page.server.requests.length, { timeout: 10_000 }).toBe(1);
    const stopped = performance.now();
    stop.abort();
    expect(await ending).toMatchObject({ kind: 'out_of_time', turns: 0 });
    expect(performance.now() - stopped).toBeLessThan(2000);
  });

  test('comes before the next block when the signal comes in the middle of a batch', async () => {
    page.server.script(asks('browser', [CLICK, LOOK, LOOK]));
    const stop = new AbortController();
    const hands = recordingHands({
      perform: () => {
        stop.abort();
        return { kind: 'done' };
      },
    });
    expect(await page.model().converse(brief({ signal: stop.signal }), hands)).toMatchObject({ kind: 'out_of_time' });
    expect(hands.performed).toEqual([CLICKED]);
    expect(page.server.requests).toHaveLength(1);
  });

  test('comes before anything when the signal came before', async () => {
    expect(await page.model().converse(brief({ signal: AbortSignal.abort() }), recordingHands())).toMatchObject({
      kind: 'out_of_time',
      turns: 0,
    });
    expect(page.server.requests).toHaveLength(0);
  });

  test('comes at the deadline', async () => {
    page.server.script(asks('browser', [LOOK]), { kind: 'hang' });
    const started = performance.now();
    const end = await page.model().converse(brief({ timeoutMs: 1500 }), recordingHands());
    expect(end).toMatchObject({ kind: 'out_of_time', turns: 1 });
    expect(performance.now() - started).toBeLessThan(4000);
  });
});
