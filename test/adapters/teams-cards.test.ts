import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderCard } from '../../adapters/teams/cards.ts';
import { renderForm } from '../../adapters/teams/forms.ts';
import { audienceOf } from '../../adapters/teams/views.ts';
import type { Block, Button, Card, Form, RichText, Span } from '../../core/ports/chat.ts';
import { problemsOf } from '../support/teams/card-problems.ts';
import { partsOf, shownAs } from '../support/teams/reading.ts';

const words = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.integer({ min: 0, max: 6_000 }).map((length) => '<&>"\\🙂'.repeat(length)),
);
const person = { platform: 'teams', workspaceId: 'tenant', userId: 'user', name: 'Ana' } as const;
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
const confirm = fc.record({ title: words, text: words, yes: words, isExtra: fc.boolean() });
const button: fc.Arbitrary<Button> = fc.record(
  {
    label: words,
    action: fc.constant('approve'),
    value: words,
    style: fc.constantFrom('primary', 'plain', 'danger'),
    confirm,
  },
  { requiredKeys: ['label', 'action', 'value', 'style'] },
);
const step = fc.record({
  state: fc.constantFrom('waiting', 'running', 'done', 'failed', 'unsure'),
  ...{ text: words, detail: words },
});
const picture = fc.record({
  url: fc.oneof(fc.constant('/pictures/a'), words),
  alt: words,
  width: fc.nat(),
  height: fc.nat(),
});
const columns = [
  { label: '#', align: 'right' },
  { label: 'Step', align: 'left' },
] as const;
const flat: fc.Arbitrary<Block> = fc.oneof(
  text.map((given) => ({ kind: 'heading', text: given }) as const),
  fc.record({ kind: fc.constant('text'), text, tone: fc.constantFrom('plain', 'quiet', 'warning') }),
  fc.array(fc.record({ text, detail: words }), { maxLength: 60 }).map((items) => ({ kind: 'list', items }) as const),
  fc.array(step, { maxLength: 60 }).map((items) => ({ kind: 'steps', items }) as const),
  fc
    .array(fc.record({ label: words, value: text }), { maxLength: 12 })
    .map((rows) => ({ kind: 'facts', rows }) as const),
  text.map((given) => ({ kind: 'signature', tone: 'granted', text: given }) as const),
  fc.array(picture, { maxLength: 20 }).map((items) => ({ kind: 'pictures', items }) as const),
  fc
    .array(fc.tuple(text, text), { maxLength: 150 })
    .map((rows) => ({ kind: 'table', caption: 'Steps', rows, columns }) as const),
  fc
    .array(fc.tuple(text, text, text, text, text), { maxLength: 60 })
    .map(
      (rows) =>
        ({ kind: 'table', caption: 'Steps', rows, columns: [...columns, ...columns, ...columns].slice(0, 5) }) as const,
    ),
  fc.record({ kind: fc.constant('feedback'), action: fc.constant('rate'), good: words, bad: words }),
  fc.array(button, { maxLength: 40 }).map((buttons) => ({ kind: 'actions', buttons }) as const),
);
const block: fc.Arbitrary<Block> = fc.oneof(
  flat,
  fc.record({ kind: fc.constant('details'), summary: words, blocks: fc.array(flat, { maxLength: 14 }) }),
);
const card: fc.Arbitrary<Card> = fc.record({ summary: words, blocks: fc.array(block, { maxLength: 40 }) });
const place = { publicUrl: 'https://countersign.example.com' };
const buttons: readonly Button[] = [{ label: 'Approve', style: 'primary', action: 'approve', value: 'op-1 hash' }];

describe('a card in Teams', () => {
  test('breaks no limit of Teams and has its form by the schema of Adaptive Cards 1.5, whatever it holds', () => {
    fc.assert(
      fc.property(card, (given) => {
        expect(problemsOf(renderCard(given, place))).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });

  test('keeps its decision when the words before it are too many, and says that it was cut', () => {
    const line = (index: number): Block => ({
      kind: 'text',
      text: [{ kind: 'text', text: `line ${index} ${'x'.repeat(400)}` }],
    });
    const lines = Array.from({ length: 400 }, (_, index) => line(index));
    const shown = shownAs(
      renderCard({ summary: 'a request', blocks: [...lines, { kind: 'actions', buttons }] }, place),
    );
    expect(shown.buttons).toEqual(['Approve']);
    expect(shown.text).toContain('The rest is left out.');
  });

  test('shows no button whose value would be cut: it would decide about something else', () => {
    const long = buttons.map((each) => ({ ...each, value: 'x'.repeat(2_000) }));
    expect(shownAs(renderCard({ summary: 'x', blocks: [{ kind: 'actions', buttons: long }] }, place)).buttons).toEqual(
      [],
    );
  });

  test.each(['javascript:alert(1)', 'data:text/html,x', 'msteams://open', 'nonsense'])(
    'makes no link, no picture and no button of %s',
    (url) => {
      const made = renderCard(
        {
          summary: 'x',
          blocks: [
            { kind: 'text', text: [{ kind: 'link', text: 'a link', url }] },
            { kind: 'actions', buttons: [{ label: 'Open', style: 'plain', action: '', value: '', url }] },
            { kind: 'pictures', items: url === 'nonsense' ? [] : [{ url, alt: 'x', width: 1, height: 1 }] },
          ],
        },
        place,
      );
      expect(JSON.stringify(made)).not.toContain(url);
      expect(shownAs(made)).toMatchObject({ text: 'a link', buttons: [], pictures: [] });
    },
  );

  test('asks in the card itself before what can’t be undone, and not where the card says it already', () => {
    const asked = { title: 'Stop everything?', text: 'All of it.', yes: 'Stop' };
    const given: readonly Button[] = [
      { label: 'Stop all', style: 'danger', action: 'stop_all', value: '', confirm: asked },
      { label: 'Approve', style: 'primary', action: 'approve', value: 'op-1', confirm: { ...asked, isExtra: true } },
    ];
    const parts = partsOf(renderCard({ summary: 'x', blocks: [{ kind: 'actions', buttons: given }] }, place));
    expect(parts.filter(({ type }) => type === 'Action.ShowCard')).toMatchObject([{ title: 'Stop all' }]);
    expect(parts.filter(({ type }) => type === 'Action.Execute')).toMatchObject([
      { title: 'Stop', verb: 'stop_all', data: { action: 'stop_all', value: '' } },
      { title: 'Approve', verb: 'approve' },
    ]);
  });

  test('has a view of its own for each whom a button is for: at most sixty ask, and everybody sees every button', () => {
    const approvers = Array.from({ length: 90 }, (_, index) => ({ ...person, userId: `user-${index}` }));
    const slack = { ...person, platform: 'slack', userId: 'elsewhere' } as const;
    const given: Card = {
      summary: 'x',
      blocks: [
        {
          kind: 'actions',
          buttons: [
            { label: 'Approve', style: 'primary', action: 'approve', value: 'op-1', for: [...approvers, slack] },
            { label: 'Withdraw', style: 'danger', action: 'stop', value: 'op-1', for: [person] },
            { label: 'Show me the steps', style: 'plain', action: 'guide', value: 'op-1' },
          ],
        },
      ],
    };
    const audience = audienceOf(given, 'tenant');
    expect(audience).toEqual([...approvers, person].map(({ userId }) => userId));
    expect(audienceOf(given, 'another')).toEqual([]);
    const base = renderCard(given, { ...place, askedBy: audience.map((userId) => `29:${userId}`) });
    expect(problemsOf(base)).toEqual([]);
    expect(base.refresh?.userIds).toHaveLength(60);
    expect(base.refresh?.action).toMatchObject({ type: 'Action.Execute', verb: 'countersign.view' });
    expect(shownAs(base).buttons).toEqual(['Approve', 'Withdraw', 'Show me the steps']);
    const of = (viewer: string) => shownAs(renderCard(given, { ...place, viewer })).buttons;
    expect(of('user-3')).toEqual(['Approve', 'Show me the steps']);
    expect(of(person.userId)).toEqual(['Withdraw', 'Show me the steps']);
  });

  test('shows a wide table as rows of two lines, since a phone has no room for its columns', () => {
    const words = (...cells: readonly string[]) => cells.map((cell) => [{ kind: 'text', text: cell }] as const);
    const table: Block = {
      ...{ kind: 'table', caption: 'Steps' },
      columns: [
        { label: '#', align: 'right' },
        { label: 'Time', align: 'left' },
        { label: 'Step', align: 'left' },
        { label: 'Outcome', align: 'left' },
        { label: 'Duration', align: 'right' },
      ],
      rows: [
        words('1', '09:14', 'Open the sign-in page', 'done', '0.9 s'),
        words('2', '09:15', 'Sign in', 'done', '1 s'),
      ],
    };
    const made = renderCard({ summary: 'x', blocks: [table] }, place);
    expect(problemsOf(made)).toEqual([]);
    expect(partsOf(made).filter(({ type }) => type === 'Table')).toEqual([]);
    expect(shownAs(made).text).toBe(
      'Steps Time · Outcome 1 Open the sign-in page 09:14 · done 0.9 s 2 Sign in 09:15 · done 1 s',
    );
  });

  test('shows all forty entries of a page of an audit trail, and the steps above them', () => {
    const time = { kind: 'time', at: new Date('2026-11-26T15:49:00Z'), form: 'time' } as const;
    const cells = (index: number): readonly RichText[] => [
      [{ kind: 'text', text: `#${index}` }],
      [time],
      [{ kind: 'text', text: `operation.requested ${index}` }],
      [{ kind: 'text', text: 'Ana Merchant of Example Shops' }],
      [{ kind: 'code', text: 'a6d5aa86' }],
    ];
    const labels = ['Entry', 'Time', 'What', 'Who', 'Hash'].map((label) => ({ label, align: 'left' }) as const);
    const table = (count: number): Block => ({
      ...{ kind: 'table', caption: 'Entries', columns: labels },
      rows: Array.from({ length: count }, (_, index) => cells(index)),
    });
    const blocks: readonly Block[] = [table(12), { kind: 'details', summary: 'All entries', blocks: [table(40)] }];
    const made = renderCard({ summary: 'x', blocks }, place);
    expect(problemsOf(made)).toEqual([]);
    expect(shownAs(made).text).toContain(
      '#39 operation.requested 39 at 2026-11-26T15:49:00Z · Ana Merchant of Example Shops · a6d5aa86',
    );
    expect(shownAs(made).text).not.toContain('left out');
  });

  test('lets no two words make a clock that neither is', () => {
    const text = ['{', '{DATE(2020-01-01T00:00:00Z)}}'].map((each) => ({ kind: 'text', text: each }) as const);
    const made = renderCard({ summary: 'x', blocks: [{ kind: 'text', text }] }, place);
    expect(JSON.stringify(made)).not.toContain('{{DATE(');
  });

  test('shows the newest picture, and folds the earlier ones away', () => {
    const items = [1, 2, 3].map((n) => ({ url: `/pictures/${n}`, alt: `step ${n}`, width: 10, height: 10 }));
    const made = renderCard({ summary: 'x', blocks: [{ kind: 'pictures', items }] }, place);
    const open = made.body.filter(({ type }) => type === 'Image');
    expect(open).toMatchObject([{ url: 'https://countersign.example.com/pictures/3', altText: 'step 3' }]);
    expect(made.body).toContainEqual(expect.objectContaining({ type: 'Container', isVisible: false }));
  });

  test('lets nobody’s words fill in a clock, a mention or a mark', () => {
    const hostile = '{{DATE(2020-01-01T00:00:00Z)}} <at>Ana</at> **bold** [a](https://evil.example.com) \\*';
    const made = renderCard(
      {
        summary: 'x',
        blocks: [
          { kind: 'text', text: [{ kind: 'text', text: hostile }] },
          {
            kind: 'text',
            text: [
              { kind: 'person', person },
              { kind: 'text', text: ` ${hostile}` },
            ],
          },
        ],
      },
      place,
    );
    expect(JSON.stringify(made)).not.toContain('{{DATE(');
    const shown = shownAs(made);
    expect(shown.text).toBe(`${hostile} Ana ${hostile}`);
    expect(shown.mentions).toEqual(['user']);
  });

  test('names people whose names are marks without letting them name others', () => {
    const evil = { ...person, userId: 'evil', name: '</at><at>Ben</at>' };
    const made = renderCard(
      { summary: 'x', blocks: [{ kind: 'text', text: [{ kind: 'person', person: evil }] }] },
      place,
    );
    expect(made.msteams?.entities).toEqual([
      { type: 'mention', text: '<at>at  at Ben  at</at>', mentioned: { id: 'evil', name: 'at  at Ben  at' } },
    ]);
  });
});

const option = fc.record({
  value: fc.uuid(),
  label: fc.string({ maxLength: 80 }),
  isChecked: fc.boolean(),
  isLocked: fc.boolean(),
});
const field = fc.oneof(
  fc.record({
    kind: fc.constant('text' as const),
    label: fc.string({ maxLength: 80 }),
    isRequired: fc.boolean(),
    initial: fc.string(),
  }),
  fc.record({
    kind: fc.constant('checkboxes' as const),
    label: fc.string(),
    options: fc.array(option, { maxLength: 12 }),
  }),
  fc.record({
    ...{ kind: fc.constant('choice' as const), label: fc.string(), isRequired: fc.boolean() },
    options: fc.array(option, { maxLength: 12 }),
  }),
  fc.record({
    kind: fc.constantFrom('people' as const, 'channels' as const),
    label: fc.string(),
    isRequired: fc.boolean(),
    initial: fc.array(fc.uuid(), { maxLength: 3 }),
  }),
);

describe('a form in Teams', () => {
  test('has its form, can be left unfilled, and asks for no secret', () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 6 }), fc.string({ maxLength: 60 }), (fields, title) => {
        const form: Form = {
          ...{ form: 'settings', value: 'op-1', title, submit: 'Save' },
          fields: fields.map((each, index) => ({ ...each, name: `f${index}` })),
        };
        const made = renderForm('id', form, {
          people: [person],
          hasMorePeople: true,
          channels: [{ id: '19:orders@thread.tacv2', name: 'Shops: Orders' }],
          errors: { f0: 'wrong', other: 'also' },
        });
        expect(problemsOf(made)).toEqual([]);
        expect(partsOf(made).filter(({ verb }) => verb === 'countersign.close')).toMatchObject([
          { associatedInputs: 'none' },
        ]);
        expect(shownAs(made).text).toContain('also');
      }),
      { numRuns: 30 },
    );
  });
});
