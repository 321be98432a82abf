import { createHmac, timingSafeEqual } from 'node:crypto';
import type { RootKeys } from '../ports/keys.ts';

/** Marks on words that leave us and come back, so that nobody else's words are taken for ours. They hide nothing. */
export interface Seals {
  /** base64url of HMAC-SHA-256, cut to 16 bytes (128 bits). */
  of(words: string): string;
  fits(words: string, seal: string): boolean;
}

const MAC_BYTES = 16;

/** @param purpose what is sealed under it is good for nothing else, such as `countersign/teams-thread/v1` */
export function createSeals(rootKeys: RootKeys, purpose: string): Seals {
  const keys = rootKeys.derive(purpose);
  const mac = (key: Buffer, words: string) => createHmac('sha256', key).update(words).digest().subarray(0, MAC_BYTES);
  return {
    of(words) {
      const [newest] = keys;
      return newest ? mac(newest, words).toString('base64url') : '';
    },
    fits(words, seal) {
      const given = Buffer.from(seal, 'base64url');
      return given.length === MAC_BYTES && keys.some((key) => timingSafeEqual(mac(key, words), given));
    },
  };
}
