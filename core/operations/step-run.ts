import { type ModelLimits, stepBudget } from '../agent/budget.ts';
import type { AgentMode, StepRun } from '../agent/engine.ts';
import { CountersignError } from '../errors.ts';
import type { OperationId } from '../ids.ts';
import type { BrowserSession } from '../ports/browser.ts';
import type { PageModel } from '../ports/model.ts';
import type { VerifyResult } from '../services/service.ts';
import {
  asSecrets,
  type CredentialType,
  type OpenedFields,
  type SecretFields,
  type StoredCredential,
} from '../vault/vault.ts';
import { knownElements, type Proposal } from '../workflow/known.ts';
import { discardedFor } from '../workflow/proposals.ts';
import type { Step } from '../workflow/steps/index.ts';
import type { Workflow } from '../workflow/workflow.ts';
import { type EarlierKeyDeps, earlierKey } from './earlier-key.ts';
import { keepBeside, keepResult, renewIntent, writeIntent } from './effect.ts';
import { besidePlace, signInPlace } from './entered.ts';
import { type HandOverDeps, takeOnce } from './hand-over.ts';
import type { Lease } from './lease.ts';
import { codePlace } from './questions.ts';
import type { RunSecrets } from './run-secrets.ts';
import type { RunSignals } from './run-signals.ts';

/** What a step of an operation draws on. */
export interface StepRunDeps extends Pick<HandOverDeps, 'database' | 'audit' | 'vault'>, EarlierKeyDeps {
  /** How steps are decided; the ladder when absent. */
  readonly agentMode?: AgentMode;
  /** Asked where an element is when no record tells; absent: a person is. */
  readonly pages?: {
    readonly model: PageModel;
    readonly limits: ModelLimits;
  };
  /** What the workflow's elements had become on this target before. */
  readonly proposals: readonly Proposal[];
}

/** What the steps of one attempt share. */
export interface StepRunWith {
  readonly session: BrowserSession;
  /** The name of the key to be made. */
  readonly label: string;
  readonly secrets: RunSecrets;
  readonly signals: RunSignals;
  /** The one effect was clicked in this session before, and its page waits for what a person has given since. */
  readonly isUnderWay?: boolean;
}

/** What the engine may use for one step, and nothing else. */
export function stepRun(
  deps: StepRunDeps,
  lease: Lease,
  workflow: Workflow,
  step: Step | undefined,
  { session, label, secrets, signals, isUnderWay }: StepRunWith,
): StepRun {
  const { operation } = lease;
  const { customerId } = operation;
  const permission = step?.permission ?? 'sign_in';
  const kindOf = (field: string) => (operation.type.result[field]?.isPublic ? 'public' : 'secret');
  const learnFields = (fields: SecretFields) => {
    for (const [field, secret] of Object.entries(fields)) secrets.learn(secret, kindOf(field));
  };
  const reader = { customerId, forOperation: operation.id, fence: lease.fence };
  const why = `step ${step?.order ?? 0}`;
  const earlier = earlierKey(deps, lease, { permission, why, learn: learnFields });
  return {
    ...(earlier ? { earlier } : {}),
    session,
    mode: deps.agentMode ?? 'ladder',
    known: knownElements(workflow),
    proposals: deps.proposals,
    // Asked only before what was not recorded is taken; so what an admin says while the run is under way holds from then on.
    discarded: () => {
      const place = { workflowId: workflow.id, workflowVersion: workflow.version, target: operation.plan.base };
      return deps.database.withCustomer(customerId, (tx) => discardedFor(tx, customerId, place, step?.order ?? 0));
    },
    obstacles: workflow.errorRecovery,
    values: { ...operation.plan.values, base: operation.plan.base, label: label || operation.plan.label },
    // What was entered can be taken up again, as long as it is not kept.
    signal: step?.isMutating && step.kind !== 'receive' ? signals.effect : signals.step,
    ...(deps.pages && step && operation.plan.asksModel
      ? {
          model: {
            converse: deps.pages.model.converse,
            reserve: stepBudget(deps.database, deps.pages.limits, {
              customerId,
              operationId: operation.id,
              step: step.order,
            }),
          },
        }
      : {}),
    guard: () => lease.guard(permission),
    requireSight: () => lease.requireSight(),
    async code() {
      const code = await takeOnce(deps, lease, codePlace(operation), 'code');
      if (code) secrets.learn(code, 'secret');
      return code;
    },
    learn: (secret, field) => secrets.learn(secret, kindOf(field)),
    knownSecrets: () => secrets.all(),
    async secret(slot) {
      // Slots are named after the way's sign-in fields, which are credential types.
      const place = signInPlace(operation, slot as CredentialType);
      const fields = await deps.vault.open({ ...place, ...reader, why }, asSecrets);
      if (!fields?.value)
        throw new CountersignError('vault_key_missing', `The sign-in secret ${slot} is not in the vault.`);
      const isSecret = operation.way.fields.find(({ name }) => name === slot)?.isSecret ?? true;
      secrets.learn(fields.value, isSecret ? 'secret' : 'public');
      return fields.value;
    },
    intend: () =>
      deps.database.withCustomer(customerId, async (tx) => {
        await lease.holdToAct(tx, permission);
        const order = step?.order ?? 0;
        const mayBeThere = step?.kind === 'extract' && step.showsAgain === true;
        if (mayBeThere && (await renewIntent(tx, deps.audit, operation, order, label, lease.fence))) return;
        await writeIntent(tx, deps.audit, operation, order, label, lease.fence);
      }),
    ...(isUnderWay && step?.kind === 'extract'
      ? {
          resumeEffect: () =>
            deps.database.withCustomer(customerId, async (tx) => {
              await lease.holdToAct(tx, permission);
              await renewIntent(tx, deps.audit, operation, step.order, label, lease.fence);
            }),
        }
      : {}),
    async keep(found) {
      learnFields(found);
      await deps.database.withCustomer(customerId, async (tx) => {
        // What the page has made is kept in any case, once its intent stands; what was entered, only as long as it is wanted.
        if (step?.kind === 'receive') {
          await lease.holdToAct(tx, permission);
          await writeIntent(tx, deps.audit, operation, step.order, label, lease.fence);
        } else await lease.holdToKeep(tx);
        // What a person entered has been proven by now; what a page has made has not.
        const isProven = step?.kind === 'receive' || operation.type.type !== 'credential_rotation';
        const kept = { step: step?.order ?? 0, fence: lease.fence, label, fields: found };
        await (isProven ? keepResult : keepBeside)(tx, deps, operation, kept);
      });
    },
    async entered() {
      const place = { ...besidePlace(operation), ...reader, why };
      const fields = await deps.vault.open(place, asSecrets);
      learnFields(fields ?? {});
      const formats = Object.entries(operation.type.result);
      const isWhole = fields && formats.every(([name, { matches }]) => matches.test(fields[name]?.reveal() ?? ''));
      if (!isWhole) return undefined;
      // Under another name it would be told to be revoked, as the one that it takes the place of.
      const { service, type, plan } = operation;
      const stored = await deps.vault.open(
        { service: service.id, target: plan.base, type: type.credentialType, ...reader, why },
        asSecrets,
      );
      learnFields(stored ?? {});
      const isKnown = formats.every(([name]) => stored?.[name]?.reveal() === fields[name]?.reveal());
      return isKnown ? 'known' : fields;
    },
    async verify(candidate) {
      const { service, type, plan } = operation;
      const { base, origin, permissions } = plan;
      if (candidate) return type.verify({ base, origin, credential: candidate, permissions, http: deps.http });
      if (type.type === 'integration_test') return (await earlier?.verify()) ?? KEY_GONE;
      const place = { service: service.id, target: plan.base, type: type.credentialType };
      const stored = await deps.vault.find(customerId, place.service, place.type, place);
      if (type.type === 'credential_rotation' && stored?.metadata.operationId !== operation.id) {
        const beside = { ...besidePlace(operation), ...reader, why };
        const fresh = await deps.vault.open(beside, ownedBy(operation.id));
        if (typeof fresh === 'object' && fresh !== null) {
          learnFields(fresh);
          return type.verify({ base, origin, credential: fresh, permissions, http: deps.http });
        }
      }
      const owner = stored?.metadata.operationId ?? operation.id;
      const credential =
        owner === operation.id
          ? await deps.vault.open({ ...place, ...reader, why: 'verify' }, ownedBy(operation.id))
          : owner;
      if (typeof credential === 'string') {
        const reason = `The key of ${credential} took the new one's place in the vault before this one was checked. Both are still known there: revoke “${label || plan.label}” there if nothing uses it.`;
        return { kind: 'fails', reason, isRetryable: false };
      }
      if (!credential) return { kind: 'fails', reason: 'The new key is not in the vault', isRetryable: false };
      learnFields(credential);
      return type.verify({ base, origin, credential, permissions, http: deps.http });
    },
  };
}

const KEY_GONE: VerifyResult = { kind: 'fails', reason: 'The key is not in the vault any more', isRetryable: false };

/** The fields of this operation's own key, or whose it is that took its place since it was looked for. */
function ownedBy(id: OperationId) {
  return (fields: OpenedFields, { metadata }: StoredCredential): SecretFields | string =>
    metadata.operationId === undefined || metadata.operationId === id ? asSecrets(fields) : metadata.operationId;
}
