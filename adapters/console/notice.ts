import { createHash } from 'node:crypto';
import { maySee } from '../../core/console/listing.ts';
import { parseOperationId } from '../../core/ids.ts';
import { type Html, html } from '../../core/markup.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { isEnd } from '../../core/operations/states.ts';
import type { Press } from '../../core/ports/console.ts';
import { foundElsewhere, type ProposalDecided, type ProposalDecision } from '../../core/workflow/found-anew.ts';
import { link } from './layout.ts';
import { whatWords } from './pages/found-words.ts';
import type { Call } from './routes.ts';
import { chip, place } from './words.ts';

/** What came of a press that was taken. */
const DONE = {
  approve: 'Your approval is on record:',
  approve_first: 'Your approval is on record; it still takes somebody else’s:',
  deny: 'Denied, with your reason on record:',
  approve_standing: 'Your approval of repairs to come is on record:',
  deny_standing: 'Repairs to come were denied, with your reason on record:',
  stop: 'Stopped:',
  stopping: 'Stop is asked for, and takes effect as soon as what is being done allows:',
  pause: 'Paused:',
  pausing: 'Pause is asked for, and takes effect as soon as what is being done allows:',
  resume: 'Resumed:',
  retry: 'To be tried again:',
  rotate: 'To be rotated: the key of',
  revoke: 'To be revoked: the key of',
  revoke_repairs: 'No repair begins by itself any more:',
} as const;
type Done = keyof typeof DONE;

/** What came of a decision about what was found anew. */
const DECIDED = {
  discard: 'Discarded, and on record:',
  restore: 'To be tried again, and on record:',
  mark: 'Marked for the operator, and on record:',
  unmark: 'The mark was taken back, and that is on record:',
  marked: 'Nothing was changed, as it was marked already:',
  unmarked: 'Nothing was changed, as it was not marked:',
  discarded: 'Nothing was changed, as it was discarded before:',
  kept: 'Nothing was changed, as it was not discarded:',
} as const;

function doneBy(kind: Press['kind'], { state }: Operation): Done {
  if (kind === 'approve' && state === 'awaiting_consent') return 'approve_first';
  if (kind === 'stop' && !isEnd(state)) return 'stopping';
  if (kind === 'pause' && state !== 'paused') return 'pausing';
  return kind;
}

/** Where a page says what came of a press. @param after the operation as it is now @param led the id of the operation that it began */
export function withNotice(
  call: Call,
  to: string,
  press: Press['kind'],
  after: Operation,
  led: string | undefined,
): string {
  const did = doneBy(press, after);
  return link(to, { did, of: after.id, led, seal: seal(call, did, after.id, led ?? '') });
}

/** The same of what was found anew. */
export function withDecided(
  call: Call,
  to: string,
  { id, decision }: { readonly id: string; readonly decision: ProposalDecision },
  decided: Exclude<ProposalDecided, 'unknown'>,
): string {
  const already = { discard: 'discarded', restore: 'kept', mark: 'marked', unmark: 'unmarked' } as const;
  const did: keyof typeof DECIDED = decided === 'done' ? decision : decided === 'already' ? already[decision] : decided;
  return link(to, { did, of: id, seal: seal(call, did, id, '') });
}

/** Made by this session alone: nobody sends somebody a link to a page that says that something was approved. */
function seal({ csrf }: Call, did: string, of: string, led: string): string {
  const text = ['countersign/console/notice/v1', csrf, did, of, led].join('\0');
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}

/** What came of the press that led to this page, if one did. */
export async function notice(call: Call): Promise<Html | undefined> {
  const { did = '', of = '', led = '', seal: given } = call.query;
  if (given !== seal(call, did, of, led)) return undefined;
  if (did in DECIDED) {
    const { deps, customerId, read } = call;
    const about = await read((tx) => foundElsewhere(tx, customerId, deps.workflows.list(), of));
    const words = DECIDED[did as keyof typeof DECIDED]; // it is one of them
    return about && said(html`${words} <a href="#${about.id}">${whatWords(about)}</a>.`);
  }
  if (!(did in DONE)) return undefined;
  const operation = await seen(call, of);
  if (!operation) return undefined;
  const begun = await seen(call, led);
  const words = DONE[did as Done]; // it is one of them, see above
  return said(
    html`${words} <a href="/console/operations/${operation.id}">${operation.type.title}</a>, ${place(operation.plan.base)} ${chip(operation.id)}.${begun && html` ${ledTo(begun)}`}`,
  );
}

function said(words: Html): Html {
  return html`<p class="panel" role="status" tabindex="-1" autofocus><span>${words}</span></p>`;
}

/** The operation that a press began. */
function ledTo({ id, state }: Operation): Html {
  return html`<a href="/console/operations/${id}">A new operation</a> ${chip(id)} was made for it${state === 'awaiting_consent' && ', and waits for a countersignature'}.`;
}

async function seen({ read, deps, customerId, member }: Call, text: string): Promise<Operation | undefined> {
  const id = parseOperationId(text);
  const operation = id && (await read((tx) => deps.operations.get(tx, customerId, id)));
  return operation && maySee(operation, member) ? operation : undefined;
}
