import { z } from 'zod';
import type { Heal } from '../agent/stage.ts';
import { canonical, type Json, sha256Hex } from '../canonical.ts';
import { databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, newUuid, type OperationId } from '../ids.ts';
import type { Fingerprint } from '../ports/browser.ts';
import { fingerprintSchema, locatorSchema } from './elements.ts';
import type { Discarded, Proposal } from './known.ts';

/** Where proposals hold: one customer's target, and the workflow version that they stand beside. */
export interface ProposalPlace {
  readonly workflowId: string;
  readonly workflowVersion: number;
  /** The plan's base address. */
  readonly target: string;
}

/** What an element is now, as it is kept; that of an erased customer is empty, and none. */
export const elementSchema = z.strictObject({
  fingerprint: fingerprintSchema,
  identity: z.strictObject({
    tag: z.string(),
    type: z.string().exactOptional(),
    role: z.string().exactOptional(),
    name: z.string().exactOptional(),
  }),
  locators: z.array(locatorSchema).min(1),
});

const MOST = 3; // of a step: what held last first; older ones stay on record

const rowsSchema = z.array(z.object({ id: z.string(), step: z.int(), field: z.string(), element: z.unknown() }));

/** The newest proposals of every step, without those that an admin has discarded. What an erased customer had is skipped. */
export async function proposalsFor(
  tx: Transaction,
  customerId: CustomerId,
  { workflowId, workflowVersion, target }: ProposalPlace,
): Promise<readonly Proposal[]> {
  // A site that calls a thing otherwise each time has thousands; what they are is read of the newest alone.
  const rows = await tx.$queryRaw`
    SELECT id, step, field, element FROM (
      SELECT id, step, field, element, last_held_at, row_number() OVER (PARTITION BY step, field ORDER BY last_held_at DESC, id) AS place
      FROM workflow_proposals
      WHERE customer_id = ${customerId}::uuid AND workflow_id = ${workflowId} AND workflow_version = ${workflowVersion}
        AND target = ${target} AND discarded_at IS NULL) newest
    WHERE place <= ${MOST} ORDER BY last_held_at DESC, id`;
  return rowsSchema.parse(rows).flatMap(({ id, step, field, element }) => {
    const { data } = elementSchema.safeParse(element);
    if (!data) return [];
    const { identity, locators } = data;
    return [{ id, step, ...(field === '' ? {} : { field }), identity, locators }];
  });
}

/** All that an admin has discarded of a step. */
export async function discardedFor(
  tx: Transaction,
  customerId: CustomerId,
  { workflowId, workflowVersion, target }: ProposalPlace,
  step: number,
): Promise<readonly Discarded[]> {
  const rows = await tx.workflowProposal.findMany({
    where: { customerId, workflowId, workflowVersion, target, step, discardedAt: { not: null } },
    select: { field: true, element: true },
  });
  return rows.flatMap(({ field, element }) => {
    const { data } = elementSchema.safeParse(element);
    return data ? [{ ...(field === '' ? {} : { field }), ...data }] : [];
  });
}

/**
 * Keeps what a relocated element is now, in the transaction of the step that went well with it. The same proposal is
 * counted instead of repeated, and stays discarded where it was.
 */
export async function keepProposal(
  tx: Transaction,
  customerId: CustomerId,
  place: ProposalPlace,
  of: {
    readonly operationId: OperationId;
    readonly step: number;
    readonly heal: Heal;
    /** Takes secrets out of texts. */
    readonly hide: <T extends Json>(value: T) => T;
  },
): Promise<void> {
  const { operationId, step, heal, hide } = of;
  const { fingerprint, identity, locators, field = '', score, margin } = heal;
  const element = hide(jsonOf({ fingerprint: ownOf(fingerprint), identity, locators }));
  const digest = sha256Hex(canonical(hide(jsonOf({ identity, locators }))));
  const key = { customerId, ...place, step, field, digest };
  const { count } = await tx.workflowProposal.createMany({
    data: [{ ...key, id: newUuid(), element, operationId, score, margin }],
    skipDuplicates: true,
  });
  if (count === 0) await tx.workflowProposal.updateMany({ where: key, data: await heldAgain(tx) });
}

/** Counts that a proposal held once more. */
export async function holdProposal(tx: Transaction, customerId: CustomerId, id: string): Promise<void> {
  await tx.workflowProposal.updateMany({ where: { customerId, id }, data: await heldAgain(tx) });
}

async function heldAgain(tx: Transaction) {
  return { held: { increment: 1 }, lastHeldAt: await databaseNow(tx) };
}

/** What the element says of itself: nothing of what stands around it, which may name anybody, nor an address, which may hold a token. */
function ownOf({ group, href, classes, neighbours, path, box, ...own }: Fingerprint): Fingerprint {
  return own;
}

/** Without what is `undefined`, which JSON can't say. */
function jsonOf(value: unknown): Record<string, Exclude<Json, null>> {
  return JSON.parse(JSON.stringify(value)); // of plain objects, of which no value is null
}
