import type { Audit } from '../audit/audit.ts';
import { type Database, databaseNow } from '../database.ts';
import { parseOperationId } from '../ids.ts';
import type { Http } from '../ports/http.ts';
import type { OperationTypeDefinition, Service } from '../services/service.ts';
import { asSecrets, type OpenedFields, type SecretFields, type StoredCredential, type Vault } from './vault.ts';

/** What somebody who reads a credential is given: its fields, and the token where the vendor wants one. */
export interface InUse {
  readonly fields: SecretFields;
  /** When the token ends, at least a minute from now; without one, when the credential does. */
  readonly expiresAt: Date | null;
  /** Why the vendor gave no token, as a sentence: the fields are then what is stored, no more. */
  readonly refusal?: string;
}

/** Short-lived tokens of credentials that a vendor's API takes only in exchange for one. */
export interface Tokens {
  /**
   * What an opened credential is used with. Of a service that knows tokens, that holds `access_token`, too: the sealed one
   * while it is good for another minute, else a new one. That it was read, or kept, is on record.
   * @throws CountersignError `database_unavailable`.
   */
  inUse(stored: StoredCredential, opened: OpenedFields, why: string): Promise<InUse>;
}

/** A token that ends within this time is none any more. */
const MARGIN_MS = 60_000;

export function createTokens(deps: {
  readonly database: Database;
  readonly vault: Vault;
  readonly audit: Audit;
  readonly http: Http;
  readonly getService: (id: string) => Service | undefined;
}): Tokens {
  const { database, vault, audit, http, getService } = deps;
  return {
    async inUse(stored, opened, why) {
      const fields = asSecrets(opened);
      const ask = tokenOf(getService(stored.service), stored);
      const place = tokenPlace(stored);
      if (!ask || !place) return { fields, expiresAt: stored.expiresAt };
      const ref = { customerId: stored.organizationId, ...place, why };
      // It is kept as if it ended a minute earlier than it does, so what the vault still opens is good.
      const kept = () =>
        vault.open(ref, (found, { expiresAt }) => ({ token: asSecrets(found).access_token, expiresAt }));
      const used = ({ token, expiresAt }: NonNullable<Awaited<ReturnType<typeof kept>>>): InUse => ({
        fields: token ? { ...fields, access_token: token } : fields,
        expiresAt: expiresAt && new Date(expiresAt.getTime() + MARGIN_MS),
      });
      const found = await kept();
      if (found) return used(found);
      // Of several that read at once, in whatever process, one asks the vendor.
      return database.exclusively(`token ${stored.organizationId} ${stored.id}`, async () => {
        const foundMeanwhile = await kept();
        if (foundMeanwhile) return used(foundMeanwhile);
        const base = stored.target;
        const asked = await ask({ base, origin: new URL(base).origin, credential: fields, permissions: [], http });
        if (asked.kind === 'fails') return { fields, expiresAt: stored.expiresAt, refusal: asked.reason };
        const expiresAt = await database.withCustomer(stored.organizationId, async (tx) => {
          const until = new Date((await databaseNow(tx)).getTime() + asked.expiresInSeconds * 1000 - MARGIN_MS);
          const { service, type, ...where } = place;
          const value = { access_token: asked.token };
          const records = vault.within(tx);
          const { id } = await records.store(stored.organizationId, service, type, {
            ...where,
            value,
            expiresAt: until,
          });
          const entry = { kind: 'credential.stored', credentialId: id, credentialType: type, why } as const;
          await audit.append(tx, stored.organizationId, { ...entry, operationId: place.operationId });
          return until;
        });
        return used({ token: asked.token, expiresAt });
      });
    },
  };
}

function tokenOf(service: Service | undefined, { credentialType }: StoredCredential): OperationTypeDefinition['token'] {
  return Object.values(service?.operationTypes ?? {}).find((type) => type.credentialType === credentialType)?.token;
}

/**
 * Where the token of a result lies: under the operation that made the result, so that another operation's key in the same
 * place never meets this one's token. `undefined` for what no operation made.
 */
export function tokenPlace({ service, target, metadata }: Pick<StoredCredential, 'service' | 'target' | 'metadata'>) {
  const operationId = parseOperationId(metadata.operationId ?? '');
  return operationId && ({ service, target, type: 'oauth_token', operationId } as const);
}
