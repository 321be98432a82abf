import { z } from 'zod';
import type { Heal } from '../agent/stage.ts';
import { canonical, type Json, sha256Hex } from '../canonical.ts';
import { databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, newUuid, type OperationId } from '../ids.ts';
import { fingerprintSchema, locatorSchema } from './elements.ts';
import type { Proposal } from './known.ts';

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

/** The newest proposals of every step, and all that an admin has discarded. What an erased customer had is skipped. */
export async function proposalsFor(
  tx: Transaction,
  customerId: CustomerId,
  { workflowId, workflowVersion, target }: ProposalPlace,
): Promise<readonly Proposal[]> {
  const rows = await tx.workflowProposal.findMany({
    where: { customerId, workflowId, workflowVersion, target },
    orderBy: [{ lastHeldAt: 'desc' }, { id: 'asc' }],
  });
  const counts = new Map<string, number>();
  return rows.flatMap(({ id, step, field, element, discardedAt }) => {
    const parsed = elementSchema.safeParse(element);
    if (!parsed.success) return [];
    const isDiscarded = discardedAt !== null;
    const place = `${step} ${field}`;
    const count = (counts.get(place) ?? 0) + 1;
    if (!isDiscarded && count > MOST) return [];
    if (!isDiscarded) counts.set(place, count);
    const { identity, locators } = parsed.data;
    return [{ id, step, ...(field === '' ? {} : { field }), identity, locators, isDiscarded }];
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
  const element = hide(jsonOf({ fingerprint, identity, locators }));
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

/** Without what is `undefined`, which JSON can't say. */
function jsonOf(value: unknown): Record<string, Exclude<Json, null>> {
  return JSON.parse(JSON.stringify(value)); // of plain objects, of which no value is null
}
