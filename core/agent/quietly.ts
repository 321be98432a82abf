import { CountersignError } from '../errors.ts';
import type { Stage } from './stage.ts';

/** `undefined` when the page did not answer: the look is made again, or the step's deadline ends it. */
export async function quietly<T>(stage: Stage, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await stage.during(work);
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'network') return undefined;
    throw error;
  }
}
