import { z } from 'zod';

/** A place in a list that is newest first: what comes after it is older, or was made at the same time with a smaller id. */
export interface Cursor {
  readonly at: Date;
  readonly id: string;
}

export interface PageRequest {
  readonly after?: Cursor | undefined;
  readonly limit: number;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page begins; absent: this was the last one. */
  readonly next?: string;
}

const written = z.tuple([z.int(), z.string().max(100)]);
/** What every database takes for a time, in milliseconds: from 1970 until the year 9999. */
const LATEST_MS = 253_402_300_799_999;

/** Opaque to whoever is given it. */
export function writeCursor({ at, id }: Cursor): string {
  return Buffer.from(JSON.stringify([at.getTime(), id])).toString('base64url');
}

/** `undefined` for anything that `writeCursor` did not write of such an id. */
export function readCursor(text: string, ids: RegExp): Cursor | undefined {
  try {
    const [ms, id] = written.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
    return ms >= 0 && ms <= LATEST_MS && ids.test(id) ? { at: new Date(ms), id } : undefined;
  } catch {
    return undefined;
  }
}

/** The page of what was read with one more than the limit. */
export function pageOf<T>(read: readonly T[], { limit }: PageRequest, placeOf: (item: T) => Cursor): Page<T> {
  const items = read.slice(0, limit);
  const last = items.at(-1);
  return read.length > limit && last !== undefined ? { items, next: writeCursor(placeOf(last)) } : { items };
}
