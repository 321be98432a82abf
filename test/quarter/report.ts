import { z } from 'zod';
import { DAMPED_MS, REPAIR_AFTER_MS } from '../../core/connections/verdict.ts';
import { customerId as asCustomerId } from '../../core/ids.ts';
import { type RepairCause, readPlan } from '../../core/operations/plan.ts';
import { type Account, type Breakage, deadlineOf, isDamped } from './account.ts';
import { DAY_MS, HOUR_MS, type Mishap, type QuarterSize, STEP_MS } from './chance.ts';
import type { World } from './world.ts';

/** What came of the quarter, as the database, the chat and the shops have it. */
export interface Lived {
  readonly account: Account;
  readonly planned: readonly Mishap[];
  /** Posts to threads, by what they are about. */
  readonly messages: Readonly<Record<Subject, number>>;
  /** Repairs that were begun, asked for and given up. */
  readonly repairs: readonly Repaired[];
  readonly looks: number;
  /** Steps of repairs whose element was not where it was recorded. */
  readonly relocated: number;
  readonly strays: readonly string[];
  readonly realMs: number;
}

interface Told {
  readonly account: Account;
  readonly planned: readonly Mishap[];
  readonly startMs: number;
  /** How often chat had been called when the quarter began. */
  readonly before: number;
  readonly realMs: number;
}

export async function tally(world: World, { account, planned, startMs, before, realMs }: Told): Promise<Lived> {
  const repairs = await repairsOf(world, startMs);
  findMended(account, repairs);
  return {
    ...{ account, planned, repairs, realMs, strays: await straysOf(world) },
    messages: await messagesOf(world, before),
    looks: await looksOf(world),
    relocated: await relocatedOf(world),
  };
}

interface Repaired {
  readonly id: string;
  readonly connection: number;
  readonly atMs: number;
  /** `Infinity`: it is open. */
  readonly closedMs: number;
  readonly cause: string;
  readonly hasFailed: boolean;
}

const repairRow = z.object({
  ...{ customer: z.uuid(), target: z.string(), plan: z.string(), at: z.number(), closed: z.number().nullable() },
  ...{ id: z.string(), status: z.string() },
});

async function repairsOf({ admin, connections }: World, startMs: number): Promise<readonly Repaired[]> {
  const { rows } =
    await admin.query(`SELECT id, customer_id AS customer, target, plan, status, (extract(epoch FROM created_at) * 1000)::float8 AS at,
      (extract(epoch FROM completed_at) * 1000)::float8 AS closed
    FROM autonomous_operations WHERE plan LIKE '%"repair":%' ORDER BY created_at`);
  return repairRow
    .array()
    .parse(rows)
    .map(({ id, customer, target, plan, at, closed, status }) => {
      const connection = connections.find(
        ({ current: { place } }) => place.customerId === asCustomerId(customer) && place.target === target,
      );
      const closedMs = closed === null ? Number.POSITIVE_INFINITY : closed - startMs;
      return {
        id,
        connection: connection?.index ?? -1,
        atMs: at - startMs,
        closedMs,
        cause: readPlan(plan).repair?.cause ?? '',
        hasFailed: status === 'failed',
      };
    });
}

/** What had to last before it was told, and was mended by the program itself before: its repair's card is what people saw of it. */
function findMended(account: Account, repairs: readonly Repaired[]): void {
  for (const breakage of account.breakages) {
    if (breakage.told > 0 || !breakage.isRepaired) continue;
    const began = repairs.find(({ connection, atMs, cause }) => {
      const isOfIt = connection === breakage.connection && cause === causeOf(breakage);
      return isOfIt && atMs >= breakage.atMs && atMs <= (breakage.overMs ?? 0);
    });
    if (began && isDamped(account, breakage, began.atMs)) breakage.foundMs = began.atMs;
  }
}

function causeOf({ kind }: Breakage): RepairCause {
  return kind === 'revoked' ? 'broken' : 'expired';
}

/** So long after people were told does the program wait before it asks for a repair, its looks in between included. */
const ASKED_WITHIN_MS = REPAIR_AFTER_MS + HOUR_MS / 2;

function isRenewedBefore({ foundMs, overMs, isRepaired }: Breakage): boolean {
  return !isRepaired && foundMs !== undefined && overMs !== undefined && overMs - foundMs < ASKED_WITHIN_MS;
}

/** Begun or asked once for what is amiss; or asked before, for another reason, and that question was open when it broke. */
function isAnsweredOnce(
  breakage: Breakage,
  repairs: readonly Repaired[],
  endMs: number,
  isInVain: (repair: Repaired) => boolean,
): boolean {
  const { connection, atMs, overMs } = breakage;
  const cause = causeOf(breakage);
  const of = repairs.filter((each) => each.connection === connection && each.atMs <= (overMs ?? endMs));
  const begun = of.filter((each) => each.atMs >= atMs && each.cause === cause && !isInVain(each)).length;
  return begun === 1 || (begun === 0 && (isRenewedBefore(breakage) || of.some((each) => each.closedMs > atMs)));
}

type Subject = 'health' | 'repairs' | 'own';

/** Posts by whether they are about a key's health, a repair, or a set-up that a person asked for. */
async function messagesOf({ chat, admin }: World, before: number): Promise<Readonly<Record<Subject, number>>> {
  const { rows } = await admin.query<{ id: string }>(
    `SELECT id FROM autonomous_operations WHERE plan LIKE '%"repair":%'`,
  );
  const repairs = new Set(rows.map(({ id }) => id));
  const counts: Record<Subject, number> = { health: 0, repairs: 0, own: 0 };
  for (const { call, key = '' } of chat.calls.slice(before)) {
    if (call !== 'post') continue;
    const isRepair = (key.match(/op-[a-z0-9]{8}/g) ?? []).some((id) => repairs.has(id));
    counts[key.startsWith('connection:') ? 'health' : isRepair ? 'repairs' : 'own'] += 1;
  }
  return counts;
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

async function relocatedOf({ admin }: World): Promise<number> {
  const { rows } = await admin.query<{ steps: number }>(
    "SELECT count(*)::int AS steps FROM operation_steps WHERE rung = 'relocated'",
  );
  return rows[0]?.steps ?? 0;
}

async function looksOf({ admin }: World): Promise<number> {
  const { rows } = await admin.query<{ looks: number }>(`SELECT count(*)::int AS looks FROM autonomous_operations_audit
    WHERE kind = 'credential.opened' AND header::jsonb ->> 'why' = 'health check'`);
  return rows[0]?.looks ?? 0;
}

export function report(
  world: World,
  { connections, days, shops, seed }: QuarterSize,
  everyHours: number,
  lived: Lived,
): number {
  const { account, planned, messages, repairs, looks, strays, realMs } = lived;
  const { breakages, falseAlarms, warnings, outagesTold, recoveriesTold, ran } = account;
  const shopOf = (index: number) => world.connections[index]?.shop ?? 0;
  const endMs = days * DAY_MS;
  // What happened so late that its interval is not over yet is nobody's fault.
  const deadline = (each: Breakage) =>
    deadlineOf(each, planned, shopOf, everyHours) + (isDamped(account, each, each.foundMs ?? endMs) ? DAMPED_MS : 0);
  const judged = breakages.filter((each) => each.foundMs !== undefined || deadline(each) < endMs);
  const inTime = judged.filter((each) => (each.foundMs ?? Number.POSITIVE_INFINITY) <= deadline(each));
  const mended = judged.filter(({ told, foundMs }) => told === 0 && foundMs !== undefined);
  const once = judged.filter((each) => each.told === 1 || mended.includes(each));
  /** Nothing comes of a repair at a shop that takes nobody's key. */
  const isRefused = (connection: number, at: number) =>
    planned.some(
      (each) =>
        each.kind === 'outage' &&
        each.how === 'keys-refused' &&
        each.shop === shopOf(connection) &&
        each.atMs <= at &&
        at <= each.endsMs + STEP_MS,
    );
  const inVain = repairs.filter(({ connection, hasFailed, closedMs }) => hasFailed && isRefused(connection, closedMs));
  const answered = judged.filter((each) => isAnsweredOnce(each, repairs, endMs, (repair) => inVain.includes(repair)));
  const repaired = judged.filter(({ isRepaired }) => isRepaired);
  const vainIds = new Set(inVain.map(({ id }) => id));
  const failed = ran.filter(({ state, id }) => state !== 'completed' && !vainIds.has(id));
  const turns = ran.filter(({ cause }) => cause === 'rotation_due' || cause === 'expiring');
  const without = turns.reduce((sum, { withoutKeyMs }) => sum + withoutKeyMs, 0) / 60_000;
  const outages = planned.filter(({ kind }) => kind === 'outage').length;
  const delays = inTime.map(({ foundMs = 0, atMs }) => foundMs - atMs).sort((a, b) => a - b);
  const at = (share: number) =>
    ((delays[Math.min(delays.length - 1, Math.floor(share * delays.length))] ?? 0) / HOUR_MS).toFixed(1);
  say(
    `${connections} connections at ${shops} practice shops, ${days} days, interval ${everyHours} h, seed ${seed}; ${(realMs / 60_000).toFixed(1)} minutes`,
  );
  say(`looks at keys: ${looks}, ${(looks / connections / days).toFixed(1)} a connection and day`);
  say(
    `outages injected: ${outages}; told of: ${outagesTold}, and of their end and other recoveries: ${recoveriesTold}`,
  );
  say(
    `tellings of a key that its shop did not take, as it took nobody's: ${account.refusalsTold}; repairs that came to nothing there: ${inVain.length}, keys that these left and told of: ${account.leftBehind.filter(({ isTold }) => isTold).length}`,
  );
  say(
    `shops whose pages changed: ${planned.filter(({ kind }) => kind === 'pages').length}; steps found elsewhere there: ${lived.relocated}`,
  );
  say(
    `breakages injected: ${breakages.length} (${breakages.filter(({ kind }) => kind === 'revoked').length} revoked, ${breakages.filter(({ kind }) => kind === 'expired').length} expired)`,
  );
  say(`  found within one interval: ${inTime.length} of ${judged.length}; median ${at(0.5)} h, longest ${at(1)} h`);
  for (const each of judged.filter((other) => !inTime.includes(other)))
    say(`    ${each.kind} ${day(each.atMs)}, found ${day(each.foundMs)}, due by ${day(deadline(each))}`);
  say(
    `  told of exactly once: ${once.length} of ${judged.length}; ${mended.length} of these by the card of its repair alone, as it had come and gone that day`,
  );
  say(
    `  repaired or asked about exactly once: ${answered.length} of ${judged.length}; by the program itself in real Chromium: ${repaired.length}; renewed by a person within 1.5 h of being told: ${judged.filter(isRenewedBefore).length}`,
  );
  for (const each of judged.filter((other) => !answered.includes(other)))
    say(
      `    ${each.kind} ${day(each.atMs)}, found ${day(each.foundMs)}, until ${day(each.overMs)}: ${repairs
        .filter(({ connection }) => connection === each.connection)
        .map(({ cause, atMs, closedMs }) => `${cause} ${day(atMs)} to ${day(closedMs)}`)
        .join(', ')}`,
    );
  say(`repairs carried out in real Chromium: ${ran.length}, failed: ${failed.length}`);
  for (const { id, state, why } of failed) say(`    ${id} ${state}: ${why}`);
  say(
    `planned rotations under a standing grant: ${turns.length}; minutes without a working key: ${without.toFixed(1)}`,
  );
  say(`expiry warnings: ${warnings}`);
  say(`false alarms: ${falseAlarms.length}`);
  for (const words of falseAlarms) say(`    ${words}`);
  const all = messages.health + messages.repairs + messages.own;
  say(
    `chat messages: ${all}, ${(all / connections).toFixed(1)} a connection: ${messages.health} about the health of keys, ${messages.repairs} about repairs, ${messages.own} about what people set up themselves`,
  );
  say(`stray keys at the shops: ${strays.length}`);
  for (const words of strays) say(`    ${words}`);
  const isWell =
    [inTime, once, answered].every(({ length }) => length === judged.length) &&
    [falseAlarms, strays, failed].every(({ length }) => length === 0) &&
    without === 0;
  say(isWell ? 'all well' : 'NOT WELL');
  return isWell && judged.length > 0 ? 0 : 1;
}
/** `12.34`: days since the beginning. */
export function day(ms: number | undefined): string {
  return ms === undefined || ms === Number.POSITIVE_INFINITY ? 'the end' : `day ${(ms / DAY_MS).toFixed(2)}`;
}
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
