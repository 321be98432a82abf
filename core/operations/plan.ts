import { z } from 'zod';
import { canonical, sha256Hex } from '../canonical.ts';
import type { OperationId } from '../ids.ts';
import { makesKey } from '../services/key-types.ts';
import type { OperationTypeDefinition, Service, Way } from '../services/service.ts';
import { fillText, withDerivedValues } from '../workflow/placeholders.ts';
import type { Workflow } from '../workflow/workflow.ts';

/** How long a consent request stays open, and how long a countersignature lets its operation run. */
export const CONSENT_REQUEST_MINUTES = 15;
export const CONSENT_GRANT_MINUTES = 60;
/** The same of a repair that the program asks for by itself, at a time that nobody chose: three days. */
const REPAIR_REQUEST_MINUTES = 3 * 24 * 60;

/** What is amiss with a key that the program sets out to replace by itself. Stored in plans, never renamed. */
const REPAIR_CAUSES = ['broken', 'expired', 'expiring', 'rotation_due'] as const;
export type RepairCause = (typeof REPAIR_CAUSES)[number];

/** Exactly what is shown for consent. One changed byte, and a grant no longer fits. */
export type Plan = z.infer<typeof planSchema>;
export const planSchema = z.strictObject({
  v: z.literal(1),
  operationId: z.string(),
  operationType: z.string(),
  /** Absent in plans from before there were several: the type's first. */
  way: z.string().exactOptional(),
  service: z.string(),
  origin: z.string(),
  /** Further origins that pages may be opened at. */
  origins: z.array(z.string()).min(1).exactOptional(),
  base: z.string(),
  workflowId: z.string(),
  workflowVersion: z.int(),
  /** The name that the new key will carry; where none is made, that of the key that it is about. */
  label: z.string(),
  permissions: z.array(z.string()),
  values: z.record(z.string(), z.string()),
  steps: z.array(z.strictObject({ order: z.int(), intent: z.string(), permission: z.string(), risk: z.string() })),
  stores: z.string(),
  /** The name of the key that the new one takes the place of in the vault; only a rotation ends that one at the service, too. */
  replaces: z.string().nullable(),
  /** The stored key that it is about: rotated, revoked or tried. Absent where it makes the first one. */
  key: z.strictObject({ operationId: z.string(), label: z.string(), lastFour: z.string() }).exactOptional(),
  /** Masked pictures of the site may go to the model's vendor when a page is not as it was. */
  asksModel: z.literal(true).exactOptional(),
  /** Nothing was ever completed for this customer at this address. */
  isFirstHere: z.literal(true).exactOptional(),
  /** Nobody asked for it: what is amiss with the stored key, and the standing grant that it runs under, where one covers it. */
  repair: z.strictObject({ cause: z.enum(REPAIR_CAUSES), consent: z.uuid().exactOptional() }).exactOptional(),
  /** ISO 8601: when the question lapses, and when a countersigned operation must be over. */
  expiresAt: z.string(),
  runsUntil: z.string(),
});

export interface PlanInput {
  readonly operationId: OperationId;
  readonly service: Service;
  readonly type: OperationTypeDefinition;
  readonly way: Way;
  readonly origin: string;
  readonly base: string;
  readonly workflow: Workflow;
  readonly permissions: readonly string[];
  readonly replaces: string | null;
  readonly key?: Plan['key'];
  readonly asksModel?: boolean;
  readonly isFirstHere?: boolean;
  readonly repair?: Plan['repair'];
  /** By the database's clock. */
  readonly now: Date;
}

export function makePlan(input: PlanInput): Plan {
  const { operationId, service, type, workflow, permissions, key, repair, now } = input;
  const openMinutes = repair && repair.consent === undefined ? REPAIR_REQUEST_MINUTES : CONSENT_REQUEST_MINUTES;
  const label = key && !makesKey(type) ? key.label : keyLabel(operationId, 1);
  const values = { ...type.values(permissions), ...(key ? { oldLabel: key.label } : {}) };
  const shown = withDerivedValues({ ...values, label, base: input.base });
  const plan: Plan = {
    v: 1,
    operationId,
    operationType: type.type,
    way: input.way.id,
    service: service.id,
    origin: input.origin,
    ...(input.way.origins ? { origins: [...input.way.origins] } : {}),
    base: input.base,
    workflowId: workflow.id,
    workflowVersion: workflow.version,
    label,
    permissions: [...permissions].sort(),
    values,
    steps: workflow.steps.map((step) => ({
      order: step.order,
      intent: fillText(step.intent, shown),
      permission: step.permission,
      risk: step.risk,
    })),
    stores: type.stores,
    replaces: input.replaces,
    ...(key ? { key } : {}),
    ...(input.asksModel ? { asksModel: true as const } : {}),
    ...(input.isFirstHere ? { isFirstHere: true as const } : {}),
    ...(repair ? { repair } : {}),
    expiresAt: minutesAfter(now, openMinutes),
    runsUntil: minutesAfter(now, openMinutes + CONSENT_GRANT_MINUTES),
  };
  return plan;
}

/** Everything that the operation's pages may talk to. */
export function originsOf({ origin, origins = [] }: Pick<Plan, 'origin' | 'origins'>): readonly string[] {
  return [origin, ...origins];
}

/** Whether the workflow does what the plan shows: the same steps with the same permissions, whatever its version says. */
export function fitsPlan(workflow: Workflow, plan: Plan): boolean {
  const shape = (steps: readonly { order: number; permission: string; risk: string }[]) =>
    canonical(steps.map(({ order, permission, risk }) => ({ order, permission, risk })));
  return workflow.version === plan.workflowVersion && shape(workflow.steps) === shape(plan.steps);
}

/** SHA-256 of the plan's RFC 8785 form, in hex. */
export function planHash(plan: Plan): string {
  return sha256Hex(planText(plan));
}

export function planText(plan: Plan): string {
  return canonical(plan);
}

/** @throws ZodError when the stored text is no plan. */
export function readPlan(text: string): Plan {
  return planSchema.parse(JSON.parse(text));
}

/** The unique name by which a key is found again after a crash; a further attempt has a name of its own. */
export function keyLabel(operationId: OperationId, attempt: number): string {
  return attempt === 1 ? `Countersign ${operationId}` : `Countersign ${operationId} ${attempt}`;
}

/**
 * Whether the key that a plan is about has a name that its operation gave it, and the steps say that name: where nobody looks
 * at the plan, no other key is ended.
 */
export function isAboutOwnKey({ key, values }: Plan): boolean {
  if (!key || values.oldLabel !== key.label) return false;
  const name = `Countersign ${key.operationId}`;
  return key.label === name || (key.label.startsWith(`${name} `) && /^\d+$/.test(key.label.slice(name.length + 1)));
}

function minutesAfter(now: Date, minutes: number): string {
  return new Date(now.getTime() + minutes * 60_000).toISOString();
}
