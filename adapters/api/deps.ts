import type { Audit } from '../../core/audit/audit.ts';
import type { Checkpoints } from '../../core/audit/checkpoints.ts';
import type { Consents } from '../../core/consent/consent.ts';
import type { ApiCaller } from '../../core/customers/api-tokens.ts';
import type { Customers } from '../../core/customers/customers.ts';
import type { Database } from '../../core/database.ts';
import type { Control } from '../../core/operations/control.ts';
import type { Mover } from '../../core/operations/move.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Operations } from '../../core/operations/operations.ts';
import type { ApiDesk, ApiWish } from '../../core/ports/api.ts';
import type { EventRef } from '../../core/ports/chat.ts';
import type { Queue } from '../../core/queue/queue.ts';
import type { Redact } from '../../core/redacted-ports.ts';
import type { Service } from '../../core/services/service.ts';
import type { Tokens } from '../../core/vault/tokens.ts';
import type { Vault } from '../../core/vault/vault.ts';
import type { Problem } from './problem.ts';
import { badField } from './replies.ts';

/** What the routes may use of the core, and of the conversation. */
export interface RouteDeps {
  readonly database: Database;
  readonly customers: Customers;
  readonly operations: Operations;
  readonly consents: Consents;
  readonly control: Control;
  readonly mover: Mover;
  readonly audit: Audit;
  readonly checkpoints: Checkpoints;
  readonly vault: Vault;
  readonly tokens: Tokens;
  readonly queue: Queue;
  readonly services: readonly Service[];
  readonly desk: ApiDesk;
  /** Takes secrets out of names that people chose. */
  readonly redact: Redact;
  /** Where the server is reached, without a slash at the end. */
  publicUrl(): string;
}

/** For whom the token acts, as they are now. @throws Error for a token without a member, which no such route admits. */
export async function wishOf(
  { database, customers }: Pick<RouteDeps, 'database' | 'customers'>,
  { customerId, id: tokenId, memberId }: ApiCaller,
  event: EventRef,
): Promise<ApiWish> {
  if (memberId === undefined) throw new Error('a token without a member was admitted to a route that acts');
  const by = await database.withCustomer(customerId, (tx) => customers.memberById(tx, customerId, memberId));
  return { customerId, by, tokenId, event };
}

export function operationOf(
  { operations }: Pick<RouteDeps, 'operations'>,
  { customerId }: Pick<ApiCaller, 'customerId'>,
  id: string,
): Promise<Operation | undefined> {
  return operations.look(customerId, id);
}

/** The service that a request names, and the address that it means there; or what is wrong with them. */
export function placeOf(
  services: readonly Service[],
  named: { readonly service: string | undefined; readonly address: string | undefined },
  at: { readonly field: string; unsaid(service: Service): string },
): { readonly service: Service; readonly base: string } | Problem {
  const service = services.find(({ id }) => id === named.service);
  if (!service) return badField('service', `Service not yet supported: ${named.service ?? 'none was named'}`);
  const written = named.address ?? service.home;
  if (written === undefined) return badField(at.field, at.unsaid(service));
  const target = service.parseTarget(written);
  return target.kind === 'invalid' ? badField(at.field, target.reason) : { service, base: target.base };
}

export const statusPath = (id: string) => `/api/autonomous/status/${id}`;
export const jobPath = (id: string) => `/api/autonomous/queue/status/${id}`;
