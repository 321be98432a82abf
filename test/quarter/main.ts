/**
 * `npm run quarter`: 90 days of test time with 200 connections whose keys are revoked and expire, at shops that are away now and
 * then. PostgreSQL, the schedule that looks at keys, and the worker that sets them up are the real ones; the shops are practice
 * shops over real HTTP, a SIMULATION of WooCommerce, and so are the people who make a new key some hours after they are told.
 * Prints what was found when, what was told how often, and what is left; ends with 1 when anything is not as it has to be.
 */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { customerId as asCustomerId } from '../../core/ids.ts';
import { Secret } from '../../core/secret.ts';
import { randomFrom } from '../attack/faults/fault.ts';
import type { NewKey } from '../practice/woocommerce/keys.ts';
import { type Account, deadlineOf, newAccount, openBreakage } from './account.ts';
import { DAY_MS, HOUR_MS, type Mishap, mishaps, type QuarterSize } from './chance.ts';
import { type Connection, openWorld, type World } from './world.ts';

const USAGE = `Usage: npm run quarter [-- OPTIONS]
  --connections N     how many keys (200)
  --days N            of test time (90)
  --interval-hours N  within which a break has to be found (24; the program's own is 6, which takes four times as long here)
  --seed N            what goes wrong when (1)
  --slice             12 connections for 21 days: less than 40 s`;

const STEP_MS = 2 * 60_000;
const CONNECTIONS_A_SHOP = 10;
/** How long a person takes who is told that a key is broken. */
const RENEWED_AFTER_MS = [HOUR_MS, 12 * HOUR_MS] as const;
/** Of those who are told a week ahead that a key expires, how many renew it in time. */
const IN_TIME_SHARE = 0.5;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      connections: { type: 'string', default: '200' },
      days: { type: 'string', default: '90' },
      'interval-hours': { type: 'string', default: '24' },
      seed: { type: 'string', default: '1' },
      slice: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const connections = values.slice ? 12 : Number(values.connections);
  const days = values.slice ? 21 : Number(values.days);
  const shops = Math.max(2, Math.ceil(connections / CONNECTIONS_A_SHOP));
  const everyHours = Number(values['interval-hours']);
  const size = { connections, days, shops, seed: Number(values.seed) };
  const world = await openWorld({ connections, shops, everyHours });
  try {
    return report(world, size, everyHours, await live(world, size));
  } finally {
    await world.close();
  }
}

interface Lived {
  readonly account: Account;
  readonly planned: readonly Mishap[];
  /** Posts to threads that are about the health of a key. */
  readonly messages: number;
  readonly looks: number;
  readonly strays: readonly string[];
  readonly realMs: number;
}

/** The quarter, a look or an event at a time. */
async function live(world: World, size: QuarterSize): Promise<Lived> {
  const beganAt = performance.now();
  const planned = mishaps(size);
  await giveEnds(world, planned);
  const random = randomFrom(size.seed + 1);
  const account = newAccount();
  const startMs = (await moment(world)).nowMs;
  const endMs = size.days * DAY_MS;
  const events: Event[] = planned.map((mishap) => ({ atMs: mishap.atMs, run: async () => befall(world, account, events, mishap) }));
  const reader = readerOf(world);
  for (;;) {
    const { nowMs, dueMs } = await moment(world);
    const at = nowMs - startMs;
    if (at >= endMs) break;
    events.sort((one, other) => one.atMs - other.atMs);
    const next = Math.min((dueMs ?? nowMs + DAY_MS) - startMs, events[0]?.atMs ?? endMs, endMs);
    await world.pass(Math.max(next - at, STEP_MS));
    const now = (await moment(world)).nowMs - startMs;
    while (events[0] && events[0].atMs <= now) await events.shift()?.run(now);
    await world.health.checkDue();
    for (const entry of await reader()) {
      hear(account, events, { ...entry, world, now, random });
      await world.progress.refresh(entry.connection.of.customerId, entry.connection.of.threadId);
    }
  }
  return {
    ...{ account, planned, strays: await straysOf(world) },
    messages: world.chat.calls.filter(({ call, key }) => call === 'post' && key?.startsWith('connection:')).length,
    looks: await looksOf(world),
    realMs: performance.now() - beganAt,
  };
}

interface Event {
  readonly atMs: number;
  run(now: number): Promise<void>;
}

const momentRow = z.object({ now: z.number(), due: z.number().nullable() });

async function moment({ admin }: World): Promise<{ readonly nowMs: number; readonly dueMs: number | null }> {
  const { rows } = await admin.query(`SELECT (extract(epoch FROM app.now()) * 1000)::float8 AS now,
    (SELECT (extract(epoch FROM min(next_check_at)) * 1000)::float8 FROM connection_health) AS due`);
  const { now, due } = momentRow.parse(rows[0]);
  return { nowMs: now, dueMs: due };
}

/** Keys with a known end are stored with it, as the service would tell it. */
async function giveEnds({ core, connections, admin }: World, planned: readonly Mishap[]): Promise<void> {
  const { rows } = await admin.query<{ now: Date }>('SELECT app.now() AS now');
  const startMs = rows[0]?.now.getTime() ?? 0;
  for (const mishap of planned) {
    const connection = mishap.kind === 'expires' ? connections[mishap.connection] : undefined;
    if (!connection) continue;
    const { place, key } = connection.current;
    const stored = await core.vault.find(place.customerId, place.service, 'api_key', { target: place.target });
    await core.vault.store(place.customerId, place.service, 'api_key', {
      target: place.target,
      value: secretsOf(key),
      expiresAt: new Date(startMs + mishap.atMs),
      metadata: stored?.metadata ?? {},
    });
  }
}

async function befall(world: World, account: Account, events: Event[], mishap: Mishap): Promise<void> {
  if (mishap.kind === 'outage') {
    const shop = world.shops[mishap.shop];
    shop?.setOutage(mishap.how);
    events.push({ atMs: mishap.endsMs, run: async () => shop?.setOutage() });
    return;
  }
  const connection = world.connections[mishap.connection];
  const first = connection && openBreakage(account, connection.index) === undefined;
  // What was renewed in time does not end any more.
  const isOwn = mishap.kind === 'revoked' || connection?.renewals === 0;
  if (!connection || !first || !isOwn) return;
  world.shops[connection.shop]?.endKey(connection.current.label);
  const kind = mishap.kind === 'revoked' ? 'revoked' : 'expired';
  account.breakages.push({ kind, connection: connection.index, atMs: mishap.atMs, told: 0 });
}

interface Heard {
  readonly kind: string;
  readonly connection: Connection;
  readonly world: World;
  readonly now: number;
  readonly random: () => number;
}

/** What people are told, compared with what happened; and what they do about it. */
function hear(account: Account, events: Event[], { kind, connection, world, now, random }: Heard): void {
  const breakage = openBreakage(account, connection.index);
  const renewLater = (ms: number) =>
    events.push({ atMs: now + ms, run: (at) => renew(world, account, events, connection, at) });
  switch (kind) {
    case 'connection.broken':
    case 'connection.expired': {
      if (!breakage) return void account.falseAlarms.push(`${kind} of connection ${connection.index}`);
      breakage.told += 1;
      if (breakage.foundMs !== undefined) return;
      breakage.foundMs = now;
      const [least, most] = RENEWED_AFTER_MS;
      return void renewLater(least + random() * (most - least));
    }
    case 'connection.expiring':
      account.warnings += 1;
      if (connection.warnings++ === 1 && random() < IN_TIME_SHARE) renewLater(DAY_MS);
      return;
    case 'connection.degraded':
      account.outagesTold += 1;
      if (!world.isAway(connection.shop)) account.falseAlarms.push(`${kind} of connection ${connection.index}`);
      return;
    case 'connection.healthy':
      account.recoveriesTold += 1;
      return;
    default:
      account.falseAlarms.push(`${kind} of connection ${connection.index}`);
  }
}

async function renew(world: World, account: Account, events: Event[], connection: Connection, now: number): Promise<void> {
  if (world.isAway(connection.shop))
    return void events.push({ atMs: now + HOUR_MS, run: (at) => renew(world, account, events, connection, at) });
  await world.renew(connection);
  const breakage = openBreakage(account, connection.index);
  if (breakage) breakage.overMs = now;
}

const toldRow = z.object({ customer: z.uuid(), seq: z.string(), kind: z.string(), operation: z.string().nullable() });

/** What was told since the last time, with the connection that it is about. */
function readerOf({ admin, connections }: World) {
  const seen = new Map<string, bigint>();
  return async () => {
    const { rows } = await admin.query(`SELECT a.customer_id AS customer, a.seq::text, a.kind, a.operation_id AS operation
      FROM autonomous_operations_audit a WHERE a.kind LIKE 'connection.%' AND a.at > app.now() - interval '1 day' ORDER BY a.customer_id, a.seq`);
    return toldRow
      .array()
      .parse(rows)
      .flatMap(({ customer, seq, kind, operation }) => {
        if (BigInt(seq) <= (seen.get(customer) ?? 0n)) return [];
        seen.set(customer, BigInt(seq));
        const connection = connections.find(
          ({ of, operations }) => of.customerId === asCustomerId(customer) && operations.includes(operation ?? ''),
        );
        if (!connection) throw new Error(`${kind} of ${operation} is about none of the connections`);
        return [{ kind, connection }];
      });
  };
}

/** Keys that a shop takes and no row of the vault names. */
async function straysOf({ core, connections, shops }: World): Promise<readonly string[]> {
  const known = new Set<string>();
  for (const { current, shop } of connections) {
    const { customerId, service, target } = current.place;
    const stored = await core.vault.get(customerId, service, 'api_key', { target });
    if (stored) known.add(`${shop} ${stored.fields.consumer_key?.reveal().slice(-7)}`);
  }
  return shops.flatMap((practice, shop) =>
    practice
      .keys()
      .filter(({ isRevoked, consumerKeyEnding }) => !isRevoked && !known.has(`${shop} ${consumerKeyEnding}`))
      .map(({ description }) => description),
  );
}

async function looksOf({ admin }: World): Promise<number> {
  const { rows } = await admin.query<{ looks: number }>(`SELECT count(*)::int AS looks FROM autonomous_operations_audit
    WHERE kind = 'credential.opened' AND header::jsonb ->> 'why' = 'health check'`);
  return rows[0]?.looks ?? 0;
}

function report(world: World, { connections, days, shops, seed }: QuarterSize, everyHours: number, lived: Lived): number {
  const { account, planned, messages, looks, strays, realMs } = lived;
  const { breakages, falseAlarms, warnings, outagesTold, recoveriesTold } = account;
  const shopOf = (index: number) => world.connections[index]?.shop ?? 0;
  const endMs = days * DAY_MS;
  // What happened so late that its interval is not over yet is nobody's fault.
  const judged = breakages.filter((each) => each.foundMs !== undefined || deadlineOf(each, planned, shopOf, everyHours) < endMs);
  const inTime = judged.filter((each) => (each.foundMs ?? Infinity) <= deadlineOf(each, planned, shopOf, everyHours));
  const once = judged.filter(({ told }) => told === 1);
  const outages = planned.filter(({ kind }) => kind === 'outage').length;
  const delays = inTime.map(({ foundMs = 0, atMs }) => foundMs - atMs).sort((a, b) => a - b);
  const at = (share: number) => ((delays[Math.min(delays.length - 1, Math.floor(share * delays.length))] ?? 0) / HOUR_MS).toFixed(1);
  say(`${connections} connections at ${shops} practice shops, ${days} days, interval ${everyHours} h, seed ${seed}; ${(realMs / 60_000).toFixed(1)} minutes`);
  say(`looks at keys: ${looks}, ${(looks / connections / days).toFixed(1)} a connection and day`);
  say(`outages injected: ${outages}; told of: ${outagesTold}, and of their end and other recoveries: ${recoveriesTold}`);
  say(`breakages injected: ${breakages.length} (${breakages.filter(({ kind }) => kind === 'revoked').length} revoked, ${breakages.filter(({ kind }) => kind === 'expired').length} expired)`);
  say(`  found within one interval: ${inTime.length} of ${judged.length}; median ${at(0.5)} h, longest ${at(1)} h`);
  say(`  told of exactly once: ${once.length} of ${judged.length}`);
  say(`expiry warnings: ${warnings}`);
  say(`false alarms: ${falseAlarms.length}`);
  for (const words of falseAlarms) say(`    ${words}`);
  say(`chat messages about the health of keys: ${messages}, ${(messages / connections).toFixed(2)} a connection`);
  say(`stray keys at the shops: ${strays.length}`);
  for (const words of strays) say(`    ${words}`);
  const isWell = inTime.length === judged.length && once.length === judged.length && falseAlarms.length === 0 && strays.length === 0;
  say(isWell ? 'all well' : 'NOT WELL');
  return isWell && judged.length > 0 ? 0 : 1;
}

function secretsOf({ consumerKey, consumerSecret }: NewKey) {
  return { consumer_key: new Secret(consumerKey), consumer_secret: new Secret(consumerSecret) };
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exitCode = await main();
