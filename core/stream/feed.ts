import { z } from 'zod';
import type { AuditEntry as AuditRow } from '../../prisma/generated/client.ts';
import { AUDIT_CHANNEL, type Audit } from '../audit/audit.ts';
import type { AuditEntry } from '../audit/entry.ts';
import type { Database, Listener, Transaction } from '../database.ts';
import { customerId as asCustomerId, type CustomerId } from '../ids.ts';
import { parseState } from '../operations/states.ts';
import type { Log } from '../ports/log.ts';
import { changeEvent, isStreamed, progressEvent, type Standing, type StreamEvent } from './events.ts';

/**
 * The audit trail as events for any number of readers: one listening connection a process, and one reading of what is new
 * however many wait for it. A customer's entries are numbered without a gap in the order of their commits, so that a reader
 * which says where it is misses nothing and is told nothing twice.
 */
export interface Feed {
  /** The numbers of the oldest entry that is kept and of the newest; 0 where there is none. */
  bounds(customerId: CustomerId): Promise<{ readonly oldest: bigint; readonly newest: bigint }>;
  /** What follows the entry of that number, up to a page of it. Call again from `upTo` until that no longer grows. */
  after(customerId: CustomerId, seq: bigint): Promise<FeedPage>;
  /** Calls when there may be something new, and now and then although there is not. @returns what ends that. */
  subscribe(customerId: CustomerId, onNews: () => void): () => void;
  stop(): Promise<void>;
}

export interface FeedPage {
  readonly events: readonly FeedEvent[];
  readonly upTo: bigint;
  /** Entries between are no longer there: the retention period took them. */
  readonly isGone: boolean;
}

export interface FeedEvent {
  readonly seq: bigint;
  readonly operationId: string;
  /** The person who asked for the operation, see `Member.personId`. */
  readonly requester: string;
  /** A `StreamEvent` as JSON, made once for all readers. */
  readonly text: string;
}

export interface FeedDeps {
  readonly database: Database;
  readonly audit: Pick<Audit, 'read'>;
  readonly log: Log;
  /** A short-lived address. */
  pictureUrl(customerId: CustomerId, pictureId: string): string;
  readonly pollMs?: number;
}

const POLL_MS = 5_000; // the floor under NOTIFY: a notification may be lost with the process that sent it
const PAGE = 200;
/** What is kept of each customer for those who were just away; older addresses of pictures would soon be over. */
const KEPT = 500;
const KEPT_MS = 300_000;

/** The newest part of a customer's trail: everything after `from`, up to `to`. */
interface Tail {
  from: bigint;
  to: bigint;
  readonly events: (FeedEvent & { readonly readAt: number })[];
}

interface Channel {
  readonly readers: Set<() => void>;
  tail: Tail | undefined;
  isReading: boolean;
  again: boolean;
}

export function createFeed(deps: FeedDeps): Feed {
  const { database, log, pollMs = POLL_MS } = deps;
  const channels = new Map<CustomerId, Channel>();
  /** Of many who come back to the same place at once, one asks the database. */
  const asked = new Map<string, Promise<FeedPage>>();
  let listener: Listener | undefined;
  let poll: NodeJS.Timeout | undefined;

  const read = (customerId: CustomerId, seq: bigint): Promise<FeedPage> => {
    const name = `${customerId} ${seq}`;
    const page = asked.get(name) ?? readPage(deps, customerId, seq).finally(() => asked.delete(name));
    asked.set(name, page);
    return page;
  };

  const bounds: Feed['bounds'] = (customerId) =>
    database.withCustomer(customerId, async (tx) => {
      const head = await tx.auditHead.findUnique({ where: { customerId }, select: { seq: true } });
      const first = await tx.auditEntry.findFirst({
        where: { customerId },
        orderBy: { seq: 'asc' },
        select: { seq: true },
      });
      return { oldest: first?.seq ?? 0n, newest: head?.seq ?? 0n };
    });

  const extend = async (customerId: CustomerId, channel: Channel): Promise<void> => {
    const { newest } = channel.tail ? { newest: channel.tail.to } : await bounds(customerId);
    channel.tail ??= { from: newest, to: newest, events: [] };
    const { tail } = channel;
    for (let isMore = true; isMore; ) {
      const page = await read(customerId, tail.to);
      isMore = page.upTo > tail.to;
      tail.to = page.upTo;
      const readAt = performance.now();
      tail.events.push(...page.events.map((event) => ({ ...event, readAt })));
    }
    trim(tail);
  };

  /** One reading of a customer's trail at a time; a wake during it asks for one more. */
  const wake = async (customerId: CustomerId): Promise<void> => {
    const channel = channels.get(customerId);
    if (!channel) return;
    channel.again = true;
    if (channel.isReading) return;
    channel.isReading = true;
    try {
      while (channel.again) {
        channel.again = false;
        await extend(customerId, channel);
        for (const tell of channel.readers) tell();
      }
    } catch (error) {
      // The database is away: the poll, or the connection that listens, finds it back.
      log.debug({ code: 'stream', customerId, cause: error }, 'the trail could not be read for the live stream');
    } finally {
      channel.isReading = false;
    }
  };
  const wakeAll = () => {
    for (const customerId of channels.keys()) void wake(customerId);
  };
  const listen = () => {
    listener ??= database.listen(AUDIT_CHANNEL, (payload) => {
      const named = z.uuid().safeParse(payload);
      if (named.success) void wake(asCustomerId(named.data.toLowerCase()));
      else wakeAll();
    });
    poll ??= setInterval(wakeAll, pollMs).unref();
  };

  return {
    bounds,
    async after(customerId, seq) {
      const tail = channels.get(customerId)?.tail;
      if (!tail || seq < tail.from) return read(customerId, seq);
      return {
        events: tail.events.filter((event) => event.seq > seq),
        upTo: seq > tail.to ? seq : tail.to,
        isGone: false,
      };
    },
    subscribe(customerId, onNews) {
      listen();
      const channel = channels.get(customerId) ?? {
        readers: new Set(),
        tail: undefined,
        isReading: false,
        again: false,
      };
      channels.set(customerId, channel);
      channel.readers.add(onNews);
      return () => {
        channel.readers.delete(onNews);
        if (channel.readers.size === 0 && channels.get(customerId) === channel) channels.delete(customerId);
      };
    },
    async stop() {
      clearInterval(poll);
      channels.clear();
      await listener?.stop();
    },
  };
}

function trim(tail: Tail): void {
  const tooOld = performance.now() - KEPT_MS;
  const kept = tail.events.findIndex(({ readAt }, at) => readAt > tooOld && tail.events.length - at <= KEPT);
  const dropped = tail.events.splice(0, kept < 0 ? tail.events.length : kept);
  tail.from = dropped.at(-1)?.seq ?? tail.from;
}

async function readPage(deps: FeedDeps, customerId: CustomerId, seq: bigint): Promise<FeedPage> {
  return deps.database.withCustomer(customerId, async (tx) => {
    const rows = await tx.auditEntry.findMany({
      where: { customerId, seq: { gt: seq } },
      orderBy: { seq: 'asc' },
      take: PAGE,
    });
    const [first] = rows;
    const isGone = seq > 0n && first !== undefined && first.seq !== seq + 1n;
    const streamed = rows.filter(isStreamed);
    const standings = await standingsOf(tx, customerId, streamed);
    const events: FeedEvent[] = [];
    // One transaction is one connection: what has to be opened is opened one after the other.
    for (const row of streamed) {
      const event = await eventOf(tx, deps, customerId, row, standings);
      if (!event) continue;
      const { operationId } = event;
      const requester = standings.get(operationId)?.requester ?? '';
      events.push({ seq: row.seq, operationId, requester, text: JSON.stringify(event) });
    }
    return { events, upTo: rows.at(-1)?.seq ?? seq, isGone };
  });
}

async function standingsOf(
  tx: Transaction,
  customerId: CustomerId,
  rows: readonly AuditRow[],
): Promise<ReadonlyMap<string, Standing & { readonly requester: string }>> {
  const ids = [...new Set(rows.flatMap(({ operationId }) => (operationId === null ? [] : [operationId])))];
  if (ids.length === 0) return new Map();
  const by = { select: { id: true, personId: true } };
  const select = { id: true, status: true, totalSteps: true, requester: by };
  const found = await tx.operation.findMany({ where: { customerId, id: { in: ids } }, select });
  return new Map(
    found.map(({ id, status, totalSteps, requester }) => [
      id,
      { state: parseState(status), totalSteps, requester: requester.personId ?? requester.id },
    ]),
  );
}

async function eventOf(
  tx: Transaction,
  deps: FeedDeps,
  customerId: CustomerId,
  row: AuditRow,
  standings: ReadonlyMap<string, Standing>,
): Promise<StreamEvent | undefined> {
  const { operationId } = row;
  const standing = operationId === null ? undefined : standings.get(operationId);
  if (operationId === null || !standing) return undefined;
  if (row.kind !== 'step.finished') return changeEvent(row, operationId, standing);
  const entry = await readOrBare(tx, deps, customerId, row);
  return progressEvent(entry, operationId, standing, (id) => deps.pictureUrl(customerId, id));
}

/** An entry whose words are damaged is shown without them; what else it says, the chain vouches for. */
async function readOrBare(
  tx: Transaction,
  { audit, log }: FeedDeps,
  customerId: CustomerId,
  row: AuditRow,
): Promise<AuditEntry> {
  const entry = await audit.read(tx, customerId, row);
  if (entry.gone === 'damaged')
    log.error(
      { code: 'audit_chain_broken', customerId, seq: String(row.seq) },
      'the words of an entry could not be read',
    );
  return entry;
}
