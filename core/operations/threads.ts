import { z } from 'zod';
import type { Transaction } from '../database.ts';
import { type CustomerId, newUuid } from '../ids.ts';
import type { MessageRef, Platform, ThreadRef } from '../ports/chat.ts';

/** A request that lacks an address: who asked for what. */
const awaitingSchema = z.object({
  memberId: z.string(),
  service: z.string(),
  wantsWrite: z.boolean(),
  askedAt: z.string(),
  /** Everything that was asked for at once, with the addresses that are known. */
  together: z
    .array(z.object({ service: z.string(), target: z.string().exactOptional(), wantsWrite: z.boolean() }))
    .exactOptional(),
});
export type Awaiting = z.infer<typeof awaitingSchema>;

export interface ThreadState {
  readonly id: string;
  readonly ref: ThreadRef;
  readonly awaiting: Awaiting | undefined;
  /** The last audit entry about this thread, and the last one that it has shown. */
  readonly lastSeq: bigint;
  readonly cursor: bigint;
}

/** The reference of a thread that nobody reads: what was asked for by the HTTP API where there is no channel to say it in. */
const UNREAD = 'api:';
/** What `app.erase_person` leaves of a reference: no platform takes it. */
const ERASED = 'erased ';

export function unreadThread(
  { platform, workspaceId }: Pick<ThreadRef, 'platform' | 'workspaceId'>,
  id: string,
): ThreadRef {
  return { platform, workspaceId, ref: `${UNREAD}${id}` };
}

/** Nothing is said there: whoever asked looks by the API, or is erased with where they were spoken to. */
export function isUnread({ ref }: ThreadRef): boolean {
  return ref.startsWith(UNREAD) || ref.startsWith(ERASED);
}

export interface KeptMessage {
  readonly ref: MessageRef;
  /** A hash of what it shows. */
  readonly shown: string;
}

/** Threads, the messages in them that are edited in place, and how far each has shown the trail. */
export interface Threads {
  open(tx: Transaction, customerId: CustomerId, ref: ThreadRef): Promise<ThreadState>;
  get(tx: Transaction, customerId: CustomerId, id: string): Promise<ThreadState | undefined>;
  setAwaiting(tx: Transaction, customerId: CustomerId, id: string, awaiting: Awaiting | undefined): Promise<void>;
  /** Threads that have not shown all of the trail yet, first the one that nothing has happened in for longest. */
  behind(tx: Transaction, customerId: CustomerId): Promise<readonly ThreadState[]>;
  /** It has shown the trail up to there. The cursor never goes back. */
  advance(tx: Transaction, customerId: CustomerId, id: string, cursor: bigint): Promise<void>;
  /** The messages that stand for these slots, as far as there are any. */
  messages(
    tx: Transaction,
    customerId: CustomerId,
    thread: ThreadState,
    slots: readonly string[],
  ): Promise<Map<string, KeptMessage>>;
  keepMessage(
    tx: Transaction,
    customerId: CustomerId,
    thread: ThreadState,
    slot: string,
    message: MessageRef,
    shown: string,
  ): Promise<void>;
}

export function createThreads(): Threads {
  return {
    async open(tx, customerId, ref) {
      const { platform, workspaceId } = ref;
      const unique = { customerId, platform, workspaceId, ref: ref.ref };
      const where = { customerId_platform_workspaceId_ref: unique };
      const row = await tx.thread.findUnique({ where });
      if (row) return toThread(row);
      await tx.thread.createMany({ data: [{ ...unique, id: newUuid() }], skipDuplicates: true });
      return toThread(await tx.thread.findUniqueOrThrow({ where }));
    },
    get: async (tx, customerId, id) => {
      const row = await tx.thread.findUnique({ where: { customerId_id: { customerId, id } } });
      return row ? toThread(row) : undefined;
    },
    async setAwaiting(tx, customerId, id, awaiting) {
      await tx.$executeRaw`UPDATE threads SET awaiting = ${awaiting === undefined ? null : JSON.stringify(awaiting)}::jsonb WHERE customer_id = ${customerId}::uuid AND id = ${id}::uuid`;
    },
    behind: async (tx, customerId) =>
      (
        await tx.thread.findMany({
          where: { customerId, cursor: { lt: tx.thread.fields.lastSeq } },
          orderBy: { lastSeq: 'asc' },
        })
      ).map(toThread),
    async advance(tx, customerId, id, cursor) {
      await tx.thread.updateMany({ where: { customerId, id, cursor: { lt: cursor } }, data: { cursor } });
    },
    async messages(tx, customerId, thread, slots) {
      const where = { customerId, threadId: thread.id, slot: { in: [...slots] } };
      const rows = slots.length === 0 ? [] : await tx.threadMessage.findMany({ where });
      return new Map(rows.map(({ slot, ref, shown }) => [slot, { ref: { thread: thread.ref, ref }, shown }]));
    },
    async keepMessage(tx, customerId, thread, slot, message, shown) {
      const key = { customerId, threadId: thread.id, slot };
      await tx.threadMessage.upsert({
        where: { customerId_threadId_slot: key },
        create: { ...key, ref: message.ref, shown },
        update: { ref: message.ref, shown },
      });
    },
  };
}

function toThread(row: {
  id: string;
  platform: string;
  workspaceId: string;
  ref: string;
  awaiting: unknown;
  lastSeq: bigint;
  cursor: bigint;
}): ThreadState {
  const awaiting = awaitingSchema.safeParse(row.awaiting);
  return {
    id: row.id,
    // Written from a ThreadRef, whose platform is the union.
    ref: { platform: row.platform as Platform, workspaceId: row.workspaceId, ref: row.ref },
    awaiting: awaiting.success ? awaiting.data : undefined,
    lastSeq: row.lastSeq,
    cursor: row.cursor,
  };
}
