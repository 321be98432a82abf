import type { Consent, ConsentRequest } from '../../prisma/generated/client.ts';
import { countedApprovals } from '../consent/events.ts';
import {
  STANDING_DAYS_MAX,
  type StandingGrants,
  type StandingQuestion,
  type StandingTerms,
  templateHash,
  termsOfRequest,
} from '../consent/standing.ts';
import type { Member } from '../customers/customers.ts';
import { databaseNow, type Transaction } from '../database.ts';
import type { CustomerId, MemberId, OperationId } from '../ids.ts';
import { signInPlace } from '../operations/entered.ts';
import { hadEffect } from '../operations/events.ts';
import { lock } from '../operations/locked.ts';
import type { Operation } from '../operations/operation.ts';
import type { Operations } from '../operations/operations.ts';
import type { Plan } from '../operations/plan.ts';
import type { RequestDeps } from '../operations/request.ts';
import { mayRevoke } from '../operations/revocation.ts';
import type { EventRef } from '../ports/chat.ts';
import { Secret } from '../secret.ts';
import type { CredentialField } from '../services/service.ts';
import type { CredentialType, Vault } from '../vault/vault.ts';
import { automaticRepair, planRepair } from './repair-plan.ts';

/** Of the plan that a standing grant is asked for by: no operation has it. */
const NONE = 'op-00000000' as OperationId; // the form of an id, which none is ever drawn as: it has to be asked for

/** A grant that ends within so many days may be asked for anew. */
const RENEWAL_DAYS = 30;

export type Offered =
  | { readonly kind: 'asked'; readonly question: StandingQuestion }
  /** This very event has asked it before. */
  | { readonly kind: 'repeated' }
  /** The question is open already. */
  | { readonly kind: 'open' }
  /** Its key is not the stored one any more, or nothing can repair it without a person. */
  | { readonly kind: 'not_possible' }
  | { readonly kind: 'not_allowed' }
  | { readonly kind: 'unknown' };

export type Kept =
  | { readonly kind: 'kept'; readonly operation: Operation }
  /** A sentence for each field that can't be right, without anything of what was entered. */
  | { readonly kind: 'invalid'; readonly errors: Readonly<Record<string, string>> }
  /** Nothing keeps it any more, or what permits it was spent: they look alike. */
  | { readonly kind: 'gone' };

/** What was asked for an operation's repairs, and what became of that. */
export interface StandingState {
  readonly request: ConsentRequest;
  readonly terms: StandingTerms;
  readonly askedBy: Member | undefined;
  readonly decidedBy: Member | undefined;
  /** Those whose approval counts, one a person. */
  readonly approvals: readonly Member[];
  /** The grant, while it lives. */
  readonly grant: Consent | undefined;
  readonly isRevoked: boolean;
  /** What a repair does, in order, while the way is the one that was asked for; empty once it is another one. */
  readonly steps: readonly string[];
  /** All that it keeps lies in the vault. */
  readonly isKept: boolean;
}

/** Keeps a connection working: asks for a standing grant, and takes the sign-in that it keeps. */
export interface RepairOffers {
  /** Whether repairs of what it has made can be asked for, nobody has answered that, and no grant of them goes on for long. */
  mayOffer(tx: Transaction, operation: Operation): Promise<boolean>;
  /** Asks approvers for repairs of exactly this for as long as a standing grant lasts at most. */
  offer(customerId: CustomerId, operationId: string, by: Member, event?: EventRef): Promise<Offered>;
  /** The newest question for an operation's repairs; `undefined`: there was none. */
  state(tx: Transaction, operation: Operation): Promise<StandingState | undefined>;
  /** What the grant keeps, as fields of a form; none where nothing is kept, or nothing is granted. */
  fieldsToKeep(tx: Transaction, operation: Operation): Promise<readonly CredentialField[]>;
  /** @param spend what permits it, such as a one-time link, under the operation's lock; false: nothing happens. */
  keep(
    operation: Operation,
    by: MemberId,
    fields: Readonly<Record<string, string>>,
    spend: (tx: Transaction) => Promise<boolean>,
  ): Promise<Kept>;
}

export interface RepairOfferDeps extends Pick<RequestDeps, 'database' | 'audit' | 'customers' | 'workflows'> {
  readonly hasPageModel?: boolean;
  readonly operations: Pick<Operations, 'get'>;
  readonly standingGrants: Pick<StandingGrants, 'ask'>;
  readonly vault: Vault;
}

export function createRepairOffers(deps: RepairOfferDeps): RepairOffers {
  const { database, audit, customers, operations, vault } = deps;

  const isPossible = (operation: Operation): boolean =>
    operation.state === 'completed' &&
    operation.isKeyStored &&
    automaticRepair(operation.service)?.type.credentialType === operation.type.credentialType;

  const liveGrant = async (tx: Transaction, { customerId, id }: Operation): Promise<Consent | undefined> => {
    const now = await databaseNow(tx);
    const where = { customerId, operationId: id, templateHash: { not: null }, revokedAt: null, expiresAt: { gt: now } };
    return (await tx.consent.findFirst({ where, orderBy: { grantedAt: 'desc' } })) ?? undefined;
  };

  /** A repair of what the operation has made, as it would be planned right now. */
  const planned = async (tx: Transaction, operation: Operation, now: Date): Promise<Plan | undefined> => {
    const how = automaticRepair(operation.service);
    // What is amiss is no part of what is granted.
    return how && planRepair(tx, deps, operation, how, { id: NONE, now, repair: { cause: 'broken' } });
  };

  const isAllKept = async (tx: Transaction, operation: Operation, keeps: readonly string[]): Promise<boolean> => {
    for (const type of keeps) {
      const { service, ...place } = signInPlace(operation, type as CredentialType); // as the terms name them
      if (!(await vault.within(tx).find(operation.customerId, service, place.type, place))) return false;
    }
    return true;
  };

  const stepsAsAsked = async (tx: Transaction, operation: Operation, terms: StandingTerms) => {
    const plan = operation.isKeyStored ? await planned(tx, operation, await databaseNow(tx)) : undefined;
    if (!plan || templateHash(plan) !== terms.templateHash) return [];
    return plan.steps.map(({ intent }) => intent.replaceAll(plan.label, 'Countersign op-…'));
  };

  const fieldsToKeep = async (tx: Transaction, operation: Operation): Promise<readonly CredentialField[]> => {
    const grant = await liveGrant(tx, operation);
    const fields = automaticRepair(operation.service)?.way.fields ?? [];
    return fields.filter(({ name }) => grant?.keeps.includes(name));
  };

  return {
    async mayOffer(tx, operation) {
      if (!isPossible(operation)) return false;
      const { customerId, id: operationId, service, plan } = operation;
      const asked = await tx.consentRequest.findFirst({
        where: { customerId, operationId, terms: { not: null } },
        orderBy: { askedAt: 'desc' },
      });
      if (asked && asked.decision !== 'expired') return false;
      const soon = new Date((await databaseNow(tx)).getTime() + RENEWAL_DAYS * 86_400_000);
      const live = { templateHash: { not: null }, revokedAt: null, expiresAt: { gt: soon } };
      return (await tx.consent.count({ where: { customerId, service: service.id, target: plan.base, ...live } })) === 0;
    },
    async offer(customerId, operationId, by, event) {
      const asked = await database.withCustomer(customerId, async (tx) => {
        const operation = await operations.get(tx, customerId, operationId);
        const how = operation && automaticRepair(operation.service);
        if (!operation) return 'unknown';
        if (!mayRevoke(operation, by)) return 'not_allowed';
        if (!how || !isPossible(operation)) return 'not_possible';
        const now = await databaseNow(tx);
        const plan = await planned(tx, operation, now);
        return plan ? { operation, now, as: { plan, way: how.way } } : 'not_possible';
      });
      if (typeof asked === 'string') return { kind: asked };
      const { operation, now, as } = asked;
      const until = new Date(now.getTime() + STANDING_DAYS_MAX * 86_400_000);
      const keeps = as.way.kind === 'browser' ? as.way.fields.map(({ name }) => name) : [];
      const asking = { by, until, keeps, as, ...(event && { event }) };
      const question = await deps.standingGrants.ask(customerId, operation.id, asking);
      if (question) return { kind: 'asked', question };
      const isAsked = event && (await database.withCustomer(customerId, (tx) => hadEffect(tx, customerId, event)));
      return { kind: isAsked ? 'repeated' : 'open' };
    },
    async state(tx, operation) {
      const { customerId, id: operationId } = operation;
      const request = await tx.consentRequest.findFirst({
        where: { customerId, operationId, terms: { not: null } },
        orderBy: { askedAt: 'desc' },
      });
      if (!request) return undefined;
      const member = (id: string | null) =>
        id === null ? undefined : customers.memberById(tx, customerId, id as MemberId); // by foreign key
      const approvals: Member[] = [];
      for (const { memberId } of await countedApprovals(tx, customerId, request.id))
        approvals.push(await customers.memberById(tx, customerId, memberId as MemberId)); // a row of this customer's
      const grant = await liveGrant(tx, operation);
      const mine = grant?.requestId === request.id ? grant : undefined;
      const terms = termsOfRequest(request);
      return {
        ...{ request, terms, approvals, grant: mine, steps: await stepsAsAsked(tx, operation, terms) },
        askedBy: await member(request.askedBy),
        decidedBy: await member(request.decidedBy),
        isRevoked:
          (await tx.consent.count({ where: { customerId, requestId: request.id, revokedAt: { not: null } } })) > 0,
        isKept: await isAllKept(tx, operation, terms.keeps),
      };
    },
    fieldsToKeep,
    async keep(operation, by, entered, spend) {
      const { customerId, id: operationId, plan } = operation;
      return database.withCustomer(customerId, async (tx): Promise<Kept> => {
        // The operation's row before its link's; and whoever takes the grant back waits, or has done so.
        await lock(tx, customerId, operationId);
        const grant = await liveGrant(tx, operation);
        const fields = await fieldsToKeep(tx, operation);
        if (!grant || fields.length === 0) return { kind: 'gone' };
        const errors: Record<string, string> = {};
        for (const { name, validate } of fields) {
          const problem = validate(entered[name] ?? '', plan.values);
          if (problem) errors[name] = problem;
        }
        if (Object.keys(errors).length > 0) return { kind: 'invalid', errors };
        if (!(await spend(tx))) return { kind: 'gone' };
        for (const { name } of fields) {
          const { service, type, ...place } = signInPlace(operation, name as CredentialType); // see signInPlace
          const value = new Secret(entered[name] ?? '');
          await vault.within(tx).store(customerId, service, type, { ...place, value, expiresAt: grant.expiresAt });
        }
        await audit.append(tx, customerId, {
          kind: 'credentials.entered',
          operationId,
          actor: by,
          payload: { fields: fields.map(({ name }) => name), keptUntil: grant.expiresAt?.toISOString() ?? '' },
        });
        return { kind: 'kept', operation };
      });
    },
  };
}
