import { describe, expect, test } from 'vitest';
import type { Locator } from '../../../core/ports/browser.ts';
import { knownElements } from '../../../core/workflow/known.ts';
import { draftOf } from '../../../core/workflow/recorder.ts';
import { EMPTY_KNOWLEDGE_BASE, mergeRecorded } from '../../../core/workflow/recorder-merge.ts';
import type { Look, RecordedEvent, Recording } from '../../../core/workflow/recording.ts';
import { checkWorkflows } from '../../../core/workflow/validate.ts';
import type { Workflow } from '../../../core/workflow/workflow.ts';

const BASE = 'https://shop.example.com';
const SPEC = { file: 'test/playwright/shop.spec.ts', commit: 'uncommitted', contentHash: 'sha256:00' };

const css = (selector: string): Locator => ({ by: 'css', selector });
const state = (path: string, sights: string[] = [], isLastGone = false) => ({
  url: BASE + path,
  sights: sights.map((name) => ({ role: 'heading', name })),
  isLastGone,
});
const field = (id: string, type = 'text'): Look => ({
  locators: [css(`#${id}`)],
  hasOwn: true,
  identity: { tag: 'input', type, role: 'textbox', name: id },
  fingerprint: { tag: 'input', type, id, name: id },
  code: `locator('#${id}')`,
  frames: [],
  isVisible: true,
});
const button = (name: string, code = `getByRole('button', { name: '${name}' })`): Look => ({
  locators: [{ by: 'role', role: 'button', name }, css('form > button')],
  hasOwn: true,
  identity: { tag: 'button', type: 'submit', role: 'button', name },
  fingerprint: { tag: 'button', type: 'submit', name, text: name },
  code,
  frames: [],
  isVisible: true,
});

const open = (path: string): RecordedEvent => ({
  ...{ kind: 'navigate', steps: [], url: BASE + path },
  before: { url: 'about:blank', sights: [], isLastGone: false },
});
type Act = Extract<RecordedEvent, { kind: 'act' }>;
const act = (action: Act['action'], look: Look, before: Act['before'], own: Partial<Act> = {}): Act => ({
  ...{ kind: 'act', action, look, before, steps: [], hasSent: false },
  ...(own.value === undefined ? {} : { valueAfter: own.value }),
  ...own,
});

function recording(events: RecordedEvent[], own: Partial<Recording> = {}): Recording {
  return {
    ...{ file: '/x/shop.spec.ts', line: 3, titles: ['Order shoes'], annotations: [], status: 'passed', errors: [] },
    ...{ base: BASE, inputs: [], secrets: [], results: [], calls: [], generators: [], events },
    ...own,
  };
}

function workflowOf(given: Recording): Workflow {
  const draft = draftOf(given, { spec: SPEC, recordedOn: '2026-11-25' });
  if (draft.kind === 'refused') throw new Error(draft.problems.join(' '));
  checkWorkflows([draft.workflow], { mayLackProbe: true });
  return draft.workflow;
}

function problemsOf(given: Recording): readonly string[] {
  const draft = draftOf(given, { spec: SPEC, recordedOn: '2026-11-25' });
  return draft.kind === 'refused' ? draft.problems : [];
}

describe('a recording', () => {
  test('becomes steps with placeholders, named by the spec’s own steps', () => {
    const events = [
      open('/orders/new?for=Ada%20L&back=https%3A%2F%2Fshop.example.com%2Forders'),
      act('fill', field('who'), state('/orders/new'), { value: 'Ada L', steps: ['Say for whom, “Ada L”'] }),
      act('click', button('Order for Ada L'), state('/orders/new')),
    ];
    const { steps, inputs, id } = workflowOf(
      recording(events, { inputs: [{ name: 'who', value: 'Ada L' }], final: state('/orders/10417') }),
    );
    expect([id, inputs]).toEqual(['shop_order-shoes', ['who']]);
    expect(steps.map(({ intent }) => intent)).toEqual([
      'Open /orders/new',
      'Say for whom, “{who}”',
      'Click “Order for {who}”',
    ]);
    expect(steps[0]).toMatchObject({ target: '{base}/orders/new?for={who}&back={base}%2Forders' });
    expect(steps[1]).toMatchObject({ value: '{who}', postcondition: { kind: 'value', equals: '{who}' } });
    expect(steps[2]).toMatchObject({
      locators: [{ by: 'role', role: 'button', name: 'Order for {who}' }],
      identities: [{ tag: 'button', name: 'Order for {who}' }],
    });
    expect(JSON.stringify(steps)).not.toMatch(/Ada|10417/);
  });

  test.each([
    {
      what: 'an address without data',
      to: '/orders/list?tab=open',
      says: { path: '{basePath}/orders/list', query: { tab: 'open' } },
    },
    { what: 'a number in the path', to: '/orders/17/lines?tab=open', says: { query: { tab: 'open' } } },
    { what: 'a slug of what was typed', to: '/lists/red-shoes-2/?tab=open', says: { query: { tab: 'open' } } },
    { what: 'passing parameters', to: '/done?_wpnonce=ab12cd&token=x&id=88123', says: { path: '{basePath}/done' } },
  ])('claims of the address after a click only what holds for other values: $what', ({ to, says }) => {
    const events = [
      open('/'),
      act('fill', field('q'), state('/'), { value: 'Red shoes' }),
      act('click', button('Next'), state('/')),
      act('click', button('More'), state('/middle')),
    ];
    const { steps } = workflowOf(recording(events, { inputs: [{ name: 'q', value: 'Red shoes' }], final: state(to) }));
    expect(steps[3]).toMatchObject({ postcondition: { kind: 'url', ...says } });
  });

  test('takes from the query of a form only what was typed as it is', () => {
    const events = [
      open('/'),
      act('fill', field('q'), state('/'), { value: 'Red shoes' }),
      act('select', field('size'), state('/'), { value: 'Large', valueAfter: 'l' }),
      act('click', button('Find'), state('/')),
    ];
    const inputs = [
      { name: 'q', value: 'Red shoes' },
      { name: 'size', value: 'Large' },
    ];
    const { steps } = workflowOf(recording(events, { inputs, final: state('/find?q=Red+shoes&size=l') }));
    expect(steps[3]).toMatchObject({ postcondition: { kind: 'url', path: '{basePath}/find', query: { q: '{q}' } } });
    expect(steps[2]).toMatchObject({ value: '{size}', postcondition: { kind: 'value', matches: '[\\s\\S]+' } });
  });

  test('finds an element that an input chooses by that input alone', () => {
    const radio: Look = {
      ...button('Blue'),
      ...{ code: "getByLabel('Blue')", identity: { tag: 'input', type: 'radio', role: 'radio', name: 'Blue' } },
      ...{
        locators: [{ by: 'label', text: 'Blue' }, css('#c3')],
        fingerprint: { tag: 'input', type: 'radio', id: 'c3', name: 'Blue' },
      },
    };
    const events = [open('/'), act('check', radio, state('/'), { isChecked: true })];
    const inputs = [{ name: 'colour', value: 'Blue' }];
    const { steps } = workflowOf(recording(events, { inputs, final: state('/') }));
    expect(steps[1]).toMatchObject({
      locators: [{ by: 'label', text: '{colour}' }],
      identities: [{ tag: 'input', type: 'radio', role: 'radio', name: '{colour}' }],
      fingerprint: { tag: 'input', type: 'radio', name: '{colour}' },
      bound: ['{colour}'],
    });
    const bySelector = {
      ...radio,
      code: "locator('[data-colour=Blue]')",
      locators: [css('[data-colour=Blue]'), css('#c3')],
    };
    const chosen = [open('/'), act('check', bySelector, state('/'), { isChecked: true })];
    expect(problemsOf(recording(chosen, { inputs }))).toEqual([
      expect.stringContaining('another value could not be put into'),
    ]);
  });

  test('makes the click before the results the one effect, and reads what shows without one', () => {
    const shown = { ...field('key'), code: "locator('#key')" };
    const events: RecordedEvent[] = [
      open('/'),
      { kind: 'result', name: 'plan', pattern: '\\w+', look: field('plan'), steps: [], before: state('/') },
      act('fill', field('label'), state('/'), { value: 'My key' }),
      act('click', button('Create'), state('/'), { hasSent: true }),
      { kind: 'result', name: 'api_key', pattern: 'k-\\d+', look: shown, steps: [], before: state('/') },
    ];
    const { steps, inputs } = workflowOf(
      recording(events, {
        inputs: [{ name: 'label', value: 'My key' }],
        results: [
          { name: 'plan', value: 'Gold' },
          { name: 'api_key', value: 'k-123456' },
        ],
      }),
    );
    expect(inputs).toEqual([]); // `label` is every workflow's
    expect(steps.map(({ kind, isMutating }) => [kind, isMutating])).toEqual([
      ['navigate', false],
      ['read', false],
      ['fill', false],
      ['extract', true],
    ]);
    expect(steps[3]).toMatchObject({ risk: 'creates', extract: { fields: { api_key: { matches: 'k-\\d+' } } } });
  });

  test('knows a result by what stands around it, never by what it says', () => {
    const shown: Look = {
      ...field('key'),
      identity: { tag: 'code', name: 'k-123456' },
      fingerprint: {
        tag: 'code',
        name: 'k-123456',
        text: 'k-123456',
        classes: ['mono'],
        neighbours: ['API key', 'My key'],
      },
    };
    const events: RecordedEvent[] = [
      open('/'),
      act('fill', field('label'), state('/'), { value: 'My key' }),
      act('click', button('Create'), state('/')),
      { kind: 'result', name: 'api_key', pattern: 'k-\\d+', look: shown, steps: [], before: state('/') },
    ];
    const inputs = [{ name: 'label', value: 'My key' }];
    const workflow = workflowOf(recording(events, { inputs, results: [{ name: 'api_key', value: 'k-123456' }] }));
    const fingerprint = { tag: 'code', classes: ['mono'], neighbours: ['API key'] };
    expect(workflow.steps[2]).toHaveProperty('extract.fields.api_key.fingerprint', fingerprint);
    expect(knownElements(workflow)).toContainEqual(expect.objectContaining({ step: 3, field: 'api_key', fingerprint }));
  });

  test('keep nothing that the page counts up or says of that day: numbers of orders, times, somebody’s address', () => {
    const settings: Look = {
      ...button('Settings'),
      fingerprint: {
        ...{ tag: 'a', name: 'Settings', text: 'Settings', href: '/orders/4711/settings', classes: ['nav-link'] },
        neighbours: ['Order 4711', 'Signed in as bob@example.org', 'Last seen 10:04', 'Account'],
        path: ['main Order 4711', 'navigation'],
      },
    };
    const workflow = workflowOf(recording([open('/'), act('click', settings, state('/'))], { final: state('/done') }));
    expect(workflow.steps[1]).toHaveProperty('fingerprint', {
      ...{ tag: 'a', name: 'Settings', text: 'Settings', classes: ['nav-link'] },
      ...{ neighbours: ['Account'], path: ['navigation'] },
    });
  });

  test('says of a click that the next step is on the page that it opened', () => {
    const events: RecordedEvent[] = [
      open('/'),
      act('click', button('Docs'), state('/'), { window: 0 }),
      act('click', button('Go on'), state('/docs'), { window: 1 }),
    ];
    const { steps } = workflowOf(recording(events, { final: state('/docs/2') }));
    expect(steps.map((step) => 'opensPage' in step)).toEqual([false, true, false]);
  });

  test('signs in by the steps up to the one that sends the secrets', () => {
    const events = [
      open('/login'),
      act('fill', field('name'), state('/login'), { value: 'ada' }),
      act('fill', field('password', 'password'), state('/login'), { value: 'p-w-9' }),
      act('click', button('Sign in'), state('/login'), { hasSent: true }),
      act('click', button('Delete everything'), state('/home'), { hasSent: true }),
    ];
    const secrets = [
      { name: 'user', value: 'ada' },
      { name: 'password', value: 'p-w-9' },
    ];
    const { steps } = workflowOf(recording(events, { secrets, final: state('/home') }));
    expect(steps.map(({ permission, risk }) => `${permission} ${risk}`)).toEqual([
      ...Array.from({ length: 4 }, () => 'sign_in reads'),
      'operate changes',
    ]);
  });

  const typed = (value: string, type = 'text') => [open('/'), act('fill', field('pin', type), state('/'), { value })];

  test.each([
    {
      what: 'a test that failed',
      given: recording(typed('1'), { status: 'failed', errors: ['It broke'] }),
      words: 'It broke',
    },
    { what: 'a test that opened nothing', given: recording([]), words: 'opened no page' },
    {
      what: 'a plain text in a password field',
      given: recording(typed('s3cret!', 'password')),
      words: 'wrap it as secret(',
    },
    {
      what: 'a plain text that looks like a key',
      given: recording(typed('ghp_16C7e42F292c6912E7710c838347Ae178B4a')),
      words: 'looks like a secret',
    },
    {
      what: 'another site',
      given: recording([{ ...open('/'), url: 'https://evil.example/' } as RecordedEvent]),
      words: 'stays on its site',
    },
    {
      what: 'what no step repeats',
      given: recording([
        open('/'),
        { kind: 'unsupported', what: 'a double click', isHarmless: false, steps: [], before: state('/') },
      ]),
      words: 'a double click',
    },
    {
      what: 'an element that nothing finds',
      given: recording([open('/'), act('click', { ...button('X'), locators: [] }, state('/'))]),
      words: 'nothing finds it',
    },
  ])('is refused: $what', ({ given, words }) => {
    expect(problemsOf(given).join(' ')).toContain(words);
  });

  const PASSWORD = 'Tr0ub4dor&3-horse';
  const secrets = [{ name: 'password', value: PASSWORD }];

  test.each([
    { where: 'a name', events: [act('click', button(`Forget ${PASSWORD}`), state('/'))] },
    { where: 'a value that redaction would take out anyway', events: [open(`/?password=${PASSWORD}`)] },
    { where: 'an address, encoded', events: [open(`/?p=${encodeURIComponent(PASSWORD)}`)] },
    { where: 'an address, in base64', events: [open(`/?p=${Buffer.from(PASSWORD).toString('base64')}`)] },
    { where: 'a title', events: [{ ...open('/'), steps: [`With ${PASSWORD}`] } as RecordedEvent] },
    {
      where: 'a fingerprint',
      events: [
        act(
          'click',
          { ...button('Go'), fingerprint: { tag: 'button', neighbours: [Buffer.from(PASSWORD).toString('hex')] } },
          state('/'),
        ),
      ],
    },
    {
      where: 'a part of what was typed',
      events: [act('fill', field('header'), state('/'), { value: `It is ${PASSWORD}` })],
    },
    {
      where: 'a frame',
      events: [act('click', { ...button('Go'), frames: [`${BASE}/${encodeURIComponent(PASSWORD)}`] }, state('/'))],
    },
  ])('is refused with a secret in $where, and the refusal names no value', ({ events }) => {
    const problems = problemsOf(recording([open('/'), ...events], { secrets, final: state('/') })).join(' ');
    expect(problems).toContain('The value of the secret password would stand in steps');
    expect(problems).not.toContain('Tr0ub4dor');
  });
});

describe('recorded again', () => {
  const first = (own: Partial<Recording> = {}) => ({
    workflow: workflowOf(
      recording([open('/'), act('click', button('Next'), state('/')), act('click', button('Pay'), state('/b'))], {
        final: state('/c'),
        ...own,
      }),
    ),
    hasOwnId: false,
    calls: [],
  });
  const known = mergeRecorded(EMPTY_KNOWLEDGE_BASE, [first()], '2026-11-25T00:00:00Z').knowledgeBase;

  test('under another title keeps its id, and the old title’s slug as an alias', () => {
    const { knowledgeBase, changes } = mergeRecorded(known, [first({ titles: ['Buy shoes'] })], '2026-11-26T00:00:00Z');
    expect(knowledgeBase.workflows).toMatchObject([
      { id: 'shop_order-shoes', name: 'Buy shoes', aliases: ['order-shoes'], version: 1 },
    ]);
    expect(changes[0]?.diff).toContain('  ~ name: "Order shoes" → "Buy shoes"');
  });

  test('without a difference is the same', () => {
    expect(mergeRecorded(known, [first()], '2026-11-26T00:00:00Z').changes).toEqual([
      { id: 'shop_order-shoes', kind: 'same', diff: [] },
    ]);
  });

  test('with another step has the next version, and says which step', () => {
    const events = [
      open('/'),
      act('click', button('Next'), state('/')),
      act('click', button('Buy'), state('/b')),
      act('click', button('Pay'), state('/b')),
    ];
    const longer = first({ events });
    const { knowledgeBase, changes } = mergeRecorded(known, [longer], '2026-11-26T00:00:00Z');
    expect(knowledgeBase.workflows).toMatchObject([{ id: 'shop_order-shoes', version: 2 }]);
    expect(changes[0]?.diff).toContain('  + step 3 click: Click “Buy”');
  });

  test('beside an unlike test of the same spec makes another workflow', () => {
    const other = first({
      titles: ['Cancel'],
      events: [open('/cancel'), act('click', button('Cancel'), state('/cancel'))],
    });
    const { knowledgeBase } = mergeRecorded(known, [first(), other], '2026-11-26T00:00:00Z');
    expect(knowledgeBase.workflows.map(({ id }) => id)).toEqual(['shop_order-shoes', 'shop_cancel']);
  });
});
