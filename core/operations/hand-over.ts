import type { Audit } from '../audit/audit.ts';
import type { Database, Transaction } from '../database.ts';
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
import type { Operation } from './operation.ts';
import type { Parking } from './parking.ts';
import { originsOf } from './plan.ts';
import { ask, type codePlace, latestQuestion, type Question, type QuestionKind, sessionPlace } from './questions.ts';
import { opensItsPage, signInSteps, type Way } from './resume.ts';
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

/** The browser of a run, and what is to be done in it. */
export interface Seat {
  readonly session: BrowserSession;
  readonly steps: readonly Step[];
  /** It is signed in already, by what was kept of an earlier browser, if the site still takes that. */
  readonly isKept: boolean;
  /** The step that a person was asked about and has answered. */
  readonly answered?: number;
  /** That step's effect was clicked in this browser already: its page waits for the code that was given. */
  readonly isUnderWay?: boolean;
}

/**
 * The browser that stands where a person was asked, if this process has it; one that is signed in as an earlier one was; or
 * a fresh one that begins with the sign-in. A crash of browser or worker costs no second code of a person's phone.
 */
export async function takeSeat(
  deps: HandOverDeps,
  lease: Lease,
  way: Way,
  effect: EffectState,
  secrets: RunSecrets,
): Promise<Seat> {
  const { operation } = lease;
  const { customerId, id } = operation;
  const origins = originsOf(operation.plan);
  const parked = deps.parking.take(customerId, id);
  const question = await deps.database.withCustomer(customerId, (tx) => latestQuestion(tx, customerId, id));
  const isAnswered = question?.closed === 'answered' && effect.kind !== 'uncertain';
  const answered = isAnswered ? { answered: question.step } : {};
  if (parked && isAnswered && parked.step === question.step) {
    const seat = await placeIn(parked.session, lease, way, question, effect.label);
    if (seat) return { session: parked.session, ...seat, ...answered };
  }
  if (parked && question && isUnderWay(effect, question) && parked.step === question.step) {
    const steps = allOf(way).filter(({ order }) => order >= question.step);
    return { session: parked.session, steps, isKept: false, answered: question.step, isUnderWay: true };
  }
  await parked?.session.close().catch(() => {});
  const storage = opensItsPage(way) ? await keptSession(deps, lease) : undefined;
  const given = { owner: id, origins, ...(storage ? { storage } : {}) };
  const session = await deps.browser.open({ ...given, hide: secrets.hideOnPage });
  return { session, steps: storage ? way.rest : allOf(way), isKept: storage !== undefined, ...answered };
}

/** A code was asked for in the middle of the effect, before anything was made, and somebody has answered. */
function isUnderWay(effect: EffectState, { kind, closed, step }: Question): boolean {
  return effect.kind === 'uncertain' && effect.intent.step === step && kind === 'code' && closed === 'answered';
}

function allOf({ signIn, rest }: Way): readonly Step[] {
  return [...signIn, ...rest];
}

const LOOK_MS = 500; // one look at a page that a person has just left

/**
 * Where to go on in a browser that still stands where a person was asked. A code is entered in place. What somebody put
 * right shows on a page that is opened anew, unless that page says by itself that the step is done. `undefined`: nowhere.
 */
async function placeIn(
  session: BrowserSession,
  { operation }: Lease,
  way: Way,
  { step: order, kind }: Question,
  label: string,
): Promise<Pick<Seat, 'steps' | 'isKept'> | undefined> {
  const steps = allOf(way);
  const at = steps.findIndex((step) => step.order === order);
  const step = steps[at];
  if (!step) return undefined;
  const values = withDerivedValues({ ...operation.plan.values, base: operation.plan.base, label });
  const wanted = 'postcondition' in step ? [fillCondition(step.postcondition, values)] : [];
  try {
    const isDone = (await session.waitFor(wanted, LOOK_MS)) !== undefined;
    if (kind === 'code' || isDone) return { steps: steps.slice(at), isKept: false };
    const isPastSignIn = at >= way.signIn.length && opensItsPage(way);
    return isPastSignIn ? { steps: way.rest, isKept: true } : undefined;
  } catch {
    return undefined; // it is as good as closed
  }
}

/**
 * Seals the session of a browser that has signed in, until the operation ends or the site no longer takes it. A page that
 * hangs keeps none: that costs a sign-in, no more.
 */
export async function sessionToKeep(session: BrowserSession): Promise<Secret | undefined> {
  return session.storage().catch(() => undefined);
}

/** Writes it, in a transaction that holds the lease. */
export async function keepSession(
  tx: Transaction,
  { vault }: Pick<HandOverDeps, 'vault'>,
  operation: Operation,
  value: Secret,
): Promise<void> {
  const { service, type, ...place } = sessionPlace(operation);
  const expiresAt = operation.grant?.expiresAt ?? null;
  await vault.within(tx).store(operation.customerId, service, type, { ...place, value, expiresAt });
}

/** The sealed session of an earlier browser. */
async function keptSession({ vault }: HandOverDeps, { operation, fence }: Lease): Promise<Secret | undefined> {
  const { customerId, id } = operation;
  const reader = { customerId, forOperation: id, fence, why: 'resume' };
  return (await vault.open({ ...sessionPlace(operation), ...reader }, asSecrets))?.value;
}

/** The site does not take it any more: whoever goes on signs in. */
export async function forgetSession(deps: Pick<HandOverDeps, 'database' | 'vault'>, lease: Lease): Promise<void> {
  const { operation } = lease;
  const { service, type, ...place } = sessionPlace(operation);
  await deps.database.withCustomer(operation.customerId, async (tx) => {
    await lease.hold(tx);
    await deps.vault.within(tx).delete(operation.customerId, service, type, place);
  });
}

/** The secret at that place, gone from the vault before anything is done with it; `undefined` as well once its time is over. */
export async function takeOnce(
  deps: Pick<HandOverDeps, 'database' | 'vault'>,
  lease: Lease,
  { service, type, ...place }: ReturnType<typeof codePlace>,
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
 * The question and the move to waiting, in one transaction; the browser stays for a while where it stands, its session,
 * once it has signed in, sealed until the end. @returns false when the operation has asked often enough.
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
  const storage = step > signInSteps(workflow).length ? await sessionToKeep(session) : undefined;
  const told = secrets.hideIn(words);
  const isAsked = await deps.database.withCustomer(customerId, async (tx) => {
    await lease.hold(tx);
    const key = { customerId_operationId_number: { customerId, operationId, number: step } };
    const row = await tx.operationStep.findUnique({ where: key, select: { screenshotId: true } });
    const screenshotId = row?.screenshotId ?? null;
    if (!(await ask(tx, deps, operation, { step, kind, words: told, screenshotId }))) return false;
    if (storage) await keepSession(tx, deps, operation, storage);
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
