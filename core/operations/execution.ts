import { z } from 'zod';

/** Of how many milliseconds of machine time an operation ends: five minutes. */
export const MACHINE_MS = 5 * 60_000;

/** `execution_metadata`: what is kept of the work itself. */
const executionSchema = z.object({
  /** Milliseconds that workers had the operation, without the stretch that goes on now. Waiting for people is none of it. */
  machineMs: z.int().min(0).default(0),
  /** Since when the worker of now has it, in ISO 8601; `null`: nobody has. */
  runningSince: z.iso.datetime().nullable().default(null),
  /** Milliseconds that it waited for people, without the wait that goes on now: see `isForPeople`. */
  peopleMs: z.int().min(0).default(0),
  /** Since when it waits for people, in ISO 8601; `null`: it does not, or has done so since it was asked for. */
  waitingSince: z.iso.datetime().nullable().default(null),
  /** How often a worker that does not know its workflow left it to others. */
  left: z.int().min(0).default(0),
});
export type Execution = z.infer<typeof executionSchema>;

/** @throws ZodError when the column holds something else. */
export function readExecution(column: unknown): Execution {
  return executionSchema.parse(column);
}

/** Machine time up to that moment, in milliseconds. */
export function machineMsAt({ machineMs, runningSince }: Execution, at: Date): number {
  return machineMs + (runningSince === null ? 0 : Math.max(0, at.getTime() - new Date(runningSince).getTime()));
}
