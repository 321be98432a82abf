import { takeTrail } from '../core/audit/export.ts';
import { recordRefusal } from '../core/audit/refusal.ts';
import type { Transaction } from '../core/database.ts';
import type { Operation } from '../core/operations/operation.ts';
import type { ConnectOutcome, ConnectPages, ConnectView } from '../core/ports/connect.ts';
import { isUnencrypted } from '../core/ports/http.ts';
import { type Redact, redactAll } from '../core/redacted-ports.ts';
import type { Link } from '../core/vault/links.ts';
import { peopleWords, stateWords } from './cards/audit-card.ts';
import { place } from './cards/text.ts';
import type { Context } from './context.ts';
import { type SignInForm, signInForm, submitSignIn } from './credential-flow.ts';
import { isCodeWanted, submitCode } from './human-flow.ts';
import { keepView, submitKept } from './keep-flow.ts';
import { reveal, revealable } from './reveal-flow.ts';

/**
 * The one-time pages: the form for a sign-in or a key, the form for a code, the export of a trail, and a stored key in clear. `redact` takes secrets out of what
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
      if (link?.purpose === 'answer') return submitCode(context, link, fields);
      if (link?.purpose === 'keep') return submitKept(context, link, fields);
      const form = await signInForm(context, token);
      if (!form || form.operation.way.grant) return { kind: 'gone' }; // what is granted comes from its vendor
      const outcome = await submitSignIn(context, token, fields);
      return outcome.kind === 'entered' ? { kind: 'entered', what: whatIsEntered(outcome.operation) } : outcome;
    },
    async granted(token, sent) {
      const form = await signInForm(context, token);
      const fields = form && grantedFields(form, sent);
      return fields !== undefined && (await submitSignIn(context, token, fields)).kind === 'entered';
    },
  };
}

function grantedFields({ operation: { way, id, plan } }: SignInForm, sent: unknown) {
  return way.grant?.read(sent, { reference: id, values: plan.values });
}

function viewOfLink(context: Context, link: Link, token: string): Promise<ConnectView | undefined> {
  if (link.purpose === 'reveal') return revealView(context, link);
  if (link.purpose === 'answer') return codeView(context, link);
  if (link.purpose === 'keep') return keptView(context, link);
  return link.purpose === 'export' ? trailView(context, link) : signInView(context, token);
}

function whatIsEntered({ way }: Operation): 'sign_in' | 'key' {
  return way.kind === 'browser' ? 'sign_in' : 'key';
}

async function keptView(context: Context, link: Link): Promise<ConnectView | undefined> {
  const view = await keepView(context, link);
  return view && viewOf(context, link, view);
}

async function codeView(context: Context, link: Link): Promise<ConnectView | undefined> {
  return (await isCodeWanted(context, link)) ? viewOf(context, link, { kind: 'code' }) : undefined;
}

async function revealView(context: Context, link: Link): Promise<ConnectView | undefined> {
  const label = await revealable(context, link);
  return label === undefined ? undefined : viewOf(context, link, { kind: 'reveal', label });
}

async function signInView(context: Context, token: string): Promise<ConnectView | undefined> {
  const form = await signInForm(context, token);
  if (!form) return undefined;
  const { way, type, plan, id, service } = form.operation;
  if (way.grant) {
    const callbackUrl = `${context.publicUrl()}/granted/${token}`;
    const returnUrl = `${context.publicUrl()}/granted`;
    const { base, label, values } = plan;
    const url = way.grant.url({ base, label, values, reference: id, callbackUrl, returnUrl });
    return viewOf(context, form.link, { kind: 'grant', vendor: service.name, url });
  }
  const fields = way.fields.map(({ name, label, help, isSecret, autocomplete }) => ({
    name,
    label,
    help,
    isSecret,
    autocomplete,
  }));
  if (way.kind === 'entered') {
    const guide = type.guide(plan.base, { ...plan.values, label: plan.label });
    return viewOf(context, form.link, { kind: 'key', fields, guide });
  }
  const isInClear = isUnencrypted(plan.origin);
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
      // What is entered is typed where one signs in.
      origin: operation.plan.origins?.[0] ?? operation.plan.origin,
      person: member.person.name,
      expiresAt: link.expiresAt,
      ...kind,
    };
  });
}

async function exportTrail(context: Context, link: Link, redact: Redact): Promise<ConnectOutcome> {
  const { customerId, operationId } = link;
  const read = await context.database.withCustomer(customerId, async (tx) => {
    if (!(await isStillAdmin(tx, context, link))) {
      await recordRefusal(tx, context.audit, customerId, { by: link.memberId, asked: 'export', about: operationId });
      return undefined;
    }
    const operation = await context.operations.get(tx, customerId, operationId);
    if (!operation || !(await context.links.spend(tx, link))) return undefined;
    const reader = { actor: link.memberId, how: { how: 'export' } };
    const take = await takeTrail(tx, { ...context, redact }, customerId, { operationId }, reader);
    return { operation, take };
  });
  if (!read) return { kind: 'gone' };
  const { operation, take } = read;
  const summary = redact(
    `${operation.type.title} for ${place(operation.plan.base)}, ${peopleWords(operation)}, ${stateWords(operation.state)}`,
  );
  return { kind: 'trail', operationId, take: (format) => take(format, { summary }) };
}
