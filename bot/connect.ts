import type { AuditEntry } from '../core/audit/entry.ts';
import { bundleLines, exportTrail as exportChain, TRAIL_COLUMNS, trailRow } from '../core/audit/export.ts';
import { recordRefusal } from '../core/audit/refusal.ts';
import type { Transaction } from '../core/database.ts';
import type { OperationId } from '../core/ids.ts';
import type { Operation } from '../core/operations/operation.ts';
import { isUnencrypted } from '../core/operations/plan.ts';
import type { ConnectOutcome, ConnectPages, ConnectView, TrailExport } from '../core/ports/connect.ts';
import { type Redact, redactAll } from '../core/redacted-ports.ts';
import type { Link } from '../core/vault/links.ts';
import { peopleWords, stateWords } from './cards/audit-card.ts';
import { place } from './cards/text.ts';
import type { Context } from './context.ts';
import { signInForm, submitSignIn } from './credential-flow.ts';
import { reveal, revealable } from './reveal-flow.ts';

/**
 * The one-time pages: the sign-in form, the export of a trail, and a stored key in clear. `redact` takes secrets out of what
 * they show and hand out, that one key apart.
 */
export function createConnectPages(context: Context, redact: Redact): ConnectPages {
  return {
    async look(token) {
      const link = await context.links.look(token);
      return link && redactAll(await viewOfLink(context, link, token), redact);
    },
    async submit(token, fields) {
      const link = await context.links.look(token);
      if (link?.purpose === 'export') return exportTrail(context, link, redact);
      if (link?.purpose === 'reveal') return reveal(context, link);
      const outcome = await submitSignIn(context, token, fields);
      return outcome.kind === 'entered' ? { kind: 'entered' } : outcome;
    },
  };
}

function viewOfLink(context: Context, link: Link, token: string): Promise<ConnectView | undefined> {
  if (link.purpose === 'reveal') return revealView(context, link);
  return link.purpose === 'export' ? trailView(context, link) : signInView(context, token);
}

async function revealView(context: Context, link: Link): Promise<ConnectView | undefined> {
  const label = await revealable(context, link);
  return label === undefined ? undefined : viewOf(context, link, { kind: 'reveal', label });
}

async function signInView(context: Context, token: string): Promise<ConnectView | undefined> {
  const form = await signInForm(context, token);
  if (!form) return undefined;
  const fields = form.operation.service.signIn.map(({ name, label, help, isSecret, autocomplete }) => ({
    name,
    label,
    help,
    isSecret,
    autocomplete,
  }));
  const isInClear = isUnencrypted(form.operation.plan.origin);
  return viewOf(context, form.link, { kind: 'sign_in', fields, isUnencrypted: isInClear });
}

/** `undefined` as well for somebody who is no admin any more. */
async function trailView(context: Context, link: Link): Promise<ConnectView | undefined> {
  const isAdmin = await context.database.withCustomer(link.customerId, (tx) => isStillAdmin(tx, context, link));
  return isAdmin ? viewOf(context, link, { kind: 'trail' }) : undefined;
}

/** A link is issued to an admin; what counts is who they are when it is used. */
async function isStillAdmin(tx: Transaction, context: Context, { customerId, memberId }: Link): Promise<boolean> {
  const member = await context.customers.memberById(tx, customerId, memberId);
  return member.roles.includes('admin');
}

async function viewOf<Kind extends { kind: string }>(context: Context, link: Link, kind: Kind) {
  return context.database.withCustomer(link.customerId, async (tx) => {
    const operation = await context.operations.get(tx, link.customerId, link.operationId);
    if (!operation) return undefined;
    const member = await context.customers.memberById(tx, link.customerId, link.memberId);
    return {
      operationId: operation.id,
      title: operation.type.title,
      origin: operation.plan.origin,
      person: member.person.name,
      expiresAt: link.expiresAt,
      ...kind,
    };
  });
}

async function exportTrail(context: Context, link: Link, redact: Redact): Promise<ConnectOutcome> {
  const { customerId, operationId } = link;
  const trail = await context.database.withCustomer(
    customerId,
    async (tx): Promise<Omit<TrailExport, 'lines'> | undefined> => {
      if (!(await isStillAdmin(tx, context, link))) {
        await recordRefusal(tx, context.audit, customerId, { by: link.memberId, asked: 'export', about: operationId });
        return undefined;
      }
      const operation = await context.operations.get(tx, customerId, operationId);
      if (!operation || !(await context.links.spend(tx, link))) return undefined;
      const entries = await context.audit.entriesOf(tx, customerId, operationId);
      const chain = await tx.auditEntry.findMany({ where: { customerId, operationId }, orderBy: { seq: 'asc' } });
      await context.audit.append(tx, customerId, {
        kind: 'trail.read',
        operationId,
        actor: link.memberId,
        payload: { how: 'export' },
      });
      const members = await context.customers.members(tx, customerId);
      // Names and addresses as they are now: the words of the entries lost their secrets before they were hashed.
      const people = new Map(members.map((m) => [m.id as string, redactAll(m.person.name, redact)]));
      return trailExport(redactAll(summaryOf(operation), redact), operation.id, entries, chain, people);
    },
  );
  const lines = async function* () {
    yield* bundleLines(await exportChain(context, customerId, { operationId }));
  };
  return trail ? { kind: 'trail', operationId, trail: { ...trail, lines } } : { kind: 'gone' };
}

interface ChainLine {
  readonly seq: bigint;
  readonly at: Date;
  readonly header: string;
  readonly prev: Uint8Array;
  readonly hash: Uint8Array;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function summaryOf(operation: Operation): string {
  return `${operation.type.title} for ${place(operation.plan.base)}, ${peopleWords(operation)}, ${stateWords(operation.state)}`;
}

function trailExport(
  summary: string,
  operationId: OperationId,
  entries: readonly AuditEntry[],
  chain: readonly ChainLine[],
  people: ReadonlyMap<string, string>,
): Omit<TrailExport, 'lines'> {
  return {
    document: {
      format: 'countersign-trail/1',
      operationId,
      summary,
      hash: 'SHA-256("audit-v1\\0" || prev (32 bytes) || seq || milliseconds since 1970 (both 8 bytes, big-endian) || header as UTF-8)',
      payloadHash: 'SHA-256(salt (32 bytes) || payload as RFC 8785 text), as named in the header',
      people: Object.fromEntries(people),
      entries: chain.map((line, at) => ({
        seq: String(line.seq),
        at: line.at.toISOString(),
        prev: hex(line.prev),
        hash: hex(line.hash),
        header: line.header,
        salt: entries[at]?.salt ?? null,
        payload: entries[at]?.payload ?? null,
      })),
    },
    columns: TRAIL_COLUMNS,
    rows: entries.map((entry) => trailRow(entry, (id) => people.get(id) ?? id)),
  };
}
