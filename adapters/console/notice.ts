import { createHash } from 'node:crypto';
import { maySee } from '../../core/console/listing.ts';
import { parseOperationId } from '../../core/ids.ts';
import { type Html, html } from '../../core/markup.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { isEnd } from '../../core/operations/states.ts';
import type { Press } from '../../core/ports/console.ts';
import { link } from './layout.ts';
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
  const said = { did: doneBy(press, after), of: after.id, led };
  return link(to, { ...said, seal: seal(call, said.did, said.of, led ?? '') });
}

/** Made by this session alone: nobody sends somebody a link to a page that says that something was approved. */
function seal({ csrf }: Call, did: string, of: string, led: string): string {
  const text = ['countersign/console/notice/v1', csrf, did, of, led].join('\0');
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}

/** What came of the press that led to this page, if one did. */
export async function notice(call: Call): Promise<Html | undefined> {
  const { did = '', of = '', led = '', seal: given } = call.query;
  if (!(did in DONE) || given !== seal(call, did, of, led)) return undefined;
  const operation = await seen(call, of);
  if (!operation) return undefined;
  const begun = await seen(call, led);
  const words = DONE[did as Done]; // it is one of them, see above
  return html`<p class="panel" role="status" tabindex="-1" autofocus><span>${words} <a href="/console/operations/${operation.id}">${operation.type.title}</a>, ${place(operation.plan.base)} ${chip(operation.id)}.${begun && html` ${ledTo(begun)}`}</span></p>`;
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
