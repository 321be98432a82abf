import { randomUUID } from 'node:crypto';
import type { Response } from 'express';
import type { AuditEntry } from '../../../core/audit/entry.ts';
import { bundleLines, exportTrail } from '../../../core/audit/export.ts';
import { maySee } from '../../../core/console/listing.ts';
import { type RunRecord, readRun } from '../../../core/console/run.ts';
import { recordReading } from '../../../core/console/trail.ts';
import { parseOperationId } from '../../../core/ids.ts';
import { html } from '../../../core/markup.ts';
import type { Operation } from '../../../core/operations/operation.ts';
import type { Card } from '../../../core/ports/chat.ts';
import type { Press } from '../../../core/ports/console.ts';
import { drawCard } from '../cards.ts';
import { heading } from '../layout.ts';
import { withNotice } from '../notice.ts';
import { type Answer, type Call, type ConsoleRoute, hasRole, NOTHING } from '../routes.ts';
import { stream } from '../stream.ts';
import { operationBody, operationView } from './operation-view.ts';

/** What the page of one operation is drawn from. */
export interface Seen {
  readonly operation: Operation;
  readonly run: RunRecord;
  /** The question as the thread shows it. */
  readonly question: Card;
  /** Admins alone; reading them is on record. */
  readonly entries: readonly AuditEntry[] | undefined;
  readonly nameOf: (memberId: string) => string;
  readonly at: Date;
}

const PRESSES = ['stop', 'pause', 'resume', 'retry', 'rotate', 'revoke'] as const;

export const operationRoutes: readonly ConsoleRoute[] = [
  {
    method: 'get',
    path: '/operations/:id',
    role: 'merchant',
    async answer(call) {
      const seen = await see(call);
      if (!seen) return NOTHING;
      return { kind: 'page', title: seen.operation.type.title, nav: 'operations', body: operationBody(call, seen) };
    },
  },
  {
    method: 'get',
    path: '/operations/:id/live',
    role: 'merchant',
    isByItself: true,
    async answer(call) {
      const seen = await see(call);
      return seen ? { kind: 'part', body: operationView(call, seen) } : NOTHING;
    },
  },
  {
    method: 'get',
    path: '/operations/:id/pictures/:picture',
    role: 'merchant',
    isByItself: true,
    answer: sendPicture,
  },
  {
    method: 'get',
    path: '/operations/:id/chain',
    role: 'admin',
    isByItself: true,
    async answer(call, response) {
      const { deps, customerId } = call;
      const operation = await theirs(call);
      if (!operation) return NOTHING;
      await call.read((tx) => recordReading(tx, deps.audit, customerId, readerOf(call), operation.id));
      const trail = await exportTrail(deps, customerId, { operationId: operation.id, isToCheckpoint: true });
      return stream(response, 'application/jsonl', bundleLines(trail));
    },
  },
  ...PRESSES.map(
    (kind): ConsoleRoute => ({
      method: 'post',
      path: `/operations/:id/${kind}`,
      role: 'merchant',
      ...(kind === 'stop' || kind === 'pause' ? { isUnasked: true } : {}),
      answer: (call) => press(call, { kind }, call.fields.from === 'connections' ? 'connections' : 'operation'),
    }),
  ),
  {
    method: 'post',
    path: '/operations/:id/revoke-repairs',
    role: 'merchant',
    isUnasked: true,
    answer: (call) =>
      press(
        call,
        { kind: 'revoke_repairs', consentId: call.fields.consent ?? '' },
        call.fields.from === 'connections' ? 'connections' : 'operation',
      ),
  },
];

/** The operation that the address names, if it is there and they may see it. */
async function theirs({ params, customerId, member, deps, read }: Call): Promise<Operation | undefined> {
  const id = parseOperationId(params.id ?? '');
  const operation = id && (await read((tx) => deps.operations.get(tx, customerId, id)));
  return operation && maySee(operation, member) ? operation : undefined;
}

/** Does what was pressed by the flow of the chat, and shows what that has to say; where it says nothing, the page does. */
export async function press(call: Call, pressed: Press, from: From = 'operation'): Promise<Answer> {
  const operation = await theirs(call);
  if (!operation) return NOTHING;
  const { customerId, member, request, fields, deps } = call;
  const before = await newestOf(call);
  const userAgent = request.get('user-agent')?.slice(0, 300);
  const said = await deps.desk.press({
    ...{ customerId, by: member, operation, press: pressed },
    once: /^[0-9a-f-]{36}$/.test(fields.once ?? '') ? (fields.once ?? '') : randomUUID(),
    browser: { ...(request.ip ? { ipAddress: request.ip } : {}), ...(userAgent ? { userAgent } : {}) },
  });
  const to = from === 'operation' ? `/console/operations/${operation.id}` : `/console/${from}`;
  const newest = await newestOf(call);
  const led = newest === before ? undefined : newest;
  if (said.length === 0) {
    const after = (await theirs(call)) ?? operation;
    return { kind: 'go', to: withNotice(call, to, pressed.kind, after, led) };
  }
  const cards = said.map((card) => html`<div class="panel">${drawCard(card)}</div>`);
  const body = html`${heading('Countersign says', operation.type.title)}<div class="view" role="status" tabindex="-1" autofocus>${cards}</div><p class="actions"><a class="button" href="${to}">Back</a></p>`;
  return { kind: 'page', title: 'Countersign says', nav: from === 'operation' ? 'operations' : from, body };
}

/** The page on which something was pressed; it says what came of that. */
type From = 'operation' | 'approvals' | 'connections';

/** The id of what they asked for last: another one after a press is what that press began. */
async function newestOf({ read, customerId, member }: Call): Promise<string | undefined> {
  const row = await read((tx) =>
    tx.operation.findFirst({
      where: { customerId, userId: member.id },
      orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
      select: { id: true },
    }),
  );
  return row?.id;
}

async function see(call: Call): Promise<Seen | undefined> {
  const { deps, customerId, member } = call;
  const operation = await theirs(call);
  if (!operation) return undefined;
  const question = await deps.desk.question(operation);
  return call.read(async (tx) => {
    const run = await readRun(tx, deps.audit, operation);
    const isAdmin = hasRole(member, 'admin');
    const entries = isAdmin ? await deps.audit.entriesOf(tx, customerId, operation.id) : undefined;
    const members = isAdmin ? await deps.customers.members(tx, customerId) : [];
    const names = new Map(members.map(({ id, person }) => [id as string, person.name]));
    const at = new Date();
    if (isAdmin) await recordReading(tx, deps.audit, customerId, readerOf(call), operation.id);
    return { operation, run, question, entries, nameOf: (id) => names.get(id) ?? 'somebody', at };
  });
}

export function readerOf({ member, session }: Call) {
  return { member, sessionId: session.id };
}

async function sendPicture(call: Call, response: Response): Promise<Answer> {
  const { deps, customerId, params } = call;
  const operation = await theirs(call);
  const id = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.exec(params.picture ?? '')?.[0];
  const picture = operation && id !== undefined && (await deps.screenshots.get(customerId, id));
  if (!picture || picture.operationId !== operation.id) return NOTHING;
  response
    .set({ 'Cache-Control': 'private, no-store', 'Content-Security-Policy': "default-src 'none'; sandbox" })
    .type(picture.mediaType)
    .send(picture.bytes);
  return { kind: 'sent' };
}
