import { Prisma } from '../../prisma/generated/client.ts';
import type { Database, Transaction } from '../database.ts';
import type { Directory } from '../directory.ts';
import type { CustomerId } from '../ids.ts';
import { type HoldDeps, hold, letGo, type OperatorPause, pauseOf } from './hold.ts';
import { lockedOperation } from './locked.ts';
import type { Operations } from './operations.ts';
import { END_STATES, isEnd } from './states.ts';

/** Of one customer, or of everybody: those who come later, too. */
export type Whose = CustomerId | 'everybody';

export interface PauseStatus {
  readonly customerId: CustomerId;
  readonly name: string;
  /** `undefined`: its work may run. */
  readonly pause: OperatorPause | undefined;
  /** Operations that wait for its end. */
  readonly held: number;
}

/**
 * The operator's pause: nothing begins, in whatever process, and what runs rests at a safe point. It stands in the database,
 * and a worker that can't read it there begins nothing. Every affected thread says it.
 */
export interface Standstill {
  /** @returns how many operations were running or about to, all customers together. Harmless when repeated. */
  pause(whose: Whose, reason: string): Promise<number>;
  /** Ends it; what it held goes on. @returns how many operations, and of how many customers the work stays paused. */
  resume(whose: Whose): Promise<{ readonly resumed: number; readonly lapsed: number; readonly stillPaused: number }>;
  status(): Promise<readonly PauseStatus[]>;
  /** The pause that holds everybody's work; `undefined`: there is none. */
  everybodys(): Promise<OperatorPause | undefined>;
}

export interface StandstillDeps extends HoldDeps {
  readonly database: Database;
  readonly directory: Directory;
  readonly operations: Operations;
}

export function createStandstill(deps: StandstillDeps): Standstill {
  const { database, directory, audit } = deps;

  const setFor = (customerId: CustomerId, reason: string | null) =>
    database.withCustomer(customerId, async (tx) => {
      if (reason !== null)
        return tx.$executeRaw`
          UPDATE customers SET paused_at = coalesce(paused_at, app.now()), pause_reason = ${reason}
          WHERE customer_id = ${customerId}::uuid`;
      const ended = database.vouched('pause', customerId, 'end', Prisma.sql`NULL::timestamptz`);
      // A row that stays as it is takes no word, which would be left for others to find.
      return tx.$executeRaw`
        UPDATE customers SET paused_at = ${ended}, pause_reason = NULL
        WHERE customer_id = ${customerId}::uuid AND paused_at IS NOT NULL`;
    });

  const customersOf = async (whose: Whose) => (whose === 'everybody' ? directory.customers() : [whose]);

  return {
    async pause(whose, reason) {
      await (whose === 'everybody' ? directory.setStandstill(reason) : setFor(whose, reason));
      let held = 0;
      for (const customerId of await customersOf(whose)) {
        await database.withCustomer(customerId, (tx) =>
          audit.append(tx, customerId, { kind: 'pause.begun', payload: { reason } }),
        );
        for (const id of await openOf(database, customerId))
          if (await database.withCustomer(customerId, (tx) => holdOne(tx, deps, customerId, id, reason))) held++;
      }
      return held;
    },

    async resume(whose) {
      await (whose === 'everybody' ? directory.setStandstill(null) : setFor(whose, null));
      const count = { resumed: 0, lapsed: 0, stillPaused: 0 };
      for (const customerId of await customersOf(whose)) {
        const isPaused = await database.withCustomer(customerId, async (tx) => {
          if (await pauseOf(tx, customerId)) return true;
          await audit.append(tx, customerId, { kind: 'pause.ended' });
          return false;
        });
        if (isPaused) count.stillPaused++;
        else
          for (const id of await openOf(database, customerId)) {
            const outcome = await database.withCustomer(customerId, (tx) => letGoOne(tx, deps, customerId, id));
            if (outcome) count[outcome]++;
          }
      }
      return count;
    },

    async everybodys() {
      const standstill = await directory.standstill();
      return standstill && { ...standstill, isEverybodys: true };
    },

    async status() {
      const all: PauseStatus[] = [];
      for (const customerId of await directory.customers())
        all.push(
          await database.withCustomer(customerId, async (tx) => {
            const { name } = await tx.customer.findUniqueOrThrow({ where: { customerId }, select: { name: true } });
            const held = await tx.operation.count({ where: { customerId, hold: 'operator', completedAt: null } });
            return { customerId, name, pause: await pauseOf(tx, customerId), held };
          }),
        );
      return all;
    },
  };
}

/** What runs first. */
async function openOf(database: Database, customerId: CustomerId): Promise<readonly string[]> {
  const where = { customerId, status: { notIn: [...END_STATES] } };
  const rows = await database.withCustomer(customerId, (tx) =>
    tx.operation.findMany({ where, select: { id: true, status: true }, orderBy: { createdAt: 'asc' } }),
  );
  const isRunning = ({ status }: { status: string }) => status === 'in_progress';
  return [...rows.filter(isRunning), ...rows.filter((row) => !isRunning(row))].map(({ id }) => id);
}

/** Pauses one, or has its thread say that it will not begin. @returns whether it is held, be it by its worker, who may be faster. */
async function holdOne(
  tx: Transaction,
  deps: StandstillDeps,
  customerId: CustomerId,
  id: string,
  reason: string,
): Promise<boolean> {
  const operation = await lockedOperation(tx, deps.operations, customerId, id);
  if (!operation || isEnd(operation.state)) return false;
  if (await hold(tx, deps, operation, { hold: 'operator' })) return true;
  await deps.audit.append(tx, customerId, { kind: 'pause.begun', operationId: operation.id, payload: { reason } });
  return operation.hold === 'operator';
}

async function letGoOne(
  tx: Transaction,
  deps: StandstillDeps,
  customerId: CustomerId,
  id: string,
): Promise<'resumed' | 'lapsed' | undefined> {
  const operation = await lockedOperation(tx, deps.operations, customerId, id);
  if (!operation || isEnd(operation.state)) return undefined;
  if (operation.hold === 'operator') return letGo(tx, deps, operation);
  await deps.audit.append(tx, customerId, { kind: 'pause.ended', operationId: operation.id });
  return undefined;
}
