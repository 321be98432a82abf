import { CountersignError } from '../errors.ts';
import type { Service, VerifyInput, VerifyResult } from './service.ts';

/**
 * Tries a stored key by reading calls alone: the service's own proof, and where that succeeds, what the target shows without
 * any key. What is wrong there is told beside, since a key may work today and the target refuse the next one.
 */
export async function tryStored(
  { examine }: Pick<Service, 'examine'>,
  verify: (input: VerifyInput) => Promise<VerifyResult>,
  input: VerifyInput,
): Promise<VerifyResult> {
  const verdict = await verify(input);
  if (verdict.kind === 'fails' || !examine) return verdict;
  const wrong = (await examined(examine, input)).filter(({ isGood }) => !isGood).map(({ words }) => words);
  return wrong.length === 0 ? verdict : { ...verdict, checked: `${verdict.checked}. But: ${wrong.join(' ')}` };
}

/** The key was proven a moment ago: that the rest can't be looked at is no reason to say otherwise. */
async function examined(examine: NonNullable<Service['examine']>, { base, origin, http }: VerifyInput) {
  try {
    return await examine({ base, origin, http });
  } catch (error) {
    if (error instanceof CountersignError && ['network', 'egress_refused'].includes(error.code)) return [];
    throw error;
  }
}
