import { DAMPED_MS } from '../../core/connections/verdict.ts';
import { DAY_MS, HOUR_MS, type Mishap } from './chance.ts';
import type { Ran } from './world.ts';

/** A key that its service stopped taking, and what came of it. */
export interface Breakage {
  readonly kind: 'revoked' | 'expired';
  readonly connection: number;
  readonly atMs: number;
  /** When it was told of; or when its repair began, where the program had mended it before it would have been. */
  foundMs?: number;
  /** How often it was told of. */
  told: number;
  /** Another key lay in its place by the program's own repair. */
  isRepaired: boolean;
  /** When another key lay in its place. */
  overMs?: number;
}

export interface Account {
  readonly breakages: Breakage[];
  falseAlarms: string[];
  warnings: number;
  outagesTold: number;
  /** Tellings that a key is not taken, while its shop took nobody's. */
  refusalsTold: number;
  /** Connections of which that was told, and nothing since. */
  readonly toldBroken: Set<number>;
  /** New keys that a repair has left at a shop, since they were not proven there. */
  readonly leftBehind: LeftBehind[];
  recoveriesTold: number;
  /** When people were told of the state of each connection, whatever it was. */
  readonly tellings: Map<number, number[]>;
  /** Repairs that the worker carried out. */
  readonly ran: Ran[];
}

/** A key at a shop of which somebody has to be told. */
export interface LeftBehind {
  readonly shop: number;
  readonly label: string;
  isTold: boolean;
}

export function newAccount(): Account {
  return {
    ...{ breakages: [], falseAlarms: [], warnings: 0, outagesTold: 0, refusalsTold: 0, recoveriesTold: 0, ran: [] },
    ...{ toldBroken: new Set(), leftBehind: [], tellings: new Map() },
  };
}

/** The trouble of a connection that is not over. */
export function openBreakage({ breakages }: Account, connection: number): Breakage | undefined {
  return breakages.find((each) => each.connection === connection && each.overMs === undefined);
}

/**
 * Whether a state found by then had to last before it was told: it comes and goes, and had been told of twice with less than a day
 * between.
 */
export function isDamped({ tellings }: Account, { connection }: Breakage, atMs: number): boolean {
  const before = (tellings.get(connection) ?? []).filter((each) => each < atMs);
  const [earlier, last] = before.slice(-2);
  return earlier !== undefined && last !== undefined && last - earlier < DAY_MS && atMs - last < DAY_MS + DAMPED_MS;
}

/** The real clock goes on beside test time. */
const LATE_MS = 2 * 60_000;

/** Until when a breakage has to be found: within the interval, not counting the time in which the shop answered nobody. */
export function deadlineOf(
  { atMs, connection }: Breakage,
  happened: readonly Mishap[],
  shopOf: (connection: number) => number,
  everyHours: number,
): number {
  const everyMs = everyHours * HOUR_MS;
  let deadline = atMs + everyMs;
  for (const mishap of happened)
    if (mishap.kind === 'outage' && mishap.shop === shopOf(connection))
      if (mishap.endsMs > atMs && mishap.atMs < deadline) deadline = Math.max(deadline, mishap.endsMs + everyMs);
  return deadline + LATE_MS;
}
