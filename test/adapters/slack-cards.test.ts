import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderBlocks, renderCard } from '../../adapters/slack/cards.ts';
import { renderForm } from '../../adapters/slack/forms.ts';
import { clipEscaped, readText } from '../../adapters/slack/text.ts';
import { clip } from '../../core/plain-text.ts';
import type { Block, Button, Card, Form, Span } from '../../core/ports/chat.ts';
import { problemsOfBlocks, problemsOfView } from '../support/slack/blocks.ts';
import { previewOf } from '../support/slack/preview.ts';
import { shownAs } from '../support/slack/reading.ts';

const THREAD = 'C0001:1700000000.000100';
const words = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.integer({ min: 0, max: 6_000 }).map((length) => '<&>🙂'.repeat(length)),
);
const person = { platform: 'slack', workspaceId: 'T0001', userId: 'U0001', name: 'Merchant' } as const;
const span: fc.Arbitrary<Span> = fc.oneof(
  words.map((text) => ({ kind: 'text', text }) as const),
  words.map((text) => ({ kind: 'bold', text }) as const),
  words.map((text) => ({ kind: 'code', text }) as const),
  fc.date({ noInvalidDate: false }).map((at) => ({ kind: 'time', at, form: 'datetime' }) as const),
  words.map((name) => ({ kind: 'person', person: { ...person, userId: name, name } }) as const),
  fc.constant({ kind: 'person', person } as const),
  fc.oneof(words, fc.webUrl()).map((url) => ({ kind: 'link', text: 'a link', url }) as const),
);
const text = fc.array(span, { maxLength: 4 });
const button: fc.Arbitrary<Button> = fc.record({
  ...{ label: words, action: words, value: words },
  style: fc.constantFrom('primary', 'plain', 'danger'),
  confirm: fc.record({ title: words, text: words, yes: words }),
});
const step = fc.record({
  state: fc.constantFrom('waiting', 'running', 'done', 'failed', 'unsure'),
  ...{ text: words, detail: words },
});
const flat: fc.Arbitrary<Block> = fc.oneof(
  text.map((given) => ({ kind: 'heading', text: given }) as const),
  fc.record({ kind: fc.constant('text'), text, tone: fc.constantFrom('plain', 'quiet', 'warning') }),
  fc.array(fc.record({ text, detail: words }), { maxLength: 60 }).map((items) => ({ kind: 'list', items }) as const),
  fc.array(step, { maxLength: 60 }).map((items) => ({ kind: 'steps', items }) as const),
  fc
    .array(fc.record({ label: words, value: text }), { maxLength: 12 })
    .map((rows) => ({ kind: 'facts', rows }) as const),
  text.map((given) => ({ kind: 'signature', tone: 'granted', text: given }) as const),
  fc.array(fc.tuple(text, text), { maxLength: 150 }).map(
    (rows) =>
      ({
        kind: 'table',
        caption: 'Steps',
        rows,
        columns: [
          { label: '#', align: 'right' },
          { label: 'Step', align: 'left' },
        ],
      }) as const,
  ),
  fc.record({ kind: fc.constant('feedback'), action: words, good: words, bad: words }),
  fc.array(button, { maxLength: 40 }).map((buttons) => ({ kind: 'actions', buttons }) as const),
);
const block: fc.Arbitrary<Block> = fc.oneof(
  flat,
  fc.record({ kind: fc.constant('details'), summary: words, blocks: fc.array(flat, { maxLength: 14 }) }),
);
const card: fc.Arbitrary<Card> = fc.record({ summary: words, blocks: fc.array(block, { maxLength: 80 }) });

describe('a card in Slack', () => {
  test.each(['full', 'plain'] as const)('breaks no limit of Slack, whatever it holds (%s)', (level) => {
    fc.assert(
      fc.property(card, (given) => {
        const message = renderCard(given, THREAD, level);
        expect(problemsOfBlocks(message.blocks)).toEqual([]);
        expect(message.text.length).toBeGreaterThan(0);
        expect(message.text.length).toBeLessThanOrEqual(4_000);
      }),
      { numRuns: 60 },
    );
  });

  test('keeps its buttons when the words before them are too many, and says that it was cut', () => {
    const lines = Array.from(
      { length: 70 },
      (_, index): Block => ({
        kind: 'text',
        text: [{ kind: 'text', text: `line ${index}` }],
      }),
    );
    const buttons: Button[] = [{ label: 'Approve', style: 'primary', action: 'approve', value: 'op-1' }];
    const { blocks } = renderCard({ summary: 'x', blocks: [...lines, { kind: 'actions', buttons }] }, THREAD);
    expect(blocks).toHaveLength(50);
    const shown = shownAs({ text: 'x', blocks }, new Map());
    expect(shown.buttons).toEqual(['Approve']);
    expect(shown.text).toContain('The rest is left out.');
  });

  test('shows no button whose value would be cut: it would decide about something else', () => {
    const buttons: Button[] = [{ label: 'Approve', style: 'primary', action: 'approve', value: 'x'.repeat(2_001) }];
    expect(renderCard({ summary: 'x', blocks: [{ kind: 'actions', buttons }] }, THREAD).blocks).toEqual([]);
  });

  test.each(['javascript:alert(1)', 'data:text/html,x', 'slack://open', 'nonsense'])(
    'makes no link and no button of %s',
    (url) => {
      const { blocks } = renderCard(
        {
          summary: 'x',
          blocks: [
            { kind: 'text', text: [{ kind: 'link', text: 'a link', url }] },
            { kind: 'actions', buttons: [{ label: 'Open', style: 'plain', action: '', value: '', url }] },
          ],
        },
        THREAD,
      );
      expect(JSON.stringify(blocks)).not.toContain(url);
      expect(JSON.stringify(blocks)).toContain('a link');
    },
  );

  test('calls nobody by words: only a person of Slack is named', () => {
    const everybody = '<!channel> <@U0002> <!here|x>';
    const spans: Span[] = [
      { kind: 'text', text: everybody },
      { kind: 'person', person: { ...person, platform: 'web' } },
      { kind: 'person', person },
    ];
    const blocks = (['plain', 'quiet', 'warning'] as const).map((tone): Block => ({ kind: 'text', tone, text: spans }));
    const message = renderCard({ summary: everybody, blocks }, THREAD);
    const shown = shownAs({ ...message }, new Map());
    expect(shown.mentions).toEqual(['U0001', 'U0001', 'U0001']);
    expect(message.text).toBe('&lt;!channel&gt; &lt;@U0002&gt; &lt;!here|x&gt;');
  });

  test('shows the home page within its own limits', () => {
    fc.assert(
      fc.property(fc.array(block, { maxLength: 120 }), (blocks) => {
        expect(problemsOfView({ type: 'home', blocks: renderBlocks(blocks, '') })).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });
});

describe('a form in Slack', () => {
  const option = fc.record({
    ...{ value: fc.string({ minLength: 1, maxLength: 20 }), label: words, help: words },
    ...{ isChecked: fc.boolean(), isLocked: fc.boolean() },
  });
  const field = fc.oneof(
    fc.record({ kind: fc.constant('text'), label: words, help: words, isRequired: fc.boolean(), initial: words }),
    fc.record({
      kind: fc.constant('checkboxes'),
      label: words,
      options: fc.array(option, { minLength: 1, maxLength: 25 }),
    }),
    fc.record({
      ...{ kind: fc.constant('choice'), label: words, help: words, isRequired: fc.boolean(), initial: words },
      options: fc.array(fc.record({ value: words, label: words }), { maxLength: 120 }),
    }),
    fc.record({
      ...{ kind: fc.constant('channels'), label: words, isRequired: fc.boolean() },
      initial: fc.constantFrom([], ['C0001']),
    }),
    fc.record({
      ...{ kind: fc.constant('people'), label: words, isRequired: fc.boolean() },
      initial: fc.constantFrom([], ['U0001', 'U0002']),
    }),
  );
  const form = fc
    .record({ title: words, submit: words, intro: words, fields: fc.array(field, { minLength: 1, maxLength: 6 }) })
    .map(({ fields, ...given }) => ({
      ...{ ...given, form: 'a-form', value: 'op-1 hash' },
      fields: fields.map((each, index) => ({ ...each, name: `field${index}` })),
    })) as fc.Arbitrary<Form>; // each field got the name that it lacked

  test('breaks no limit of Slack, whatever it asks', () => {
    fc.assert(
      fc.property(form, (given) => {
        expect(problemsOfView(renderForm(given, { workspaceId: 'T0001', channel: 'C0001' }))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  test('and every card have a preview that we can look at', () => {
    const looks = { title: 'x', names: new Map(), pictures: new Map(), timeZone: 'Europe/Berlin' };
    fc.assert(
      fc.property(form, fc.array(block, { maxLength: 10 }), (given, blocks) => {
        const view = { ...renderForm(given, { workspaceId: 'T0001', channel: 'C0001' }) };
        const message = { ...renderCard({ summary: 'x', blocks }, THREAD), ts: '1', user: 'U0BOT' };
        expect(previewOf({ ...looks, messages: [message], view })).toContain('Preview, drawn by Countersign');
      }),
      { numRuns: 20 },
    );
  });

  test('says a long help once and whole', () => {
    const help =
      'With pictures of a page that has changed, secrets blackened, and with sentences that I don’t understand.';
    const long = { value: 'model', label: 'The model may help', help, isChecked: true };
    const short = { value: 'own', label: 'Their own', help: 'It is on record.', isChecked: false };
    for (const options of [[long], [long, short]]) {
      const given: Form = {
        ...{ form: 'f', value: '', title: 'Rules', submit: 'Save' },
        fields: [{ kind: 'checkboxes', name: 'rules', label: 'Model', options }],
      };
      const drawn = JSON.stringify(renderForm(given, { workspaceId: 'T0001', channel: 'C0001' }));
      expect(drawn.split('With pictures')).toHaveLength(2);
      expect(drawn).toContain(help);
    }
  });
});

describe('text', () => {
  test('is cut between characters, and between entities', () => {
    expect(clip('🙂🙂🙂', 4)).toBe('🙂…');
    expect(clipEscaped('a&b', 4)).toBe('a…');
    expect(clipEscaped('a&b', 7)).toBe('a&amp;b');
  });

  test.each([
    [
      '<@U0BOT> set up WooCommerce for <http://shop.example.com|shop.example.com>',
      'set up WooCommerce for shop.example.com',
    ],
    ['set up <https://shop.example.com/a?b=1&amp;c=2>', 'set up https://shop.example.com/a?b=1&c=2'],
    ['<https://evil.example|shop.example.com>', 'https://evil.example'],
    ['<mailto:a@example.com|a@example.com> &lt;b&gt; &amp;amp;', 'a@example.com <b> &amp;'],
    ['<!channel> <#C1|general> <!subteam^S1|@ops>', '@channel general @ops'],
  ])('of a person is read as they meant it: %s', (written, read) => {
    expect(readText(written, 'U0BOT')).toBe(read);
  });
});
