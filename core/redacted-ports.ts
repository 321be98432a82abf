import type { Audit } from './audit/audit.ts';
import { CountersignError } from './errors.ts';
import type { Chat, ChatReply } from './ports/chat.ts';
import type { Model } from './ports/model.ts';
import type { Secret } from './secret.ts';

/** Takes every secret out of a text, see core/redaction.ts. */
export type Redact = (text: string) => string;

/**
 * Whether a secret may be looked for in words that people read: long, and of letters and digits. The gap that a password
 * like `shop` left in sentences that everybody knows would give it away. (What a run writes is checked more closely, by the run.)
 */
export function isUnmistakable(secret: Secret): boolean {
  const text = secret.reveal();
  return text.length >= 8 && /\p{L}/u.test(text) && /\p{N}/u.test(text);
}

/** A chat whose cards, forms and pictures' words went through the redactor, whoever wrote them. */
export function redactedChat(chat: Chat, redact: Redact): Chat {
  const clean = <T>(value: T): T => redactAll(value, redact);
  const showHome: Chat['showHome'] = chat.showHome && (async (person, card) => chat.showHome?.(person, clean(card)));
  return {
    platform: chat.platform,
    capabilities: chat.capabilities,
    post: async (thread, card, options) => chat.post(thread, clean(card), options),
    update: async (message, card, options) => chat.update(message, clean(card), options),
    ephemeral: async (thread, person, card, options) => chat.ephemeral(thread, person, clean(card), options),
    directMessage: async (person, card, options) => chat.directMessage(person, clean(card), options),
    person: (workspaceId, userId) => chat.person(workspaceId, userId),
    standing: (person, group) => chat.standing(person, group),
    openForm: async (trigger, form) => chat.openForm(trigger, clean(form)),
    upload: async (thread, picture, options) => chat.upload(thread, clean(picture), options),
    ...(chat.channelOf && { channelOf: chat.channelOf.bind(chat) }),
    ...(chat.begin && { begin: chat.begin.bind(chat) }),
    ...(chat.linkTo && { linkTo: chat.linkTo.bind(chat) }),
    ...(chat.transcript && { transcript: chat.transcript.bind(chat) }),
    ...(chat.timeZone && { timeZone: chat.timeZone.bind(chat) }),
    ...(chat.groups && { groups: chat.groups.bind(chat) }),
    ...(chat.place && { place: chat.place.bind(chat) }),
    ...(chat.showActivity && { showActivity: chat.showActivity.bind(chat) }),
    ...(showHome && { showHome }),
  };
}

/** The words at the fields of a form that was sent back. */
export function redactedReply(reply: ChatReply, redact: Redact): ChatReply {
  return redactAll(reply, redact);
}

/** A model that is told no secret, and whose answer brings none back. */
export function redactedModel(model: Model, redact: Redact): Model {
  return {
    async answer(question) {
      const { instructions, text } = redactAll({ instructions: question.instructions, text: question.text }, redact);
      return redactAll(await model.answer({ ...question, instructions, text }), redact);
    },
  };
}

/** An audit trail whose payloads are redacted before they are hashed: what is on record stays on record. */
export function redactedAudit(audit: Audit, redact: Redact): Audit {
  return {
    ...audit,
    append: async (tx, customerId, { payload, ...entry }) =>
      audit.append(tx, customerId, payload ? { ...entry, payload: redactAll(payload, redact) } : entry),
  };
}

/**
 * Every text in arrays and plain objects, names of properties aside; everything else as it is.
 * @throws CountersignError `redaction_failed`: what could not be redacted goes nowhere, and its error may hold the secret.
 */
export function redactAll<T>(value: T, redact: Redact): T {
  // Texts become texts, and containers keep their shape: what goes in comes out as the same type.
  return walk(value, (text) => {
    try {
      return redact(text);
    } catch {
      throw new CountersignError('redaction_failed', 'Something was not sent because it could not be redacted.');
    }
  }) as T;
}

function walk(value: unknown, change: Redact): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item) => walk(item, change));
  if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, walk(inner, change)]));
}
