import type { Member } from '../../core/customers/customers.ts';
import { customerId, memberId, type OperationId } from '../../core/ids.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { makePlan, planHash } from '../../core/operations/plan.ts';
import type { OperationType, Service, Way } from '../../core/services/service.ts';
import { defaultPermissions, permissionsIn } from '../../core/services/ways.ts';
import { woocommerce } from '../../core/services/woocommerce/index.ts';
import { createWorkflowRegistry } from '../../core/workflow/registry.ts';

const CUSTOMER = customerId('5a6c2f0e-0000-4000-8000-000000000001');
/** `op-` and eight characters by hand: the type's promise. */
export const OPERATION_ID = 'op-7k3f9q2m' as OperationId;
export const NOW = new Date('2026-03-04T10:02:00Z');

export function memberNamed(name: string, last: string, roles: Member['roles'] = ['merchant']): Member {
  const person = { platform: 'web', workspaceId: 'demo', userId: name.toLowerCase(), name } as const;
  const id = memberId(`5a6c2f0e-0000-4000-8000-00000000000${last}`);
  return { id, personId: id, person, roles };
}

/** What an operation is about. */
export interface About {
  readonly service?: Service;
  readonly id?: OperationId;
  readonly base?: string;
  /** Absent: the type's first. */
  readonly way?: Way;
  /** Absent: those that are usual. */
  readonly permissions?: readonly string[];
}

/** An operation as the core would read it, for cards: pure functions of it. */
export function operationWith(changes: Partial<Operation> = {}, about: About = {}): Operation {
  const { id = OPERATION_ID } = about;
  const service: Service = about.service ?? woocommerce;
  const base = about.base ?? service.home ?? 'https://shop.example.com';
  const type = service.operationTypes.api_key_generation;
  if (!type) throw new Error(`${service.name} makes API keys`);
  const way = about.way ?? type.ways[0];
  const permissions = about.permissions ?? permissionsIn(type, way).flatMap((p) => (p.isDefault ? [p.id] : []));
  const plan = makePlan({
    operationId: id,
    service,
    type,
    way,
    origin: base,
    base,
    workflow: createWorkflowRegistry().getDefinition(way.workflowId),
    permissions,
    replaces: null,
    now: NOW,
  });
  return {
    customerId: CUSTOMER,
    id,
    threadId: '5a6c2f0e-0000-4000-8000-0000000000aa',
    state: 'awaiting_consent',
    fence: 0n,
    service,
    type,
    way,
    plan,
    planHash: planHash(plan),
    requester: memberNamed('Merchant', '2'),
    workspace: { platform: 'web', workspaceId: 'demo' },
    approvals: [],
    widened: [],
    remindedAt: null,
    request: {
      customerId: CUSTOMER,
      id: '5a6c2f0e-0000-4000-8000-0000000000bb',
      operationId: id,
      planHash: planHash(plan),
      askedAt: NOW,
      expiresAt: new Date(plan.expiresAt),
      decision: null,
      decidedAt: null,
      decidedBy: null,
      method: null,
      askedBy: null,
      askedFor: plan.permissions,
      widened: {},
      terms: null,
    },
    grant: null,
    decidedBy: null,
    signIn: null,
    intent: null,
    isKeyStored: false,
    pictures: [],
    steps: plan.steps.map((step) => ({
      customerId: CUSTOMER,
      operationId: id,
      number: step.order,
      intent: step.intent,
      state: 'waiting',
      attempt: 0n,
      rung: null,
      startedAt: null,
      finishedAt: null,
      durationMs: null,
      screenshotId: null,
      note: null,
    })),
    currentStep: 0,
    hold: null,
    heldBy: null,
    retryOf: null,
    twin: null,
    retriedAs: null,
    result: null,
    errorCode: null,
    errorMessage: null,
    createdAt: NOW,
    startedAt: null,
    execution: { machineMs: 0, runningSince: null, left: 0, peopleMs: 0, waitingSince: null },
    completedAt: null,
    ...changes,
  };
}

/** The key that those operations are about. */
export const OLD = { operationId: 'op-22222222', label: 'Countersign op-22222222', lastFour: '9a33' };

/** The same about a key that is stored. */
export function operationAbout(kind: Exclude<OperationType, 'api_key_generation'>): Operation {
  const type = woocommerce.operationTypes[kind];
  const [way] = type.ways;
  const { plan: first } = operationWith();
  const plan = makePlan({
    operationId: OPERATION_ID,
    service: woocommerce,
    type,
    way,
    origin: first.origin,
    base: first.base,
    workflow: createWorkflowRegistry().getDefinition(way.workflowId),
    permissions: defaultPermissions(type),
    replaces: kind === 'credential_rotation' ? OLD.label : null,
    key: OLD,
    now: NOW,
  });
  return operationWith({ type, way, plan, planHash: planHash(plan) });
}

/** What an approver's countersignature looks like on the operation. */
export function granted(
  operation: Operation,
  approver = memberNamed('Approver', '3', ['merchant', 'approver']),
): NonNullable<Operation['grant']> {
  return {
    customerId: CUSTOMER,
    id: '5a6c2f0e-0000-4000-8000-0000000000cc',
    requestId: '5a6c2f0e-0000-4000-8000-0000000000bb',
    operationId: OPERATION_ID,
    userId: approver.id,
    service: 'woocommerce',
    operation: 'api_key_generation',
    target: operation.plan.base,
    permissions: operation.plan.permissions,
    planHash: operation.planHash,
    grantedAt: NOW,
    expiresAt: new Date(NOW.getTime() + 3_600_000),
    revokedAt: null,
    revokedBy: null,
    collectionMethod: 'web',
    ipAddress: null,
    userAgent: null,
    consentVersion: '1.0',
    extends: null,
    templateHash: null,
    keeps: [],
    createdAt: NOW,
    approver,
  };
}
