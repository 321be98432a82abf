// What an admin has said of an element that a run found on a changed page holds for every way in which a run finds things.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type AgentMode, runStep } from '../../core/agent/engine.ts';
import type { BrowserSession } from '../../core/ports/browser.ts';
import type { ActionResult, ConversationEnd, ModelHands, PageBrief } from '../../core/ports/model.ts';
import type { Proposal } from '../../core/workflow/known.ts';
import { stepSchema } from '../../core/workflow/steps/index.ts';
import { recordingRun } from '../core/agent/recording-run.ts';
import { openTestBrowser, type TestBrowser } from '../support/browser.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';

const PAGE = `<h1>Keys</h1>
<button type="button" id="add" onclick="out.textContent = 'ck_1'">New key</button>
<button type="button" id="show" onclick="out.textContent = 'ck_1'">Show the key</button>
<label>Consumer key <input id="consumer_key" name="consumer_key" value="ck_2" readonly></label>
<p id="out"></p>`;

let site: LoopbackSite;
let browser: TestBrowser;
let session: BrowserSession;
beforeAll(async () => {
  site = await serveSite({ '/keys': PAGE });
  browser = openTestBrowser({ privateTargets: [site.authority] });
});
afterAll(async () => {
  await browser.close();
  await site.close();
});
afterEach(() => session.close());

const base = { expectedResult: 'it shows', alternatives: [], permission: 'open_keys', timeoutMs: 5_000, failsWhen: [] };
const shown = { kind: 'value', locator: { by: 'css', selector: '#out' }, matches: 'ck_1' };
const gone = [{ by: 'css', selector: '#gone' }];

/** The button was called otherwise when it was recorded; the page has kept its id. */
const click = stepSchema.parse({
  ...{ ...base, order: 1, intent: 'Add a key', kind: 'click', action: 'click', risk: 'reads', isMutating: false },
  ...{ locators: gone, identities: [{ tag: 'button', role: 'button', name: 'Add key' }], postcondition: shown },
  fingerprint: { tag: 'button', type: 'button', role: 'button', name: 'Add key', text: 'Add key', id: 'add' },
});
/** Where the key stood has moved. */
const extract = stepSchema.parse({
  ...{ ...base, order: 2, intent: 'Show the key', kind: 'extract', action: 'copy', risk: 'creates', isMutating: true },
  locators: [{ by: 'css', selector: '#show' }],
  identities: [{ tag: 'button', type: 'button', role: 'button', name: 'Show the key' }],
  extract: {
    ready: shown,
    fields: {
      consumer_key: {
        ...{ locators: gone, matches: 'ck_2' },
        fingerprint: {
          tag: 'input',
          role: 'textbox',
          name: 'Consumer key',
          id: 'consumer_key',
          fieldName: 'consumer_key',
        },
      },
    },
  },
});

const generate = {
  ...{
    id: 'a',
    step: 1,
    isDiscarded: true,
    identity: { tag: 'button', type: 'button', role: 'button', name: 'New key' },
  },
  locators: [{ by: 'role', role: 'button', name: 'New key', exact: true }],
} as const satisfies Proposal;
const field = {
  ...{ id: 'b', step: 2, field: 'consumer_key', isDiscarded: true },
  identity: { tag: 'input', type: 'text', role: 'textbox', name: 'Consumer key' },
  locators: [{ by: 'css', selector: 'input[name="consumer_key"]' }],
} as const satisfies Proposal;

/** It does its best to press what the page calls “New key”, whatever it is answered. */
async function press(
  { maxTurns }: PageBrief,
  hands: ModelHands,
): Promise<ConversationEnd & { answers: ActionResult[] }> {
  const answers: ActionResult[] = [];
  let isOver = false;
  for (let turns = 0; turns < maxTurns && !isOver; turns++) {
    const read = await hands.perform({ kind: 'read', what: 'controls' });
    const ref = /\[(ref_\d+)\] button "New key"/.exec(read.kind === 'done' ? (read.text ?? '') : '')?.[1] ?? 'none';
    const answer = await hands.perform({ kind: 'click', at: { by: 'ref', ref } });
    answers.push(answer);
    isOver = answer.kind === 'over' || (await hands.isOver());
  }
  const usage = { model: 'm', inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0, usd: 0 };
  return { kind: isOver ? 'over' : 'gave_up', toolset: 'browser', turns: answers.length, words: '', usage, answers };
}

async function runWith(step: typeof click, proposals: readonly Proposal[], asked?: { readonly mode: AgentMode }) {
  session = await browser.browser.open({ origins: [site.origin] });
  await session.navigate(`${site.origin}/keys`, 10_000);
  const { run, calls, kept } = recordingRun({ session, base: site.origin, proposals, mode: asked?.mode ?? 'ladder' });
  const model = { reserve: async () => ({ settle: async () => {} }), converse: press };
  const result = await runStep(step, asked ? { ...run, model } : run);
  return { result, clicks: calls.filter((call) => call === 'click').length, kept };
}

describe('159 what an admin has discarded', () => {
  test('is not recognised any more by all that is known of the recorded element', async () => {
    const before = await runWith(click, []);
    expect(before).toMatchObject({ result: { kind: 'done', rung: 'relocated' }, clicks: 1 });
    expect(before.result).toMatchObject({ heals: [{ identity: generate.identity }] });
    await session.close();
    const { result, clicks } = await runWith(click, [generate]);
    const words =
      'For “Add a key” the page shows only what an admin discarded on the console’s page Workflows, where “Try it again” takes that back. Nothing was clicked or typed in this step.';
    expect(result).toMatchObject({ kind: 'failed', failure: 'identity_mismatch', words });
    expect(clicks).toBe(0);
  });

  test('is pressed by no model that wants to, also where the model is asked at every step', async () => {
    const before = await runWith(click, [], { mode: 'vision' });
    expect(before).toMatchObject({ result: { kind: 'done', rung: 'model' }, clicks: 1 });
    for (const mode of ['ladder', 'vision'] as const) {
      await session.close();
      const { result, clicks } = await runWith(click, [generate], { mode });
      expect(result).toMatchObject({ kind: 'failed', conversation: { kind: 'gave_up' } });
      expect(clicks).toBe(0);
    }
  });

  test('is no place to take a key from', async () => {
    const before = await runWith(extract, []);
    expect(before.result).toMatchObject({ kind: 'done', rung: 'relocated' });
    expect(before.kept.consumer_key?.reveal()).toBe('ck_2');
    await session.close();
    const { result, kept } = await runWith(extract, [field]);
    const words =
      '“Show the key” was clicked, but the consumer key stands only where an admin discarded it on the console’s page Workflows, where “Try it again” takes that back. Nothing was stored, and a new key may exist that nobody holds.';
    expect(result).toMatchObject({ kind: 'failed', failure: 'element_missing', words });
    expect(kept).toEqual({});
  });

  test('is that element alone: another one of the same name, found in no way that it was found in, is taken', async () => {
    const other = { ...generate, locators: [{ by: 'css', selector: '[id="other"]' }] } as const;
    expect(await runWith(click, [other])).toMatchObject({ result: { kind: 'done', rung: 'relocated' }, clicks: 1 });
  });
});
