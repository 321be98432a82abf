import { randomBytes } from 'node:crypto';
import { CountersignError } from '../errors.ts';

/** Fresh random bytes; of every draw the first 16 differ from those of the draws before it. */
export type RandomSource = (bytes: number) => Buffer;

const COMPARED_BYTES = 16;
const REMEMBERED = 1024;

/**
 * A source that refuses to repeat itself: under AES-GCM one nonce used twice gives both plaintexts away, so a generator
 * that is stuck, or goes in a circle of at most 1,024 draws, must stop the program rather than seal. An honest one repeats
 * 16 bytes within 1,024 draws less than once in 10^32. After the continuous test of FIPS 140-2, section 4.9.2. What is
 * compared is what a record shows anyway; draw at least 16 bytes, public ones first.
 * @throws CountersignError `randomness_failed`.
 */
export function createRandomSource(draw: RandomSource): RandomSource {
  const seen = new Set<string>();
  return (bytes) => {
    const drawn = draw(bytes);
    const start = drawn.toString('latin1', 0, COMPARED_BYTES);
    if (drawn.length !== bytes || bytes < COMPARED_BYTES || seen.has(start))
      throw new CountersignError(
        'randomness_failed',
        'The random number generator repeats itself. Nothing was sealed; stop this program.',
      );
    seen.add(start);
    const [oldest] = seen.size > REMEMBERED ? seen : []; // a Set keeps the order of insertion
    if (oldest !== undefined) seen.delete(oldest);
    return drawn;
  };
}

export const systemRandom: RandomSource = createRandomSource(randomBytes);
