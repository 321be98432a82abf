/**
 * `npm run quarter`: 90 days of test time with 200 connections whose keys are revoked and expire, at shops that are away now and
 * then, and whose pages change. PostgreSQL, the schedule that looks at keys, the repairs and the worker are the real ones, and Chromium is for the
 * connections whose repairs are countersigned ahead; of the others somebody is asked. The shops are practice shops over real HTTP, a SIMULATION of
 * WooCommerce, and so are the people, who make a new key some hours after they are told.
 * Prints what was found when, what was told how often, and what is left; ends with 1 when anything is not as it has to be.
 */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { customerId as asCustomerId } from '../../core/ids.ts';
import { Secret } from '../../core/secret.ts';
import type { NewKey } from '../practice/woocommerce/keys.ts';
import { randomFrom } from '../support/chance.ts';
import { type Account, type Breakage, newAccount, openBreakage } from './account.ts';
import { DAY_MS, HOUR_MS, type Mishap, mishaps, type QuarterSize, STEP_MS } from './chance.ts';
import { day, type Lived, report, say, tally } from './report.ts';
import { type Connection, openWorld, type Ran, type World } from './world.ts';

const USAGE = `Usage: npm run quarter [-- OPTIONS]
  --connections N     how many keys (200)
  --days N            of test time (90)
  --interval-hours N  within which a break has to be found (24; the program's own is 6, which takes four times as long here)
  --browser-repairs N how many connections have repairs countersigned ahead, carried out in real Chromium (20)
  --rotation-days N   of which age a key is replaced (90)
  --seed N            what goes wrong when (1)
  --slice             8 connections for 16 days, two of them in Chromium: less than 40 s`;

const ENDED_BEFORE_MS = 5_000;
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
      'browser-repairs': { type: 'string' },
      'rotation-days': { type: 'string', default: '90' },
      seed: { type: 'string', default: '1' },
      slice: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const connections = values.slice ? 8 : Number(values.connections);
  const days = values.slice ? 16 : Number(values.days);
  const shops = Math.max(2, Math.ceil(connections / CONNECTIONS_A_SHOP));
  const everyHours = Number(values['interval-hours']);
  const size = { connections, days, shops, seed: Number(values.seed) };
  const planned = mishaps(size);
  const inChromium = Number(values['browser-repairs'] ?? (values.slice ? 2 : 20));
  const standing = grantedAhead(planned, connections, inChromium);
  const rotationDays = values.slice ? 10 : Number(values['rotation-days']);
  const world = await openWorld({ connections, shops, everyHours, rotationDays, standing });
  try {
    return report(world, size, everyHours, await live(world, size, planned));
  } finally {
    await world.close();
  }
}

/** Half of them with a mishap to come, half without: their keys are replaced by age alone. */
function grantedAhead(planned: readonly Mishap[], connections: number, most: number): ReadonlySet<number> {
  const struck = planned.flatMap((each) => ('connection' in each ? [each.connection] : []));
  const spared = Array.from({ length: connections }, (_, n) => n).filter((n) => !struck.includes(n));
  const half = Math.ceil(most / 2);
  return new Set([...struck.slice(0, half), ...spared.slice(0, most - half)]);
}

/** The quarter, a look or an event at a time. */
async function live(world: World, size: QuarterSize, planned: readonly Mishap[]): Promise<Lived> {
  const beganAt = performance.now();
  const startMs = (await moment(world)).nowMs;
  await giveEnds(world, planned, startMs);
  const random = randomFrom(size.seed + 1);
  const account = newAccount();
  const endMs = size.days * DAY_MS;
  const events: Event[] = planned.map((mishap) => ({
    atMs: mishap.atMs,
    run: async () => befall(world, account, events, mishap, random),
  }));
  const reader = readerOf(world);
  await world.show();
  const before = world.chat.calls.length;
  let rotatedOn = 0;
  for (;;) {
    const { nowMs, dueMs } = await moment(world);
    const at = nowMs - startMs;
    if (at >= endMs) break;
    events.sort((one, other) => one.atMs - other.atMs);
    const next = Math.min((dueMs ?? nowMs + DAY_MS) - startMs, events[0]?.atMs ?? endMs, endMs);
    const untilEvent = Math.max((events[0]?.atMs ?? endMs) - at, 1000);
    await world.pass(Math.min(Math.max(next - at, STEP_MS), untilEvent));
    const now = (await moment(world)).nowMs - startMs;
    while (events[0] && events[0].atMs <= now) await events.shift()?.run(now);
    await world.health.checkDue();
    if (now - rotatedOn >= DAY_MS) {
      await world.lapse();
      await world.repairs.rotateDue();
      rotatedOn = now;
      process.stderr.write(`\r${day(now)} of ${size.days} `);
    }
    for (const entry of await reader()) hear(account, events, { ...entry, world, now, random });
    await world.show();
    for (const ran of await world.work()) finished(world, account, ran, (await moment(world)).nowMs - startMs);
    await world.show();
    clearUp(world, account, events, now, random);
  }
  process.stderr.write('\n');
  return tally(world, { account, planned, startMs, before, realMs: performance.now() - beganAt });
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

/** Keys with a known end are stored with it, as the service would tell it: some seconds after it takes them no more. */
async function giveEnds({ core, connections }: World, planned: readonly Mishap[], startMs: number): Promise<void> {
  for (const mishap of planned) {
    const connection = mishap.kind === 'expires' ? connections[mishap.connection] : undefined;
    if (!connection) continue;
    const { place, key } = connection.current;
    const stored = await core.vault.find(place.customerId, place.service, 'api_key', { target: place.target });
    await core.vault.store(place.customerId, place.service, 'api_key', {
      target: place.target,
      value: secretsOf(key),
      expiresAt: new Date(startMs + mishap.atMs + ENDED_BEFORE_MS),
      metadata: stored?.metadata ?? {},
    });
  }
}

async function befall(
  world: World,
  account: Account,
  events: Event[],
  mishap: Mishap,
  random: () => number,
): Promise<void> {
  if (mishap.kind === 'pages') return world.changePages(mishap.shop);
  if (mishap.kind === 'outage') {
    const shop = world.shops[mishap.shop];
    shop?.setOutage(mishap.how);
    // It is over in minutes: whoever is not looked at meanwhile would not notice.
    if (mishap.how === 'unauthorised' || mishap.how === 'keys-refused') await world.lookNow(shop?.origin ?? '');
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
  const breakage: Breakage = { kind, connection: connection.index, atMs: mishap.atMs, told: 0, isRepaired: false };
  account.breakages.push(breakage);
  // Where its shop takes nobody's key just now, that it is not taken was told already, and stays so.
  if (kind === 'revoked' && account.toldBroken.has(connection.index))
    told(world, account, events, connection, mishap.atMs, random);
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
  if (kind !== 'connection.expiring')
    account.tellings.set(connection.index, [...(account.tellings.get(connection.index) ?? []), now]);
  switch (kind) {
    case 'connection.broken':
    case 'connection.expired':
      if (kind === 'connection.broken') account.toldBroken.add(connection.index);
      if (breakage) told(world, account, events, connection, now, random);
      else if (kind === 'connection.broken' && world.refusesKeys(connection.shop)) account.refusalsTold += 1;
      else account.falseAlarms.push(`${kind} of connection ${connection.index}`);
      return;
    case 'connection.expiring':
      account.warnings += 1;
      if (connection.warnings++ === 1 && !connection.isStanding && random() < IN_TIME_SHARE) renewLater(DAY_MS);
      return;
    case 'connection.degraded':
      account.outagesTold += 1;
      if (!world.isAway(connection.shop)) account.falseAlarms.push(`${kind} of connection ${connection.index}`);
      return;
    case 'connection.healthy':
      account.toldBroken.delete(connection.index);
      account.recoveriesTold += 1;
      return;
    default:
      account.falseAlarms.push(`${kind} of connection ${connection.index}`);
  }
}

/** People know that it is broken: whoever has to do it themselves takes some hours. */
function told(
  world: World,
  account: Account,
  events: Event[],
  connection: Connection,
  now: number,
  random: () => number,
): void {
  const breakage = openBreakage(account, connection.index);
  if (!breakage) return;
  breakage.told += 1;
  if (breakage.foundMs !== undefined) return;
  breakage.foundMs = now;
  if (connection.isStanding) return;
  const run = (at: number) => renew(world, account, events, connection, at);
  events.push({ atMs: now + someHours(random), run });
}

function someHours(random: () => number): number {
  const [least, most] = RENEWED_AFTER_MS;
  return least + random() * (most - least);
}

async function renew(
  world: World,
  account: Account,
  events: Event[],
  connection: Connection,
  now: number,
): Promise<void> {
  if (world.isAway(connection.shop))
    return void events.push({ atMs: now + HOUR_MS, run: (at) => renew(world, account, events, connection, at) });
  await world.renew(connection);
  const breakage = openBreakage(account, connection.index);
  if (breakage) breakage.overMs = now;
}

/** What a repair made is the connection's key from then on. */
function finished(world: World, account: Account, ran: Ran, now: number): void {
  const { shop } = ran.connection;
  account.ran.push(ran);
  const isMade = world.shops[shop]
    ?.keys()
    .some(({ description, isRevoked }) => description === ran.label && !isRevoked);
  if (ran.state === 'failed' && isMade) account.leftBehind.push({ shop, label: ran.label, isTold: false });
  const breakage = openBreakage(account, ran.connection.index);
  if (ran.state !== 'completed' || !breakage) return;
  breakage.overMs = now;
  breakage.isRepaired = true;
}

/** Whoever is told of a key that a repair has left at the shop revokes it there, some hours later. */
function clearUp(
  { chat, shops }: World,
  { leftBehind }: Account,
  events: Event[],
  now: number,
  random: () => number,
): void {
  const waiting = leftBehind.filter(({ isTold }) => !isTold);
  if (waiting.length === 0) return;
  const words = chat.shown().map((card) => JSON.stringify(card));
  for (const left of waiting) {
    left.isTold = words.some(
      (card) => card.includes(`“${left.label}”, was not proven`) && card.includes('revoke it in'),
    );
    const run = async () => shops[left.shop]?.endKey(left.label);
    if (left.isTold) events.push({ atMs: now + someHours(random), run });
  }
}

const toldRow = z.object({ customer: z.uuid(), seq: z.string(), kind: z.string(), operation: z.string().nullable() });

/** What was told since the last time, with the connection that it is about. */
function readerOf({ admin, connections }: World) {
  const seen = new Map<string, bigint>();
  return async () => {
    const { rows } =
      await admin.query(`SELECT a.customer_id AS customer, a.seq::text, a.kind, a.operation_id AS operation
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

function secretsOf({ consumerKey, consumerSecret }: NewKey) {
  return { consumer_key: new Secret(consumerKey), consumer_secret: new Secret(consumerSecret) };
}

process.exitCode = await main();
