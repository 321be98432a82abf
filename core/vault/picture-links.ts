import { createHmac, timingSafeEqual } from 'node:crypto';
import { customerId as asCustomerId, type CustomerId } from '../ids.ts';
import type { RootKeys } from '../ports/keys.ts';

/** Addresses of pictures: each names one picture and nothing else, and can't be guessed or altered. */
export interface PictureLinks {
  /** base64url of customer (16 bytes), picture (16 bytes) and HMAC-SHA-256 of both, cut to 16 bytes (128 bits). */
  token(customerId: CustomerId, pictureId: string): string;
  read(token: string): { readonly customerId: CustomerId; readonly pictureId: string } | undefined;
}

const PURPOSE = 'countersign/picture-link/v1';

export function createPictureLinks(rootKeys: RootKeys): PictureLinks {
  const keys = rootKeys.derive(PURPOSE);
  const mac = (key: Buffer, body: Buffer) => createHmac('sha256', key).update(body).digest().subarray(0, 16);
  return {
    token(customerId, pictureId) {
      const body = Buffer.concat([bytesOf(customerId), bytesOf(pictureId)]);
      const [newest] = keys;
      return Buffer.concat([body, newest ? mac(newest, body) : Buffer.alloc(0)]).toString('base64url');
    },
    read(token) {
      const bytes = Buffer.from(token, 'base64url');
      if (bytes.length !== 48 || bytes.toString('base64url') !== token) return undefined; // one spelling, too
      const body = bytes.subarray(0, 32);
      const isOurs = keys.some((key) => timingSafeEqual(mac(key, body), bytes.subarray(32)));
      return isOurs
        ? { customerId: asCustomerId(uuidOf(body.subarray(0, 16))), pictureId: uuidOf(body.subarray(16)) }
        : undefined;
    },
  };
}

function bytesOf(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

function uuidOf(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
