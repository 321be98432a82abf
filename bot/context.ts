import type { Audit } from '../core/audit/audit.ts';
import type { Checkpoints } from '../core/audit/checkpoints.ts';
import type { RepairOffers } from '../core/connections/repair-offer.ts';
import type { Consents } from '../core/consent/consent.ts';
import type { StandingGrants } from '../core/consent/standing.ts';
import type { ConsoleSessions } from '../core/console/sessions.ts';
import type { Customers, Member } from '../core/customers/customers.ts';
import type { Database } from '../core/database.ts';
import type { Directory } from '../core/directory.ts';
import type { CustomerId } from '../core/ids.ts';
import type { Control } from '../core/operations/control.ts';
import type { Mover } from '../core/operations/move.ts';
import type { Operations } from '../core/operations/operations.ts';
import type { ThreadState, Threads } from '../core/operations/threads.ts';
import type { Chat, Platform } from '../core/ports/chat.ts';
import type { Egress } from '../core/ports/egress.ts';
import type { Http } from '../core/ports/http.ts';
import type { Log } from '../core/ports/log.ts';
import type { Model } from '../core/ports/model.ts';
import type { Queue } from '../core/queue/queue.ts';
import type { Service } from '../core/services/service.ts';
import type { Links } from '../core/vault/links.ts';
import type { Tokens } from '../core/vault/tokens.ts';
import type { Vault } from '../core/vault/vault.ts';
import type { Progress } from './progress.ts';

/** What the conversation may use. Wired in main.ts, and nowhere else. */
export interface Context {
  readonly database: Database;
  readonly directory: Directory;
  readonly customers: Customers;
  readonly operations: Operations;
  readonly threads: Threads;
  readonly consents: Consents;
  readonly standingGrants: StandingGrants;
  readonly repairOffers: RepairOffers;
  readonly mover: Mover;
  readonly control: Control;
  readonly audit: Audit;
  readonly checkpoints: Checkpoints;
  readonly vault: Vault;
  readonly tokens: Tokens;
  readonly links: Links;
  /** Ways into the console. */
  readonly sessions: ConsoleSessions;
  readonly queue: Queue;
  readonly egress: Egress;
  readonly http: Http;
  readonly progress: Progress;
  readonly services: readonly Service[];
  readonly model: Model | undefined;
  readonly log: Log;
  /** How long records are kept where no admin chooses, and what an admin may choose at least. */
  readonly retentionDays: { readonly usual: number; readonly least: number };
  /** Where people's browsers reach `/connect/:token`, without a slash at the end. */
  publicUrl(): string;
  chat(platform: Platform): Chat;
}

/** Who speaks, of which customer, and where. */
export interface Scene {
  readonly customerId: CustomerId;
  readonly member: Member;
  readonly thread: ThreadState;
}

/** The address of a one-time page. */
export function connectUrl(
  context: Pick<Context, 'publicUrl'>,
  token: string,
  format?: 'json' | 'csv' | 'jsonl',
): string {
  return `${context.publicUrl()}/connect/${token}${format ? `?format=${format}` : ''}`;
}
