import { z } from 'zod';
import type { AuditEntry as AuditRow } from '../../prisma/generated/client.ts';
import type { AuditEntry } from '../audit/entry.ts';
import type { OperationState } from '../operations/states.ts';

/** Entries of the trail that are events of an operation, as a program outside may follow it. */
const KINDS =
  /^(?:(?:operation|consent|credentials|question|connection)\.|(?:plan\.made|step\.finished|guide\.shown)$)/;

/** Of an operation as it is when the event is read, which may be further than the entry itself. */
export interface Standing {
  readonly state: OperationState;
  readonly totalSteps: number;
}

const common = {
  /** Where to go on after this event. */
  cursor: z.string(),
  at: z.iso.datetime(),
  operationId: z.string(),
  state: z.string(),
  totalSteps: z.int(),
};

/** What a client of the live stream is told, one JSON text each. */
export const streamEventSchema = z.discriminatedUnion('event', [
  z.strictObject({
    event: z.literal('autonomous_progress'),
    ...common,
    step: z.int(),
    /** The sentence that people read; null once its words were erased. */
    intent: z.string().nullable(),
    outcome: z.enum(['done', 'failed']),
    rung: z.string().nullable(),
    durationMs: z.int(),
    /** An address of the masked picture, good for a quarter of an hour; null where there is none. */
    screenshot: z.string().nullable(),
  }),
  z.strictObject({
    event: z.literal('operation_changed'),
    ...common,
    /** What went on record, such as `consent.granted`. */
    kind: z.string(),
  }),
]);
export type StreamEvent = z.infer<typeof streamEventSchema>;

export function isStreamed({ kind, operationId }: Pick<AuditRow, 'kind' | 'operationId'>): boolean {
  return operationId !== null && KINDS.test(kind);
}

/** Of any entry but a finished step: who and what stays in the trail. */
export function changeEvent(
  row: Pick<AuditRow, 'seq' | 'at' | 'kind'>,
  operationId: string,
  { state, totalSteps }: Standing,
): StreamEvent {
  const { seq, at, kind } = row;
  const common = { cursor: String(seq), at: at.toISOString(), operationId, state, totalSteps };
  return { event: 'operation_changed', ...common, kind };
}

const words = z.object({ intent: z.string().nullable().catch(null), screenshotId: z.string().nullable().catch(null) });

/** @param entry as read back, without its words where these are gone. */
export function progressEvent(
  entry: Pick<AuditEntry, 'seq' | 'at' | 'stepNumber' | 'success' | 'rung' | 'durationMs' | 'payload'>,
  operationId: string,
  { state, totalSteps }: Standing,
  pictureUrl: (pictureId: string) => string,
): StreamEvent {
  const { seq, at, stepNumber = 0, success = false, rung = null, durationMs = 0, payload = {} } = entry;
  const { intent, screenshotId } = words.parse(payload);
  return {
    ...{ event: 'autonomous_progress', cursor: String(seq), at: at.toISOString(), operationId, state, totalSteps },
    ...{ step: stepNumber, intent, outcome: success ? 'done' : 'failed', rung, durationMs },
    screenshot: screenshotId === null ? null : pictureUrl(screenshotId),
  };
}
