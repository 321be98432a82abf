import type { ChainVerdict } from '../../core/audit/chain.ts';
import { type AuditEntry, GONE_WORDS, type Gone } from '../../core/audit/entry.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Block, Button, Card, RichText } from '../../core/ports/chat.ts';
import { clock, code, person, place, seconds, text } from './text.ts';

export interface Trail {
  readonly operation: Operation;
  readonly entries: readonly AuditEntry[];
  readonly verdict: ChainVerdict;
  /** The newest signed checkpoint that the chain was compared with. */
  readonly checkpoint?: { readonly seq: bigint; readonly at: Date } | undefined;
  /** What is wrong with the checkpoints themselves. */
  readonly problems?: readonly string[];
  /** A member's name by id. */
  nameOf(memberId: string): string;
  /** Of the entries, from 1: what a message takes. */
  readonly page?: number;
  readonly exportUrls?: { readonly json: string; readonly csv: string; readonly jsonl: string };
}

/** So many entries fit into a message of every platform, whatever the names in them. */
const ENTRIES_ON_A_PAGE = 40;

/** `/audit op-…`: what was done, by whom, how long it took, and whether the record is intact. */
export function auditCard(trail: Trail): Card {
  const { operation, entries } = trail;
  const finished = entries.filter((entry) => entry.kind === 'step.finished');
  return {
    summary: `Audit trail of ${operation.id}, ${peopleWords(operation)}: ${verdictWords(trail.verdict)}`,
    blocks: [
      { kind: 'heading', text: [text('Audit trail '), code(operation.id)] },
      {
        kind: 'text',
        tone: 'quiet',
        text: [
          text(`${operation.type.title} for ${place(operation.plan.base)} · asked by `),
          person(operation.requester.person),
          ...(operation.grant ? [text(' · countersigned by '), person(operation.grant.approver.person)] : []),
          text(` · ${stateWords(operation.state)}${pausedBy(operation)}`),
          ...(operation.retryOf ? [text(' · tries '), code(operation.retryOf), text(' again')] : []),
          ...(operation.retriedAs ? [text(' · tried again as '), code(operation.retriedAs)] : []),
        ],
      },
      ...(finished.length > 0
        ? [steps(finished)]
        : [{ kind: 'text', tone: 'quiet', text: [text('No step was run.')] } satisfies Block]),
      {
        kind: 'facts',
        rows: [...totals(finished), chainRow(trail.verdict), checkpointRow(trail), ...goneRows(entries)],
      },
      { kind: 'details', summary: pageWords(trail), blocks: [record(trail)] },
      ...exports(trail),
    ],
  };
}

function steps(finished: readonly AuditEntry[]): Block {
  return {
    kind: 'table',
    caption: 'Steps',
    columns: [
      { label: '#', align: 'right' },
      { label: 'Time', align: 'left' },
      { label: 'Step', align: 'left' },
      { label: 'Outcome', align: 'left' },
      { label: 'Found by', align: 'left' },
      { label: 'Picture', align: 'left' },
      { label: 'Duration', align: 'right' },
    ],
    rows: finished.map((entry): readonly RichText[] => [
      [text(String(entry.stepNumber ?? ''))],
      [clock(entry.at)],
      [text(word(entry, 'intent'))],
      [text(outcomeWords(entry))],
      [text(entry.rung && entry.rung !== 'none' ? entry.rung : '–')],
      [text(word(entry, 'screenshotId') ? 'kept' : word(entry, 'pictureWithheld') ? 'withheld' : '–')],
      [text(seconds(entry.durationMs ?? 0))],
    ]),
  };
}

function outcomeWords(entry: AuditEntry): string {
  if (entry.success) return 'done';
  const failure = word(entry, 'failure');
  return failure === 'code_wanted' ? 'a code was needed' : `failed: ${failure}`;
}

/** A step that waited for somebody's code is no failure; it comes again once that is entered. */
function totals(ended: readonly AuditEntry[]) {
  const finished = ended.filter((entry) => word(entry, 'failure') !== 'code_wanted');
  if (finished.length === 0) return [];
  const done = finished.filter((entry) => entry.success).length;
  const rate = Math.round((100 * done) / finished.length);
  const total = ended.reduce((sum, entry) => sum + (entry.durationMs ?? 0), 0);
  return [
    { label: 'Success', value: [text(`${done} of ${finished.length} steps, ${rate} %, ${seconds(total)} in all`)] },
  ];
}

function chainRow(verdict: ChainVerdict) {
  const value = verdict.isIntact
    ? [text('chain verified, '), code(`#${verdict.seq} · ${verdict.hash.slice(0, 8)}`)]
    : [text(`chain broken. ${faultWords(verdict)}`)];
  return { label: 'Record', value };
}

function checkpointRow({ checkpoint, problems = [] }: Trail) {
  const value = problems[0]
    ? [text(problems[0])]
    : checkpoint
      ? [text('signed up to '), code(`#${checkpoint.seq}`), text(' at '), clock(checkpoint.at)]
      : [text('no checkpoint is signed yet')];
  return { label: 'Checkpoint', value };
}

/** Entries without the words that belong to them, and why. */
function goneRows(entries: readonly AuditEntry[]) {
  const groups = Object.groupBy(entries, ({ gone }) => gone ?? 'there');
  return Object.entries(GONE_WORDS).flatMap(([why, words]) => {
    const [first, ...others] = groups[why as Gone] ?? []; // the names of that very table
    if (!first) return [];
    const which = others.length === 0 ? `#${first.seq}` : `${others.length + 1} entries from #${first.seq} on`;
    return [{ label: 'Words', value: [text(`${which}: ${words}`)] }];
  });
}

function record(trail: Trail): Block {
  return {
    kind: 'table',
    caption: 'Entries',
    columns: [
      { label: 'Entry', align: 'right' },
      { label: 'Time', align: 'left' },
      { label: 'What', align: 'left' },
      { label: 'Who', align: 'left' },
      { label: 'Hash', align: 'left' },
    ],
    rows: onPage(trail).map((entry): readonly RichText[] => [
      [text(`#${entry.seq}`)],
      [clock(entry.at)],
      [text(entry.kind + (entry.stepNumber ? ` ${entry.stepNumber}` : ''))],
      [text(entry.actor ? trail.nameOf(entry.actor) : 'Countersign')],
      [code(entry.hash.slice(0, 8))],
    ]),
  };
}

function pageOf({ entries, page = 1 }: Trail): { readonly page: number; readonly pages: number } {
  const pages = Math.max(1, Math.ceil(entries.length / ENTRIES_ON_A_PAGE));
  return { pages, page: Math.min(Math.max(1, page), pages) };
}

function onPage(trail: Trail): readonly AuditEntry[] {
  const { page } = pageOf(trail);
  return trail.entries.slice((page - 1) * ENTRIES_ON_A_PAGE, page * ENTRIES_ON_A_PAGE);
}

function pageWords(trail: Trail): string {
  const { page, pages } = pageOf(trail);
  const { length } = trail.entries;
  const first = (page - 1) * ENTRIES_ON_A_PAGE + 1;
  return pages === 1
    ? `All ${length} entries`
    : `Entries ${first} to ${Math.min(length, page * ENTRIES_ON_A_PAGE)} of ${length}`;
}

/** To the other pages, and into the thread. */
function ways(trail: Trail): readonly Button[] {
  const { page, pages } = pageOf(trail);
  const { id } = trail.operation;
  const to = (label: string, number: number): Button => ({
    ...{ label, style: 'plain', action: 'audit_page', value: `${id} page ${number}` },
  });
  return [
    ...(page > 1 ? [to('Earlier entries', page - 1)] : []),
    ...(page < pages ? [to('Later entries', page + 1)] : []),
    { label: 'Share in the thread', style: 'plain', action: 'share_audit', value: id },
  ];
}

function exports(trail: Trail): readonly Block[] {
  const urls = trail.exportUrls;
  if (!urls) return [];
  const button = (label: string, url: string) =>
    ({ label, style: 'plain', action: 'open', value: trail.operation.id, url }) as const;
  return [
    {
      kind: 'actions',
      buttons: [
        button('Export JSON', urls.json),
        button('Export CSV', urls.csv),
        button('Export lines (JSONL)', urls.jsonl),
        ...ways(trail),
      ],
    },
  ];
}

/** What is wrong, and where it begins, in one sentence. */
export function faultWords({ seq, fault, fits }: Extract<ChainVerdict, { isIntact: false }>): string {
  switch (fault) {
    case 'modified':
      return `Entry #${seq} was modified: it is not what was put on record.`;
    case 'gap':
      return `There is a gap: entry #${seq} is missing.`;
    case 'truncated':
      return `The trail was truncated: entry #${seq} and whatever followed it are missing.`;
    case 'reordered':
      return `Entries were reordered: #${seq} stands in another place.`;
    case 'duplicated':
      return `Entry #${seq} is there twice (duplicated).`;
    case 'forked':
      return `The trail forked: entry #${seq} is another one than was signed${fits === undefined ? '' : `; the last one that agrees with its checkpoint is #${fits}`}.`;
    default:
      return fault satisfies never;
  }
}

function verdictWords(verdict: ChainVerdict): string {
  return verdict.isIntact
    ? `chain verified, ${verdict.entries} entries`
    : `chain broken at entry #${verdict.seq} (${verdict.fault})`;
}

/** `asked by Mona, countersigned by Abel` */
export function peopleWords({ requester, grant }: Operation): string {
  const asked = `asked by ${requester.person.name}`;
  return grant ? `${asked}, countersigned by ${grant.approver.person.name}` : `${asked}, not countersigned`;
}

/** Who had it rest, apart from a question that nobody answered. */
function pausedBy({ state, hold, heldBy }: Operation): string {
  if (state !== 'paused') return '';
  return hold === 'operator' ? ' by the operator' : heldBy ? ` by ${heldBy.person.name}` : ', nobody answered';
}

/** A state as people say it: `waiting for approval`. */
export function stateWords(state: string): string {
  return STATE_WORDS[state] ?? state.replaceAll('_', ' ');
}

const STATE_WORDS: Readonly<Record<string, string>> = {
  awaiting_consent: 'waiting for approval',
  awaiting_credentials: 'waiting for the sign-in',
  waiting_for_human: 'waiting for a person’s answer',
};

function word(entry: AuditEntry, key: string): string {
  const value = entry.payload?.[key];
  return typeof value === 'string' ? value : '';
}
