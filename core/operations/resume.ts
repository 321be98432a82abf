import type { Transaction } from '../database.ts';
import type { Step } from '../workflow/steps/index.ts';
import type { Workflow } from '../workflow/workflow.ts';
import { type EffectState, effectState } from './effect.ts';
import { type Execution, readExecution } from './execution.ts';
import type { Operation } from './operation.ts';

/** What is on record of an operation's work, as whoever takes it over has to go by it. */
export interface OnRecord {
  readonly effect: EffectState;
  readonly execution: Execution;
  /** States of steps by their order. */
  readonly steps: ReadonlyMap<number, string>;
}

/** To be read under the lease: nobody else writes it any more. */
export async function onRecord(tx: Transaction, operation: Operation): Promise<OnRecord> {
  const { customerId, id } = operation;
  const where = { customerId_id: { customerId, id } };
  const row = await tx.operation.findUniqueOrThrow({ where, select: { executionMetadata: true } });
  const steps = await tx.operationStep.findMany({ where: { customerId, operationId: id } });
  return {
    effect: await effectState(tx, operation),
    execution: readExecution(row.executionMetadata),
    steps: new Map(steps.map(({ number, state }) => [number, state])),
  };
}

/** The steps by which a fresh browser comes to where the work goes on. */
export interface Way {
  /** Not needed by a browser that is signed in, if `rest` opens a page of its own. */
  readonly signIn: readonly Step[];
  /** From the last page that is opened by its address, at or before the first step that isn't known to be done. */
  readonly rest: readonly Step[];
}

/**
 * Steps that change nothing are gone through again to get there, since a form that was filled is empty in another browser.
 * `undefined`: there is no way that repeats nothing else, or the first step that isn't known to be done may have changed
 * something that no intent tells of.
 */
export function wayOn(workflow: Workflow, states: ReadonlyMap<number, string>): Way | undefined {
  const signIn = signInSteps(workflow);
  const all = workflow.steps.slice(signIn.length);
  const undone = all.findIndex(({ order }) => states.get(order) !== 'done');
  const next = undone < 0 ? all.length : undone;
  const start = Math.max(
    0,
    all.slice(0, next + 1).findLastIndex(({ kind }) => kind === 'navigate'),
  );
  const begun = all[next];
  const mayHaveActed = begun?.isMutating && begun.kind !== 'extract' && states.get(begun.order) === 'running';
  return mayHaveActed || !all.slice(start, next).every(isHarmless) ? undefined : { signIn, rest: all.slice(start) };
}

/** Whether a browser that was signed in elsewhere finds its way by itself. */
export function opensItsPage({ rest }: Way): boolean {
  return rest[0]?.kind === 'navigate';
}

function isHarmless({ isMutating, risk }: Step): boolean {
  return !isMutating && risk === 'reads';
}

/** The steps before the first that needs more than the permission to sign in. */
export function signInSteps({ steps }: Workflow): readonly Step[] {
  const first = steps.findIndex((step) => step.permission !== 'sign_in');
  return first < 0 ? steps : steps.slice(0, first);
}
