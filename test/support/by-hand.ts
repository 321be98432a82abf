// What somebody could send who has the program's connection, with the program's word for it or without.
import { createHmac, randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { Vouched } from '../../core/database.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { connected } from './core.ts';
import { testRootKeys } from './root-keys.ts';

/** What `sec.enter` takes, signed as the program signs it. */
export function contextOf(customerId: string, expires = Math.floor(Date.now() / 1000) + 60): [string, number, Buffer] {
  const [key] = testRootKeys.derive('countersign/context/v1');
  if (!key) throw new Error('there is no root key');
  return [customerId, expires, createHmac('sha256', key).update(`${customerId}|${expires}`).digest()];
}

/** What the database's `app.vouched` has to be for this text, as only the program can make it. */
export function wordFor(what: Vouched, customerId: string, text: string): string {
  const [key] = testRootKeys.derive('countersign/context/v1');
  if (!key) throw new Error('there is no root key');
  return createHmac('sha256', key).update(`${what}|${customerId}|${text}`).digest('hex');
}

/** The program's word before a statement by hand, in the transaction of a context. */
export async function vouchByHand(client: pg.Client, what: Vouched, customerId: string, text: string): Promise<void> {
  await client.query("SELECT set_config('app.vouched', $1, true)", [wordFor(what, customerId, text)]);
}

/** An entry by hand, as the program would append it, in the transaction of a context. */
export async function appendByHand(client: pg.Client, customerId: string, header: string): Promise<void> {
  await vouchByHand(client, 'audit', customerId, header);
  await client.query('SELECT app.append_audit($1, NULL)', [header]);
}

/** An approval of what is asked about operation $1, of kind $2, by member $3. */
export const APPROVE = `INSERT INTO consent_events (customer_id, request_id, operation_id, kind, member_id, method, basis, plan_hash)
  SELECT customer_id, id, operation_id, $2, $3::uuid, 'web', 'approver', plan_hash FROM consent_requests WHERE operation_id = $1`;

/** The countersignature of what is asked about operation $1, by member $2, in an hour's time over, with the id $3. */
export const COUNTERSIGN = `INSERT INTO autonomous_consent (customer_id, id, request_id, operation_id, user_id, service, operation, target,
    permissions, plan_hash, granted_at, expires_at, collection_method, consent_version)
  SELECT r.customer_id, $3::uuid, r.id, o.id, $2::uuid, o.service, o.operation, o.target, o.permissions, o.plan_hash,
    app.now(), app.now() + interval '1 hour', 'web', '1.0'
  FROM consent_requests r JOIN autonomous_operations o ON o.id = r.operation_id WHERE o.id = $1`;

/** `APPROVE` with the program's word for it: what the database refuses then, it refuses for another reason. */
export async function approveByHand(client: pg.Client, operation: Operation, memberId: string): Promise<void> {
  const { customerId, id, planHash, request } = operation;
  await vouchByHand(client, 'approval', customerId, `${request?.id}|${id}|${memberId}|${planHash}|web||approver`);
  await client.query(APPROVE, [id, 'approved', memberId]);
}

/**
 * `COUNTERSIGN`, or another such statement, with the program's word for it, or for the row of another one. @returns how many
 * rows came.
 */
export async function countersignByHand(
  client: pg.Client,
  operation: Operation,
  memberId: string,
  statement = COUNTERSIGN,
  vouched = statement,
): Promise<number> {
  const { customerId, id, planHash, request } = operation;
  const values = [id, memberId, randomUUID()];
  const {
    rows: [made],
  } = await client.query<{ permissions: string[]; expires: string }>(
    `SELECT permissions, (extract(epoch FROM expires_at::timestamptz) * 1000)::bigint AS expires
    FROM (${vouched.slice(vouched.indexOf('SELECT'))}) AS
      made (customer, id, request, operation, member, service, type, target, permissions, plan_hash, granted_at, expires_at)`,
    values,
  );
  const granting = [values[2], request?.id, id, memberId, planHash, made?.expires];
  const word = [...granting, null, null, made?.permissions.join(','), ''].join('|');
  await vouchByHand(client, 'consent', customerId, word);
  return (await client.query(statement, values)).rowCount ?? 0;
}

export const ENTER = 'SELECT sec.enter($1::uuid, $2::bigint, $3)';

/** Statements in one transaction as the program's role inside the customer's context, as somebody with its connection could send. */
export function asCustomer<T>(
  programUrl: string,
  customerId: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  return connected(programUrl, async (client) => {
    await client.query('BEGIN');
    await client.query(ENTER, contextOf(customerId));
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  });
}
