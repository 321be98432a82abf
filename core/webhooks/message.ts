import { createHash, createHmac } from 'node:crypto';
import { z } from 'zod';
import type { AuditEntry as AuditRow } from '../../prisma/generated/client.ts';
import type { AuditEntry } from '../audit/entry.ts';
import { HEALTH_CHECK } from '../connections/place.ts';
import type { WebhookJob } from '../queue/queues.ts';
import type { WebhookKind } from './webhooks.ts';

/** Of a key that a program uses, and not of a sign-in: what it means for the connection to the service. */
const CONNECTION: Readonly<Record<string, string | undefined>> = {
  'credential.stored': 'connection.ready',
  'credential.rotated': 'connection.renewed',
  'credential.deleted': 'connection.ended',
};
/** Types of the credentials that programs use. */
export const KEY_TYPES: readonly string[] = ['api_key', 'oauth_token', 'password'];

/**
 * The types of the events that an entry is: none, one, or, of a key, two. That a key was opened to be looked at by the clock is
 * in the trail alone: several times a day it would be no news.
 */
function typesOf(kind: string, credentialType: string | undefined, why?: string): readonly string[] {
  if (!/^(?:operation|credential|connection)\./.test(kind) || why === HEALTH_CHECK) return [];
  // A token that lives for a day is kept `why` it was wanted: the key that it is got by stays what it was.
  const isKey = why === undefined && KEY_TYPES.includes(credentialType ?? '');
  const connection = isKey ? CONNECTION[kind] : undefined;
  return connection === undefined ? [kind] : [kind, connection];
}

export function isWanted(type: string, kinds: readonly WebhookKind[]): boolean {
  return kinds.some((kind) => type.startsWith(`${kind}.`));
}

const header = z.object({ credentialType: z.string().optional(), why: z.string().optional() });

/** As `typesOf`, of a row as it lies in the trail. */
export function typesOfRow(row: Pick<AuditRow, 'kind' | 'header'>): readonly string[] {
  const { credentialType, why } = header.parse(JSON.parse(row.header));
  return typesOf(row.kind, credentialType, why);
}

/** What is sent: ids and states, never a value nor what somebody wrote. */
export interface WebhookMessage {
  readonly type: string;
  /** When it went on record. */
  readonly timestamp: string;
  readonly data: Readonly<Record<string, string | null>>;
}

export function messageOf(
  type: string,
  { seq, at, operationId, credentialId, credentialType }: AuditEntry,
  operation: { readonly service: string; readonly operation: string; readonly status: string } | null,
): WebhookMessage {
  const about = operation && { service: operation.service, operation: operation.operation, state: operation.status };
  return {
    ...{ type, timestamp: at.toISOString() },
    data: {
      cursor: String(seq),
      operationId: operationId ?? null,
      ...about,
      ...(credentialId ? { credentialId, credentialType: credentialType ?? null } : {}),
    },
  };
}

/** The same for each try and each replay of one event, so that a receiver which had it knows it again. */
export function messageId({ webhookId, seq, type }: WebhookJob): string {
  return `msg_${createHash('sha256').update(`${webhookId}|${seq}|${type}`).digest('hex').slice(0, 32)}`;
}

/** Standard Webhooks 1.0.0: HMAC-SHA256 over id, time in seconds, and body, in base64 behind the scheme's name. */
export function signed(key: Buffer, id: string, at: Date, body: string): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(at.getTime() / 1000));
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`, 'utf8').digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}
