import { createHmac, timingSafeEqual } from 'node:crypto';
import { customerId as asCustomerId, type CustomerId } from '../ids.ts';
import type { RootKeys } from '../ports/keys.ts';

/** Addresses of pictures: each names one picture and nothing else, for good or until a time, and can't be guessed or altered. */
export interface PictureLinks {
  /**
   * base64url of customer (16 bytes), picture (16 bytes), where it is to end the second of that (4 bytes, big-endian, since
   * 1970), and HMAC-SHA-256 of all of it, cut to 16 bytes (128 bits).
   */
  token(customerId: CustomerId, pictureId: string, until?: Date): string;
  read(token: string): { readonly customerId: CustomerId; readonly pictureId: string } | undefined;
}

const PURPOSE = 'countersign/picture-link/v1';
const IDS_BYTES = 32;
const END_BYTES = 4;
const MAC_BYTES = 16;

export function createPictureLinks(rootKeys: RootKeys): PictureLinks {
  const keys = rootKeys.derive(PURPOSE);
  const mac = (key: Buffer, body: Buffer) => createHmac('sha256', key).update(body).digest().subarray(0, MAC_BYTES);
  return {
    token(customerId, pictureId, until) {
      const end = Buffer.alloc(until ? END_BYTES : 0);
      if (until) end.writeUInt32BE(Math.floor(until.getTime() / 1000));
      const body = Buffer.concat([bytesOf(customerId), bytesOf(pictureId), end]);
      const [newest] = keys;
      return Buffer.concat([body, newest ? mac(newest, body) : Buffer.alloc(0)]).toString('base64url');
    },
    read(token) {
      const bytes = Buffer.from(token, 'base64url');
      const body = bytes.subarray(0, -MAC_BYTES);
      const isWhole = body.length === IDS_BYTES || body.length === IDS_BYTES + END_BYTES;
      if (!isWhole || bytes.toString('base64url') !== token) return undefined; // one spelling, too
      const isOurs = keys.some((key) => timingSafeEqual(mac(key, body), bytes.subarray(-MAC_BYTES)));
      const isOver = body.length > IDS_BYTES && body.readUInt32BE(IDS_BYTES) * 1000 <= Date.now();
      return isOurs && !isOver
        ? { customerId: asCustomerId(uuidOf(body.subarray(0, 16))), pictureId: uuidOf(body.subarray(16, IDS_BYTES)) }
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
