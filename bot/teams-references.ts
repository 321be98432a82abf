import type { Audit } from '../core/audit/audit.ts';
import { type ClearDeps, clearCustomer, type Removal } from '../core/customers/removal.ts';
import type { Database, Transaction } from '../core/database.ts';
import type { Directory } from '../core/directory.ts';
import type { CustomerId } from '../core/ids.ts';
import type { Threads } from '../core/operations/threads.ts';
import type { ThreadRef } from '../core/ports/chat.ts';

/** Among a thread's messages: how its conversation is reached, as the adapter wrote it. */
const SLOT = 'reference';
/** In place of what a message shows: how it stands with the conversation. */
const STANDING = {
  used: '',
  /** Teams took nothing of us there. */
  refused: 'refused',
  /** Teams said that the app was removed there. */
  removed: 'removed',
} as const;
/** Of conversations that are looked through at once. */
const MOST = 5_000;

export interface ReferenceDeps {
  readonly database: Database;
  readonly directory: Directory;
  readonly threads: Threads;
  readonly audit: Audit;
}

/** Conversations kept with their threads, since Teams says only in passing how one is reached. */
export function createTeamsReferences({ database, directory, threads, audit }: ReferenceDeps) {
  /** `undefined`: nobody installed it there. */
  async function within<T>(
    workspaceId: string,
    work: (tx: Transaction, customerId: CustomerId) => Promise<T>,
  ): Promise<T | undefined> {
    const customerId = await directory.customerOfWorkspace('teams', workspaceId);
    return customerId && database.withCustomer(customerId, (tx) => work(tx, customerId));
  }

  return {
    async keep(ref: ThreadRef, text: string): Promise<boolean> {
      const { workspaceId } = ref;
      const kept = await within(workspaceId, async (tx, customerId) => {
        const isBack = await isNowhere(tx, customerId, workspaceId);
        const thread = await threads.open(tx, customerId, ref);
        await threads.keepMessage(tx, customerId, thread, SLOT, { thread: ref, ref: text }, STANDING.used);
        if (isBack)
          await audit.append(tx, customerId, {
            ...{ kind: 'workspace.installed', payload: { platform: 'teams', workspaceId, how: 'again' } },
          });
        return true;
      });
      return kept ?? false;
    },
    forget: async ({ workspaceId, ref }: ThreadRef) =>
      void (await within(workspaceId, (tx, customerId) =>
        tx.threadMessage.updateMany({
          where: { ...all(customerId, workspaceId, ref), shown: STANDING.used },
          data: { shown: STANDING.refused },
        }),
      )),
    async find({ workspaceId, ref }: ThreadRef) {
      const row = await within(workspaceId, (tx, customerId) =>
        tx.threadMessage.findFirst({ where: all(customerId, workspaceId, ref) }),
      );
      if (!row) return undefined;
      return row.shown === STANDING.used ? { text: row.ref } : ('forgotten' as const);
    },
    async latest(workspaceId: string) {
      const row = await within(workspaceId, (tx, customerId) =>
        tx.threadMessage.findFirst({
          where: { ...all(customerId, workspaceId), shown: STANDING.used },
          orderBy: { createdAt: 'desc' },
        }),
      );
      return row?.ref;
    },
    async all(workspaceId: string) {
      const rows = await within(workspaceId, (tx, customerId) =>
        tx.threadMessage.findMany({
          where: { ...all(customerId, workspaceId), shown: { not: STANDING.removed } },
          ...{ select: { ref: true, thread: { select: { ref: true } } }, orderBy: { createdAt: 'desc' }, take: MOST },
        }),
      );
      return (rows ?? []).map(({ ref: text, thread: { ref } }) => ({
        thread: { platform: 'teams', workspaceId, ref } as const,
        text,
      }));
    },
    async remove(workspaceId: string, refs: readonly ThreadRef[]): Promise<boolean> {
      const isLast = await within(workspaceId, async (tx, customerId) => {
        if (await isNowhere(tx, customerId, workspaceId)) return true; // Teams says it several times
        const where = { ...all(customerId, workspaceId), shown: { not: STANDING.removed } };
        const among = { platform: 'teams', workspaceId, ref: { in: refs.map(({ ref }) => ref) } };
        await tx.threadMessage.updateMany({ where: { ...where, thread: among }, data: { shown: STANDING.removed } });
        if (!(await isNowhere(tx, customerId, workspaceId))) return false;
        const payload = { platform: 'teams', workspaceId, why: 'uninstalled' } as const;
        await audit.append(tx, customerId, { kind: 'workspace.removed', payload });
        return true;
      });
      return isLast ?? false;
    },
  };
}

function all(customerId: CustomerId, workspaceId: string, ref?: string) {
  return {
    ...{ customerId, slot: SLOT },
    thread: { platform: 'teams', workspaceId, ...(ref === undefined ? {} : { ref }) },
  };
}

/** Whether it was somewhere once, and Teams has said of each of these that it was removed. Held until the commit. */
async function isNowhere(tx: Transaction, customerId: CustomerId, workspaceId: string): Promise<boolean> {
  const name = `teams references ${workspaceId}`;
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${name}, 0))`;
  const where = all(customerId, workspaceId);
  const select = { slot: true };
  const used = await tx.threadMessage.findFirst({ where: { ...where, shown: { not: STANDING.removed } }, select });
  return used === null && (await tx.threadMessage.findFirst({ where, select })) !== null;
}

/** A customer who has other workspaces as well goes on there. */
function removalOf(customerId: CustomerId, workspaceId: string): Removal {
  const isDue = async (tx: Transaction) =>
    (await isNowhere(tx, customerId, workspaceId)) && (await tx.workspace.count({ where: { customerId } })) === 1;
  return { platform: 'teams', workspaceId, isDue, settle: isDue };
}

/**
 * Ends and deletes what is left behind by organisations that have the app nowhere any more, see `clearCustomer`. Who decides
 * there stays as it is: anybody can remove and add an app in Teams, and gets no rights by that. Harmless when repeated.
 */
export async function finishTeamsRemovals(deps: ClearDeps & { readonly directory: Directory }): Promise<void> {
  const failures: unknown[] = [];
  for (const customerId of await deps.directory.customers()) {
    const due = await deps.database.withCustomer(customerId, async (tx) => {
      const workspaces = await tx.workspace.findMany({ where: { customerId, platform: 'teams' } });
      const removals: Removal[] = [];
      for (const { workspaceId } of workspaces) {
        const removal = removalOf(customerId, workspaceId);
        if (await removal.isDue(tx)) removals.push(removal);
      }
      return removals;
    });
    for (const removal of due)
      await clearCustomer(deps, customerId, removal).catch((error: unknown) => failures.push(error)); // nobody waits for another customer
  }
  if (failures.length > 0) throw failures[0];
}
