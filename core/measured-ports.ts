import type { Audit } from './audit/audit.ts';
import { afterCommit } from './database.ts';
import { CountersignError } from './errors.ts';
import { readExecution } from './operations/execution.ts';
import type { Mover } from './operations/move.ts';
import { isEnd } from './operations/states.ts';
import type { Chat } from './ports/chat.ts';
import type { Metrics } from './ports/metrics.ts';
import type { PageModel } from './ports/model.ts';
import type { Vault } from './vault/vault.ts';

/** A trail whose appends are timed, and whose finished steps are counted once they are committed. */
export function measuredAudit(audit: Audit, metrics: Metrics): Audit {
  return {
    ...audit,
    async append(tx, customerId, entry) {
      const began = performance.now();
      const appended = await audit.append(tx, customerId, entry);
      metrics.auditAppended(performance.now() - began);
      const { kind, rung, success: isDone = false, durationMs = 0 } = entry;
      if (kind === 'step.finished')
        afterCommit(tx, () => metrics.stepFinished({ isDone, durationMs, ...(rung === undefined ? {} : { rung }) }));
      return appended;
    },
  };
}

/** A mover that tells of each operation that ended, once that is committed. */
export function measuredMover(mover: Mover, metrics: Metrics): Mover {
  return {
    async move(tx, customerId, move) {
      const fence = await mover.move(tx, customerId, move);
      const { operationId: id, to: outcome } = move;
      if (fence === undefined || !isEnd(outcome)) return fence;
      const row = await tx.operation.findUniqueOrThrow({
        where: { customerId_id: { customerId, id } },
        select: { service: true, createdAt: true, completedAt: true, executionMetadata: true },
      });
      const { machineMs, peopleMs } = readExecution(row.executionMetadata);
      const { service, createdAt, completedAt } = row;
      const totalMs = (completedAt ?? createdAt).getTime() - createdAt.getTime();
      afterCommit(tx, () => metrics.operationEnded({ service, outcome, machineMs, totalMs, peopleMs }));
      return fence;
    },
  };
}

/** A vault whose readings are timed, without what is then done with the secret. */
export function measuredVault(vault: Vault, metrics: Metrics): Vault {
  return {
    ...vault,
    open(ref, use) {
      const began = performance.now();
      return vault.open(ref, (fields, stored) => {
        metrics.secretOpened(performance.now() - began);
        return use(fields, stored);
      });
    },
    async get(...asked) {
      const began = performance.now();
      const found = await vault.get(...asked);
      if (found) metrics.secretOpened(performance.now() - began);
      return found;
    },
  };
}

/** A chat whose calls are counted by what became of them. */
export function measuredChat(chat: Chat, metrics: Metrics): Chat {
  const counted =
    <A extends readonly unknown[], T>(call: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      try {
        const value = await call(...args);
        metrics.chatCalled(chat.platform, 'ok');
        return value;
      } catch (error) {
        const isThrottled = error instanceof CountersignError && error.retryAfterMs !== undefined;
        metrics.chatCalled(chat.platform, isThrottled ? 'throttled' : 'failed');
        throw error;
      }
    };
  const { showHome, showActivity, groups, transcript, timeZone } = chat;
  return {
    ...chat,
    post: counted(chat.post),
    update: counted(chat.update),
    ephemeral: counted(chat.ephemeral),
    directMessage: counted(chat.directMessage),
    person: counted(chat.person),
    standing: counted(chat.standing),
    openForm: counted(chat.openForm),
    upload: counted(chat.upload),
    ...(showHome && { showHome: counted(showHome) }),
    ...(showActivity && { showActivity: counted(showActivity) }),
    ...(groups && { groups: counted(groups) }),
    ...(timeZone && { timeZone: counted(timeZone) }),
    ...(transcript && { transcript: counted(transcript) }),
  };
}

/** A model whose conversations, tokens and cost are counted. */
export function measuredPageModel(model: PageModel, metrics: Metrics): PageModel {
  return {
    async converse(brief, hands) {
      const end = await model.converse(brief, hands);
      metrics.modelConversed(end);
      return end;
    },
  };
}
