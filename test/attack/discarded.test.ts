// What an admin has said of an element that a run found on a changed page holds for every way in which a run finds things.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isDiscarded } from '../../core/agent/discarded.ts';
import { type AgentMode, runStep } from '../../core/agent/engine.ts';
import { createStage } from '../../core/agent/stage.ts';
import type { ActionResult, ConversationEnd, ModelHands, PageBrief } from '../../core/ports/model.ts';
import { redact } from '../../core/redaction.ts';
import type { Discarded, Proposal } from '../../core/workflow/known.ts';
import { stepSchema } from '../../core/workflow/steps/index.ts';
import { recordingRun } from '../core/agent/recording-run.ts';
import { openTestBrowser, type TestBrowser } from '../support/browser.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';

const PAGE = `<h1>Keys</h1>
<button type="button" id="add" onclick="out.textContent = 'ck_1'">New key</button>
<button type="button" id="show" onclick="out.textContent = 'ck_1'">Show the key</button>
<label>Consumer key <input id="consumer_key" name="consumer_key" value="ck_2" readonly></label>
<p id="out"></p>`;

const button = (attributes: string, text = 'New key') => `<button type="button" ${attributes}>${text}</button>`;
const PLUS = '<style>.plus::before { content: "+ " }</style>';
/** What the first control of a page is, whether that is what was discarded, and how that stood there. */
const CASES: readonly (readonly [name: string, now: string, isIt: boolean, before?: string])[] = [
  [
    'an icon of a font before its words',
    PLUS + button('class="plus" id="add"'),
    true,
    PLUS + button('class="plus" id="add"'),
  ],
  ['its words in other letters', button('id="add"', 'NEW&nbsp; key'), true],
  ['letters that show nothing', button('id="add"', 'N\u200bew k\u00adey\u2060'), true],
  ['letters of another width', button('id="add"', 'Ｎew key'), true],
  ['letters of another script', button('id="add"', '\u039dew key'), true],
  ['another id', button('id="other"'), true],
  ['another id, and a twin', button('id="other"') + button('id="another"'), true],
  [
    'every way to find it another one',
    button('id="x" data-testid="x" name="x"') + button(''),
    true,
    button('data-testid="y"') + button(''),
  ],
  ['nothing to find it by but its words, twice', button('') + button(''), true],
  ['a link', '<a href="#" id="add">New key</a>', true],
  ['a label beside other words', button('id="add" aria-label="New key"', '+'), true],
  ['words like a secret', button('id="b"', 'Password: hunter2222x'), true, button('id="a"', 'Password: hunter2222x')],
  ['a number that counts on', button('id="add"', 'New key (4)'), true, button('id="add"', 'New key (3)')],
  [
    'in a shadow root',
    '<div><template shadowrootmode="open"><button type="button" id="x">New key</button></template></div>',
    true,
  ],
  ['in a frame', '<iframe src="/keys"></iframe>', true],
  // What an admin would not take for it.
  ['other words in its place', button('id="add"', 'Add a key'), false],
  ['the same words beside it', button('id="other"') + button('id="add"'), false],
  ['another number, found in other ways', button('id="b"', 'Key 2'), false, button('id="a"', 'Key 1')],
  ['a field', '<input id="add" aria-label="New key">', false],
];

let site: LoopbackSite;
let browser: TestBrowser;
beforeAll(async () => {
  const pages = CASES.flatMap(([, now, , before = button('id="add"')], i) => [
    [`/before-${i}`, before],
    [`/now-${i}`, now],
  ]);
  site = await serveSite({ '/keys': PAGE, ...Object.fromEntries(pages) });
  browser = openTestBrowser({ privateTargets: [site.authority] });
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

const base = { expectedResult: 'it shows', alternatives: [], permission: 'open_keys', timeoutMs: 8_000, failsWhen: [] };
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
    identity: { tag: 'button', type: 'button', role: 'button', name: 'New key' },
  },
  locators: [{ by: 'role', role: 'button', name: 'New key', exact: true }],
} as const satisfies Proposal;
const field = {
  ...{ id: 'b', step: 2, field: 'consumer_key' },
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

interface With {
  readonly mode?: AgentMode;
  /** As they were when the run began. */
  readonly proposals?: readonly Proposal[];
}

async function runWith(step: typeof click, discarded: readonly Discarded[], { mode, proposals = [] }: With = {}) {
  const session = await browser.browser.open({ origins: [site.origin] });
  await session.navigate(`${site.origin}/keys`, 10_000);
  const { run, calls, kept } = recordingRun({
    ...{ session, base: site.origin, proposals, discarded, mode: mode ?? 'ladder' },
  });
  const model = { reserve: async () => ({ settle: async () => {} }), converse: press };
  // What is to go well may take its time.
  const timed = discarded.length === 0 ? { ...step, timeoutMs: 15_000 } : step;
  const result = await runStep(timed, mode ? { ...run, model } : run);
  await session.close();
  return { result, clicks: calls.filter((call) => call === 'click').length, kept };
}

describe('159 what an admin has discarded', () => {
  test.concurrent('is not recognised any more by all that is known of the recorded element', async () => {
    const [before, { result, clicks }] = await Promise.all([runWith(click, []), runWith(click, [generate])]);
    expect(before).toMatchObject({ result: { kind: 'done', rung: 'relocated' }, clicks: 1 });
    expect(before.result).toMatchObject({ heals: [{ identity: generate.identity }] });
    const words =
      'For “Add a key” the page shows only what an admin discarded on the console’s page Workflows, where “Try it again” takes that back. Nothing was clicked or typed in this step.';
    expect(result).toMatchObject({ kind: 'failed', failure: 'identity_mismatch', words });
    expect(clicks).toBe(0);
  });

  test.concurrent('is pressed by no model that wants to, also where the model is asked at every step', async () => {
    const [before, ...after] = await Promise.all([
      runWith(click, [], { mode: 'vision' }),
      runWith(click, [generate], { mode: 'ladder' }),
      runWith(click, [generate], { mode: 'vision' }),
    ]);
    expect(before).toMatchObject({ result: { kind: 'done', rung: 'model' }, clicks: 1 });
    for (const one of after)
      expect(one).toMatchObject({ result: { kind: 'failed', conversation: { kind: 'gave_up' } }, clicks: 0 });
  });

  test.concurrent('is no place to take a key from', async () => {
    const [before, { result, kept }] = await Promise.all([runWith(extract, []), runWith(extract, [field])]);
    expect(before.result).toMatchObject({ kind: 'done', rung: 'relocated' });
    expect(before.kept.consumer_key?.reveal()).toBe('ck_2');
    const words =
      '“Show the key” was clicked, but the consumer key stands only where an admin discarded it on the console’s page Workflows, where “Try it again” takes that back. Nothing was stored, and a new key may exist that nobody holds.';
    expect(result).toMatchObject({ kind: 'failed', failure: 'element_missing', words });
    expect(kept).toEqual({});
  });

  test.concurrent('is not tried either where the run knows it by its locators, or by those of what was found another time', async () => {
    const again = { ...generate, id: 'c', locators: [{ by: 'css', selector: '[id="add"]' }] } as const;
    const [ofField, ...ofButton] = await Promise.all([
      runWith(extract, [field], { proposals: [field] }),
      runWith(click, [generate], { proposals: [generate] }),
      runWith(click, [generate], { proposals: [again] }),
    ]);
    for (const one of ofButton) expect(one).toMatchObject({ result: { kind: 'failed' }, clicks: 0 });
    expect([ofField.result.kind, ofField.kept]).toEqual(['failed', {}]);
  });

  test.concurrent('is taken where it stands as it was recorded: a page that is put right needs nobody', async () => {
    const found = { locators: [{ by: 'css', selector: '#add' }], identities: [generate.identity] };
    const { result, clicks } = await runWith(stepSchema.parse({ ...click, ...found, timeoutMs: 15_000 }), [generate]);
    expect([result, clicks]).toMatchObject([{ kind: 'done', rung: 'replayed' }, 1]);
  });

  test.concurrent('is what reads the same and does the same, whatever else it is by now, and nothing else', async () => {
    const session = await browser.browser.open({ origins: [site.origin] });
    const { run } = recordingRun({ session, base: site.origin });
    /** The control of the page that a run would take: its first. */
    const takes = async (path: string) => {
      await session.navigate(`${site.origin}${path}`, 10_000);
      const first = { by: 'css', selector: 'button, a, input', nth: 0 } as const;
      await session.waitFor([{ kind: 'visible', locator: first }], 10_000);
      const [candidate] = await session.survey({});
      const element = candidate && (await session.pick(candidate));
      if (!element) throw new Error(`there is no control: ${path}`);
      return element;
    };
    const found: Record<string, boolean> = {};
    for (const [i, [name]] of CASES.entries()) {
      const description = await session.describe(await takes(`/before-${i}`));
      if (!description) throw new Error(`no way finds it alone: ${name}`);
      const kept = JSON.stringify(description, (_, value) => (typeof value === 'string' ? redact(value, []) : value));
      const stage = createStage(click, [], { ...run, discarded: async () => [JSON.parse(kept)] }, {});
      found[name] = await isDiscarded(stage, await takes(`/now-${i}`));
    }
    await session.close();
    expect(found).toEqual(Object.fromEntries(CASES.map(([name, , isIt]) => [name, isIt])));
  });
});
