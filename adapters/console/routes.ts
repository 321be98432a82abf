import type { Request, Response } from 'express';
import type { Audit } from '../../core/audit/audit.ts';
import type { Checkpoints } from '../../core/audit/checkpoints.ts';
import type { ConsoleSessions, Session } from '../../core/console/sessions.ts';
import type { Customers, Member, Role } from '../../core/customers/customers.ts';
import type { Database, Transaction } from '../../core/database.ts';
import type { Guesses } from '../../core/guesses.ts';
import type { CustomerId } from '../../core/ids.ts';
import type { Html } from '../../core/markup.ts';
import type { Operations } from '../../core/operations/operations.ts';
import type { ConsoleDesk } from '../../core/ports/console.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Screenshots } from '../../core/ports/screenshots.ts';
import type { Queue } from '../../core/queue/queue.ts';
import type { Redact } from '../../core/redacted-ports.ts';
import type { Service } from '../../core/services/service.ts';
import type { Vault } from '../../core/vault/vault.ts';
import type { WorkflowRegistry } from '../../core/workflow/registry.ts';

export interface ConsoleDeps {
  readonly database: Database;
  readonly customers: Customers;
  readonly operations: Operations;
  readonly audit: Audit;
  readonly checkpoints: Checkpoints;
  readonly vault: Pick<Vault, 'list'>;
  readonly screenshots: Screenshots;
  readonly queue: Queue;
  readonly sessions: ConsoleSessions;
  readonly workflows: Pick<WorkflowRegistry, 'list'>;
  readonly services: readonly Service[];
  readonly desk: ConsoleDesk;
  /** Counts wrong links; absent: nobody does. */
  readonly guesses?: Guesses;
  /** Where a request comes from, as far as guesses are counted. */
  sourceOf(request: Request): string;
  readonly log: Log;
  /** Takes secrets out of what is handed out. */
  readonly redact: Redact;
  /** Where people's browsers reach the console, without a slash at the end. */
  publicUrl(): string;
}

/** One request of somebody who has signed in. */
export interface Call {
  readonly deps: ConsoleDeps;
  readonly customerId: CustomerId;
  readonly session: Session;
  readonly member: Member;
  /** Of this session; every form holds it. */
  readonly csrf: string;
  readonly assetsPath: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  /** What a form sent; empty for a GET. */
  readonly fields: Readonly<Record<string, string>>;
  readonly request: Request;
  /** In the customer's transaction. */
  read<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
}

/** What a route answers: a page, the part of one, where to go, or nothing that is theirs to see. */
export type Answer =
  | {
      readonly kind: 'page';
      readonly title: string;
      readonly nav: NavName;
      readonly body: Html;
      /** What comes beneath it and takes longer: the page is sent and shown up to there meanwhile. */
      readonly later?: () => Promise<Html>;
    }
  | { readonly kind: 'part'; readonly body: Html }
  | { readonly kind: 'go'; readonly to: string }
  /** It has answered by itself. */
  | { readonly kind: 'sent' }
  | { readonly kind: 'nothing' };

export type NavName =
  | 'operations'
  | 'approvals'
  | 'connections'
  | 'workflows'
  | 'audit'
  | 'people'
  | 'queue'
  | 'health'
  | 'none';

export interface ConsoleRoute {
  readonly method: 'get' | 'post';
  /** With `:name` for each parameter. */
  readonly path: string;
  /** Who may: whoever has this role or one above it (merchant, approver, admin). Whose an operation is says the route itself. */
  readonly role: Role;
  /** The page asks for it by itself, which keeps no session alive. */
  readonly isByItself?: true;
  /** It works while the chat platform can't be asked who somebody is: what stops work. */
  readonly isUnasked?: true;
  answer(call: Call, response: Response): Promise<Answer>;
}

/** Everybody is a merchant; an admin sees all that an approver does. */
export function hasRole({ roles }: Pick<Member, 'roles'>, role: Role): boolean {
  if (role === 'merchant' || roles.includes('admin')) return true;
  return role === 'approver' && roles.includes('approver');
}

export const NOTHING: Answer = { kind: 'nothing' };
