import type { Audit } from '../audit/audit.ts';
import type { Database } from '../database.ts';
import type { Browser, BrowserSession } from '../ports/browser.ts';
import type { Queue } from '../queue/queue.ts';
import type { Secret } from '../secret.ts';
import { asSecrets, type Vault } from '../vault/vault.ts';
import { fillCondition, withDerivedValues } from '../workflow/placeholders.ts';
import type { Step } from '../workflow/steps/index.ts';
import type { Workflow } from '../workflow/workflow.ts';
import type { EffectState } from './effect.ts';
import type { Lease } from './lease.ts';
import type { Mover } from './move.ts';
import type { Parking } from './parking.ts';
import { ask, type codePlace, latestQuestion, type Question, type QuestionKind, sessionPlace } from './questions.ts';
import type { RunSecrets } from './run-secrets.ts';
import { Stopped } from './stopped.ts';

/** What handing a run over to a person, and taking it up again, needs. */
export interface HandOverDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly vault: Vault;
  readonly mover: Mover;
  readonly queue: Queue;
  readonly browser: Browser;
  /** Browsers that wait for somebody's answer. */
  readonly parking: Parking;
}

/** A step that a person has to help with; nothing of it took effect. */
export interface Asked {
  readonly step: number;
  readonly question: QuestionKind;
  readonly words: string;
}

/** The browser of a run, and the step that it goes on with. */
export interface Seat {
  readonly session: BrowserSession;
  readonly from: number;
  /** It is signed in by what was kept of an earlier browser, if the site still takes that. */
  readonly isKept?: boolean;
  /** The step that a person was asked about and has answered. */
  readonly answered?: number;
}

/**
 * The browser that stands where a person was asked, if this process has it; one that is signed in as it was; or a fresh
 * one that begins with the first step.
 */
export async function takeSeat(
  deps: HandOverDeps,
  lease: Lease,
  workflow: Workflow,
  effect: EffectState,
  secrets: RunSecrets,
): Promise<Seat> {
  const { operation } = lease;
  const { customerId, id } = operation;
  const origins = [operation.plan.origin];
  const parked = deps.parking.take(customerId, id);
  const question = await deps.database.withCustomer(customerId, (tx) => latestQuestion(tx, customerId, id));
  const isAnswered = question?.closed === 'answered' && effect.kind === 'fresh';
  const answered = isAnswered ? { answered: question.step } : {};
  if (parked && isAnswered && parked.step === question.step) {
    const from = await placeIn(parked.session, lease, workflow, question, effect.label);
    if (from !== undefined) return { session: parked.session, from, isKept: from !== question.step, ...answered };
  }
  await parked?.session.close().catch(() => {});
  const storage = isAnswered && isPastSignIn(workflow, question.step) ? await takeSession(deps, lease) : undefined;
  const session = await deps.browser.open({ origins, hide: secrets.hideOnPage, ...(storage ? { storage } : {}) });
  return { session, from: storage ? 1 + signInSteps(workflow).length : 1, isKept: storage !== undefined, ...answered };
}

/** Where a browser that is signed in can be put, and the workflow opens a page of its own there. */
function isPastSignIn(workflow: Workflow, order: number): boolean {
  const { length } = signInSteps(workflow);
  return order > length && workflow.steps[length]?.kind === 'navigate';
}

const LOOK_MS = 500; // one look at a page that a person has just left

/**
 * Where to go on in a browser that still stands where a person was asked. A code is entered in place. What somebody put
 * right shows on a page that is opened anew, unless that page says by itself that the step is done. `undefined`: nowhere.
 */
async function placeIn(
  session: BrowserSession,
  { operation }: Lease,
  workflow: Workflow,
  { step: order, kind }: Question,
  label: string,
): Promise<number | undefined> {
  const step = workflow.steps[order - 1];
  const values = withDerivedValues({ ...operation.plan.values, base: operation.plan.base, label });
  const wanted = step && 'postcondition' in step ? [fillCondition(step.postcondition, values)] : [];
  try {
    const isDone = (await session.waitFor(wanted, LOOK_MS)) !== undefined;
    if (kind === 'code' || isDone) return order;
    return isPastSignIn(workflow, order) ? 1 + signInSteps(workflow).length : undefined;
  } catch {
    return undefined; // it is as good as closed
  }
}

/** The sealed session, which is gone from the vault before it is used. */
async function takeSession(deps: HandOverDeps, lease: Lease): Promise<Secret | undefined> {
  const { operation } = lease;
  return takeOnce(deps, lease, sessionPlace(operation), 'resume');
}

/** The secret at that place, gone from the vault before anything is done with it; `undefined` as well once its time is over. */
export async function takeOnce(
  deps: Pick<HandOverDeps, 'database' | 'vault'>,
  lease: Lease,
  { service, type, ...place }: ReturnType<typeof sessionPlace> | ReturnType<typeof codePlace>,
  why: string,
): Promise<Secret | undefined> {
  const { customerId, id } = lease.operation;
  const reader = { customerId, forOperation: id, fence: lease.fence };
  const fields = await deps.vault.open({ service, type, ...place, ...reader, why }, asSecrets);
  if (!fields?.value) return undefined;
  const isMine = await deps.database.withCustomer(customerId, async (tx) => {
    await lease.hold(tx);
    return deps.vault.within(tx).delete(customerId, service, type, place);
  });
  return isMine ? fields.value : undefined;
}

/**
 * The question, the sealed session and the move to waiting, in one transaction; the browser stays for a while where it
 * stands. @returns false when the operation has asked often enough.
 */
export async function handOver(
  deps: HandOverDeps,
  lease: Lease,
  workflow: Workflow,
  { step, question: kind, words }: Asked,
  session: BrowserSession,
  secrets: RunSecrets,
): Promise<boolean> {
  const { operation, fence } = lease;
  const { customerId, id: operationId } = operation;
  // A page that hangs costs a sign-in, no more.
  const storage = isPastSignIn(workflow, step) ? await session.storage().catch(() => undefined) : undefined;
  const told = secrets.hideIn(words);
  const isAsked = await deps.database.withCustomer(customerId, async (tx) => {
    await lease.hold(tx);
    const key = { customerId_operationId_number: { customerId, operationId, number: step } };
    const row = await tx.operationStep.findUnique({ where: key, select: { screenshotId: true } });
    const screenshotId = row?.screenshotId ?? null;
    if (!(await ask(tx, deps, operation, { step, kind, words: told, screenshotId }))) return false;
    if (storage) {
      const { service, type, ...place } = sessionPlace(operation);
      const expiresAt = operation.grant?.expiresAt ?? null;
      await deps.vault.within(tx).store(customerId, service, type, { ...place, value: storage, expiresAt });
    }
    const entry = { kind: 'question.asked', stepNumber: step, payload: { kind, words: told } } as const;
    const moved = await deps.mover.move(tx, customerId, {
      ...{ operationId, from: ['in_progress'] as const, to: 'waiting_for_human' as const, fence, entry },
    });
    if (moved === undefined) throw new Stopped('moved', 'Somebody else moved the operation'); // rolls everything back
    return true;
  });
  if (isAsked) deps.parking.park(customerId, operationId, { session, step });
  return isAsked;
}

/** The steps before the first that needs more than the permission to sign in. */
export function signInSteps({ steps }: Workflow): readonly Step[] {
  const first = steps.findIndex((step) => step.permission !== 'sign_in');
  return first < 0 ? steps : steps.slice(0, first);
}
