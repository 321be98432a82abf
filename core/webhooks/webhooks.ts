import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Webhook as WebhookRow } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import type { Database, Transaction } from '../database.ts';
import { type CustomerId, newUuid } from '../ids.ts';
import { Secret } from '../secret.ts';
import type { Sealer } from '../vault/sealer.ts';

/** What a webhook may be told of: types of events begin with one of these. */
export const WEBHOOK_KINDS = ['operation', 'credential', 'connection'] as const;
export type WebhookKind = (typeof WEBHOOK_KINDS)[number];

/** What may be shown of a webhook: never its secret. */
export interface Webhook {
  readonly customerId: CustomerId;
  readonly id: string;
  readonly url: string;
  readonly kinds: readonly WebhookKind[];
  readonly createdAt: Date;
  readonly removedAt: Date | null;
}

export interface Webhooks {
  /**
   * Tells of everything from now on. @returns the secret as well, for this one time: `whsec_` and base64, as receivers of
   * Standard Webhooks take it; `full`: there are ten already.
   */
  add(
    customerId: CustomerId,
    webhook: { readonly url: string; readonly kinds: readonly WebhookKind[] },
  ): Promise<
    { readonly kind: 'added'; readonly secret: Secret; readonly webhook: Webhook } | { readonly kind: 'full' }
  >;
  /** Newest first, those that are removed not included. */
  list(customerId: CustomerId): Promise<readonly Webhook[]>;
  /** Nothing is sent to it from the commit on, and its secret is gone. @returns whether it was there. */
  remove(customerId: CustomerId, id: string): Promise<boolean>;
  /** One that is there, with its secret's bytes. */
  open(tx: Transaction, customerId: CustomerId, id: string): Promise<(Webhook & { readonly key: Buffer }) | undefined>;
}

const MOST = 10;
/** Standard Webhooks asks for 24 to 64 random bytes (standardwebhooks.com, signature scheme). */
const SECRET_BYTES = 32;
const kinds = z.array(z.enum(WEBHOOK_KINDS));

export function createWebhooks(deps: { database: Database; sealer: Sealer; audit: Audit }): Webhooks {
  const { database, sealer, audit } = deps;
  return {
    add: (customerId, { url, kinds: wanted }) =>
      database.withCustomer(customerId, async (tx) => {
        // One at a time: two would each see room for one more.
        await tx.$executeRaw`SELECT FROM customers WHERE customer_id = ${customerId}::uuid FOR NO KEY UPDATE`;
        if ((await tx.webhook.count({ where: { customerId, removedAt: null } })) >= MOST) return { kind: 'full' };
        const id = newUuid();
        const key = randomBytes(SECRET_BYTES);
        const secret = new Secret(`whsec_${key.toString('base64')}`);
        const { record } = await sealer.seal(tx, customerId, placeOf(id, url), key);
        key.fill(0);
        const head = await tx.auditHead.findUnique({ where: { customerId }, select: { seq: true } });
        const data = {
          customerId,
          id,
          url,
          kinds: [...wanted],
          sealed: Uint8Array.from(record),
          cursor: head?.seq ?? 0n,
        };
        await database.vouch(tx, 'webhook', customerId, [id, url, wanted.join(','), record.toString('hex')].join('|'));
        const row = await tx.webhook.create({ data });
        const payload = { webhookId: id, host: new URL(url).host, kinds: [...wanted], by: 'the operator' };
        await audit.append(tx, customerId, { kind: 'webhook.added', payload });
        return { kind: 'added', secret, webhook: toWebhook(row) };
      }),
    list: (customerId) =>
      database.withCustomer(customerId, async (tx) => {
        const where = { customerId, removedAt: null };
        return (await tx.webhook.findMany({ where, orderBy: { createdAt: 'desc' } })).map(toWebhook);
      }),
    remove: (customerId, id) =>
      database.withCustomer(customerId, async (tx) => {
        if (!(await removeWebhook(tx, database, customerId, id))) return false;
        await audit.append(tx, customerId, { kind: 'webhook.removed', payload: { webhookId: id, by: 'the operator' } });
        return true;
      }),
    async open(tx, customerId, id) {
      const row = await tx.webhook.findUnique({ where: { customerId_id: { customerId, id } } });
      if (!row?.sealed) return undefined;
      return { ...toWebhook(row), key: await sealer.open(tx, customerId, placeOf(id, row.url), row.sealed) };
    },
  };
}

/** From the commit on nothing is sent to it, and its secret is gone. @returns whether it was there */
export async function removeWebhook(
  tx: Transaction,
  database: Pick<Database, 'vouch'>,
  customerId: CustomerId,
  id: string,
): Promise<boolean> {
  await database.vouch(tx, 'webhook', customerId, `${id}|removed`);
  const count = await tx.$executeRaw`
    UPDATE webhooks SET sealed = NULL, removed_at = app.now()
    WHERE customer_id = ${customerId}::uuid AND id = ${id}::uuid AND removed_at IS NULL`;
  return count > 0;
}

/** The binding of a webhook's secret: with another address it does not open. */
function placeOf(id: string, url: string): readonly string[] {
  return ['webhook', id, url];
}

function toWebhook({ customerId, id, url, kinds: named, createdAt, removedAt }: WebhookRow): Webhook {
  // A row of this customer's context.
  return { customerId: customerId as CustomerId, id, url, kinds: kinds.parse(named), createdAt, removedAt };
}
