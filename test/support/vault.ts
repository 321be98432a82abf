import type { Database } from '../../core/database.ts';
import { type CustomerId, newUuid } from '../../core/ids.ts';
import type { RootKeys } from '../../core/ports/keys.ts';
import { Secret } from '../../core/secret.ts';
import { binding } from '../../core/vault/credential.ts';
import { encodeFields } from '../../core/vault/fields.ts';
import { createCustomerKeys } from '../../core/vault/keys.ts';
import { sealRecord } from '../../core/vault/record.ts';
import { type Core, installShop, type Shop } from './core.ts';
import { testRootKeys } from './root-keys.ts';

/** A shop's address, by number. */
export function shopTarget(number: number): string {
  return `https://shop-${number}.example.com`;
}

/** Many secrets at once, each of its own target, sealed as the vault seals them: `text` and its number. */
export async function fillVault(
  database: Database,
  rootKeys: RootKeys,
  customerId: CustomerId,
  count: number,
  text: string,
): Promise<void> {
  const keys = createCustomerKeys(rootKeys);
  for (let from = 0; from < count; from += 1_000)
    await database.withCustomer(customerId, async (tx) => {
      const key = await keys.active(tx, customerId);
      const data = Array.from({ length: Math.min(1_000, count - from) }, (_, index) => {
        const place = {
          service: 'woocommerce',
          target: shopTarget(from + index),
          type: 'api_key',
          operationId: null,
        };
        const id = newUuid();
        const plain = encodeFields({ value: new Secret(`${text} ${from + index}`) });
        const record = sealRecord(key, [customerId, ...binding(id, place, 1, null)], plain);
        const { service, target, type: credentialType } = place;
        return {
          ...{ customerId, id, service, target, credentialType, operationId: null },
          ...{ encryptedCredential: Uint8Array.from(record), encryptionKeyId: `v${key.version}`, secretVersion: 1 },
        };
      });
      await tx.credential.createMany({ data });
    });
}

/** A fresh shop with so many secrets. */
export async function shopWithSecrets(core: Core, count: number, text: string): Promise<Shop> {
  const shop = await installShop(core);
  await fillVault(core.database, testRootKeys, shop.customerId, count, text);
  return shop;
}
