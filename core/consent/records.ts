import { z } from 'zod';
import type { Consent, ConsentRequest } from '../../prisma/generated/client.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, type MemberId, newUuid, type OperationId } from '../ids.ts';
import { type Page, type PageRequest, pageOf } from '../page.ts';
import type { Click, Ready } from './decisions.ts';
import type { CollectionMethod } from './events.ts';

/** The version of the words that a person agreed to. */
const CONSENT_VERSION = '1.0';

/** A countersignature as people and programs may read it. */
export interface ConsentRecord {
  readonly id: string;
  readonly customerId: CustomerId;
  /** The question that it answers; one that was extended is several records of one question. */
  readonly requestId: string;
  readonly operationId: string;
  /** The member whose countersignature completed it. */
  readonly userId: MemberId;
  readonly service: string;
  readonly operation: string;
  readonly target: string;
  readonly permissions: readonly string[];
  readonly planHash: string;
  readonly grantedAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  /** Neither revoked nor expired, by the database's clock. */
  readonly isActive: boolean;
  readonly collectionMethod: CollectionMethod;
  readonly ipAddress: string | null;
  readonly userAgent: string | null;
  readonly consentVersion: string;
  /** Of a standing grant: what it holds for, and the sign-in secrets that it keeps. */
  readonly standing: { readonly templateHash: string; readonly keeps: readonly string[] } | null;
}

export interface ConsentStats {
  readonly total: number;
  readonly active: number;
  readonly revoked: number;
  readonly expired: number;
}

const names = z.array(z.string());

export function toRecord(row: Consent, now: Date): ConsentRecord {
  const { id, requestId, operationId, service, operation, target, planHash, grantedAt, expiresAt, revokedAt } = row;
  return {
    ...{ id, requestId, operationId, service, operation, target, planHash, grantedAt, expiresAt, revokedAt },
    // Rows that were written from a CustomerId, a member's id and a method.
    customerId: row.customerId as CustomerId,
    userId: row.userId as MemberId,
    collectionMethod: row.collectionMethod as CollectionMethod,
    permissions: names.parse(row.permissions),
    isActive: revokedAt === null && (expiresAt === null || expiresAt > now),
    ipAddress: row.ipAddress,
    userAgent: row.userAgent,
    consentVersion: row.consentVersion,
    standing: row.templateHash === null ? null : { templateHash: row.templateHash, keeps: row.keeps },
  };
}

/** Newest first. */
export async function listConsents(
  tx: Transaction,
  customerId: CustomerId,
  { activeOnly = false, service }: { readonly activeOnly?: boolean; readonly service?: string },
): Promise<readonly ConsentRecord[]> {
  const now = await databaseNow(tx);
  const rows = await tx.consent.findMany({
    where: { customerId, ...(service === undefined ? {} : { service }) },
    orderBy: { grantedAt: 'desc' },
  });
  const records = rows.map((row) => toRecord(row, now));
  return activeOnly ? records.filter(({ isActive }) => isActive) : records;
}

/** The same, a page at a time. */
export async function pageConsents(
  tx: Transaction,
  customerId: CustomerId,
  {
    activeOnly = false,
    service,
    after,
    ...page
  }: PageRequest & { readonly activeOnly?: boolean; readonly service?: string },
): Promise<Page<ConsentRecord>> {
  const now = await databaseNow(tx);
  const live = { revokedAt: null, AND: [{ OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] }] };
  const older = after && { OR: [{ grantedAt: { lt: after.at } }, { grantedAt: after.at, id: { lt: after.id } }] };
  const rows = await tx.consent.findMany({
    where: { customerId, ...(service === undefined ? {} : { service }), ...(activeOnly ? live : {}), ...older },
    orderBy: [{ grantedAt: 'desc' }, { id: 'desc' }],
    take: page.limit + 1,
  });
  const { items, ...next } = pageOf(rows, page, ({ grantedAt: at, id }) => ({ at, id }));
  return { items: items.map((row) => toRecord(row, now)), ...next };
}

export async function consentById(
  tx: Transaction,
  customerId: CustomerId,
  id: string,
): Promise<ConsentRecord | undefined> {
  if (!z.uuid().safeParse(id).success) return undefined;
  const row = await tx.consent.findUnique({ where: { customerId_id: { customerId, id } } });
  return row ? toRecord(row, await databaseNow(tx)) : undefined;
}

/** A consent that was revoked counts as revoked, also after its time. */
export async function consentStats(tx: Transaction, customerId: CustomerId): Promise<ConsentStats> {
  const records = await listConsents(tx, customerId, {});
  const revoked = records.filter(({ revokedAt }) => revokedAt !== null).length;
  const active = records.filter(({ isActive }) => isActive).length;
  return { total: records.length, active, revoked, expired: records.length - active - revoked };
}

/** What a countersignature is for; the database holds it against what its question showed. */
export interface Granted {
  readonly permissions: readonly string[];
  readonly expiresAt: Date;
  /** The grant that it prolongs. */
  readonly extends?: string;
  readonly templateHash?: string;
  readonly keeps?: readonly string[];
}

/** Decides the question with it. @returns its id. @throws TypeError without permissions. */
export async function insertConsent(
  tx: Transaction,
  database: Database,
  { operation, request, by, now }: Ready,
  click: Omit<Click, 'operationId' | 'planHash' | 'by'>,
  { permissions, expiresAt, keeps = [], ...granted }: Granted,
): Promise<string> {
  if (permissions.length === 0) throw new TypeError('At least one permission required');
  const { customerId } = operation;
  const id = newUuid();
  const granting = [id, request.id, operation.id, by.id, request.planHash, expiresAt.getTime()];
  const scope = [granted.extends, granted.templateHash, permissions.join(','), keeps.join(',')];
  await database.vouch(tx, 'consent', customerId, [...granting, ...scope].join('|'));
  await tx.consent.create({
    data: {
      customerId,
      id,
      requestId: request.id,
      operationId: operation.id,
      userId: by.id,
      service: operation.plan.service,
      operation: operation.plan.operationType,
      target: operation.plan.base,
      permissions: [...permissions],
      planHash: request.planHash,
      grantedAt: now,
      expiresAt,
      collectionMethod: click.method,
      ipAddress: click.ipAddress ?? null,
      userAgent: click.userAgent ?? null,
      consentVersion: CONSENT_VERSION,
      keeps: [...keeps],
      ...granted,
    },
  });
  return id;
}

/** A question as it is asked; the database takes it with the program's word alone. */
export interface NewQuestion {
  readonly operationId: OperationId;
  readonly planHash: string;
  readonly askedBy: MemberId;
  readonly askedAt: Date;
  readonly expiresAt: Date;
  /** Of a standing grant: RFC 8785 text. */
  readonly terms?: string;
  /** What the requester wants, by their own hand. */
  readonly askedFor?: readonly string[];
  /** Who added each permission beyond that. */
  readonly widened?: Readonly<Record<string, string>>;
}

export async function insertQuestion(
  tx: Transaction,
  database: Database,
  customerId: CustomerId,
  { askedFor = [], widened = {}, ...question }: NewQuestion,
): Promise<void> {
  const id = newUuid();
  const added = Object.entries(widened).map(([permission, by]) => `${permission}=${by}`);
  const asked = [id, question.operationId, question.planHash, question.askedBy];
  const word = [...asked, askedFor.join(','), added.sort().join(',')].join('|');
  await database.vouch(tx, 'question', customerId, word);
  await tx.consentRequest.create({ data: { customerId, id, ...question, askedFor: [...askedFor], widened } });
}

/** Decides a question otherwise; nothing happens where it was decided already. @returns whether it did. */
export async function closeRequest(
  tx: Transaction,
  { customerId, id }: Pick<ConsentRequest, 'customerId' | 'id'>,
  close: {
    readonly decision: 'denied' | 'expired' | 'cancelled';
    readonly by?: MemberId;
    readonly method?: CollectionMethod;
    readonly now: Date;
  },
): Promise<boolean> {
  const { decision, by = null, method = null, now } = close;
  const { count } = await tx.consentRequest.updateMany({
    where: { customerId, id, decision: null },
    data: { decision, decidedAt: now, decidedBy: by, method },
  });
  return count > 0;
}
