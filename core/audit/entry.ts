import type { Json } from '../canonical.ts';
import type { MemberId, OperationId } from '../ids.ts';

/** Everything that goes on record. A kind is never renamed: old entries keep it. */
export type AuditKind =
  | 'operation.requested'
  | 'operation.queued'
  | 'operation.started'
  | 'operation.taken_over'
  | 'operation.completed'
  | 'operation.failed'
  | 'operation.denied'
  | 'operation.expired'
  | 'operation.cancelled'
  | 'operation.pause_asked'
  | 'operation.paused'
  | 'operation.resumed'
  | 'operation.retried'
  | 'operation.consent_lapsing'
  | 'repair.given_up'
  | 'pause.begun'
  | 'pause.ended'
  | 'plan.made'
  | 'consent.requested'
  | 'consent.reminded'
  | 'consent.approved'
  | 'consent.granted'
  | 'consent.extended'
  | 'consent.denied'
  | 'consent.expired'
  | 'consent.refused'
  | 'consent.revoked'
  | 'credentials.asked'
  | 'credentials.entered'
  | 'credential.stored'
  | 'credential.opened'
  | 'credential.revealed'
  | 'credential.copied'
  | 'credential.rotated'
  | 'credential.deleted'
  | 'key.rotated'
  | 'key.destroyed'
  | 'key.rewrapped'
  | 'connection.healthy'
  | 'connection.degraded'
  | 'connection.broken'
  | 'connection.expired'
  | 'connection.unknown'
  | 'connection.expiring'
  | 'customer.erased'
  | 'intent.written'
  | 'intent.settled'
  | 'step.finished'
  | 'guide.shown'
  | 'result.rated'
  | 'trail.read'
  | 'access.refused'
  | 'question.asked'
  | 'question.reminded'
  | 'question.answered'
  | 'question.lapsed'
  | 'retention.dropped'
  | 'retention.swept'
  | 'retention.forgotten'
  | 'erasure.begun'
  | 'erasure.finished'
  | 'member.erased'
  | 'erasure.completed'
  | 'checkpoints.begun'
  | 'hold.placed'
  | 'hold.released'
  | 'hold.operation_placed'
  | 'hold.operation_released'
  | 'token.created'
  | 'token.revoked'
  | 'webhook.added'
  | 'webhook.removed'
  | 'webhook.replayed'
  | 'rules.changed'
  | 'proposal.discarded'
  | 'proposal.restored'
  | 'proposal.marked'
  | 'proposal.unmarked'
  | 'console.opened'
  | 'console.left'
  | 'workspace.installed'
  | 'workspace.removed';

type SubjectOf<Kind> = Kind extends `${infer Subject}.${string}` ? Subject : never;

/** What kinds begin with, before the dot. */
export type AuditSubject = SubjectOf<AuditKind>;

/** One fact to append. The header (everything but `payload`) is chained for good and holds no personal data. */
export interface NewEntry {
  readonly kind: AuditKind;
  readonly operationId?: OperationId;
  /** Who did it; absent: the program by itself. */
  readonly actor?: MemberId;
  /** Only of `step.finished`: at most one entry a (step, attempt). */
  readonly stepNumber?: number;
  /** The fence of the run. */
  readonly attempt?: bigint;
  readonly success?: boolean;
  readonly durationMs?: number;
  readonly rung?: string;
  /** What the model read and wrote for it; its reply is in the payload. */
  readonly tokens?: Tokens;
  readonly screenshotSha256?: string;
  readonly planHash?: string;
  /** Of `credential.…`: which secret was read, and for what, such as `step 2`. */
  readonly credentialId?: string;
  readonly credentialType?: string;
  readonly why?: string;
  /** Of `key.…`: the version of the customer's key. */
  readonly keyVersion?: number;
  /** Of `token.…`: the id of the API token. */
  readonly tokenId?: string;
  /** Only of `access.refused`: what was asked for. */
  readonly asked?: string;
  /** Words of people and pages, without secrets: sealed, and erasable without breaking the chain. */
  readonly payload?: { readonly [key: string]: Json };
}

export type Tokens = { readonly input: number; readonly output: number };

/** An entry as read back; `payload` is undefined when it was erased. */
export interface AuditEntry {
  readonly seq: bigint;
  readonly at: Date;
  readonly kind: string;
  readonly operationId?: string;
  readonly actor?: string;
  readonly stepNumber?: number;
  readonly attempt?: bigint;
  readonly success?: boolean;
  readonly durationMs?: number;
  readonly rung?: string;
  readonly tokens?: Tokens;
  readonly planHash?: string;
  readonly credentialId?: string;
  readonly credentialType?: string;
  readonly why?: string;
  readonly keyVersion?: number;
  readonly tokenId?: string;
  readonly asked?: string;
  /** Hex, 64 characters. */
  readonly hash: string;
  /** Why there are no words, although the header names some. */
  readonly gone?: Gone;
  /** Hex: the header's `payloadHash` is SHA-256 of these bytes and the payload's RFC 8785 text. */
  readonly salt?: string;
  readonly payload?: { readonly [key: string]: Json };
}

/** `damaged`: they don't open, or what opens is not what the header vouches for. */
export type Gone = 'erased' | 'key destroyed' | 'damaged';

/** Why nobody is shown an entry's words, for whoever reads the trail. */
export const GONE_WORDS: { readonly [Why in Gone]: string } = {
  erased: 'words erased',
  'key destroyed': 'words can’t be opened any more: their key was destroyed',
  damaged: 'words can’t be opened: they are damaged, not what was put on record',
};
