import { randomInt, randomUUID } from 'node:crypto';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** A UUID: the organisation that installed the bot. */
export type CustomerId = Branded<'customer'>;
/** A UUID: one person on one platform, as this customer knows them. */
export type MemberId = Branded<'member'>;
/** `op-` and eight lower-case letters or digits. */
export type OperationId = Branded<'operation'>;

const ALPHABET = '23456789abcdefghjkmnpqrstuvwxyz'; // without 0 o 1 l i, which people misread aloud and in print
/** What an operation's id looks like. */
export const OPERATION_ID = /^op-[0-9a-z]{8}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Mints an operation id: 31^8, about 8.5e11 values; the database refuses the rare collision and the caller draws again. */
export function newOperationId(): OperationId {
  return `op-${Array.from({ length: 8 }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')}` as OperationId;
}

/** Reads an operation id as people type it: any case, spaces around; `undefined` when it is none. */
export function parseOperationId(text: string): OperationId | undefined {
  const id = text.trim().toLowerCase();
  return OPERATION_ID.test(id) ? (id as OperationId) : undefined;
}

export function newUuid(): string {
  return randomUUID();
}

/** @throws TypeError when the text is not a lower-case UUID. */
export function customerId(text: string): CustomerId {
  return uuid(text) as CustomerId;
}

/** @throws TypeError when the text is not a lower-case UUID. */
export function memberId(text: string): MemberId {
  return uuid(text) as MemberId;
}

function uuid(text: string): string {
  if (!UUID.test(text)) throw new TypeError('not a UUID');
  return text;
}
