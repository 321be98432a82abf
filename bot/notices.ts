import type { Audit } from '../core/audit/audit.ts';
import type { NewEntry } from '../core/audit/entry.ts';
import type { Customers } from '../core/customers/customers.ts';
import type { Database, Transaction } from '../core/database.ts';
import type { Directory } from '../core/directory.ts';
import { isHopeless } from '../core/errors.ts';
import type { CustomerId, OperationId } from '../core/ids.ts';
import { hasWebhook, type NoticeChoice } from '../core/notices/choices.ts';
import { digestOf, isEmpty } from '../core/notices/digest.ts';
import { isRenewed, lastingConsents } from '../core/notices/lapsing.ts';
import { type Batch, type Notice, type NoticeKind, sentAbout, settle, takeDue } from '../core/notices/notices.ts';
import type { Operations } from '../core/operations/operations.ts';
import { isUnread, type Threads } from '../core/operations/threads.ts';
import type { Card, Chat, MessageRef, Person, PictureLink, Platform, ThreadRef } from '../core/ports/chat.ts';
import type { Log } from '../core/ports/log.ts';
import { createRounds } from '../core/rounds.ts';
import type { Service } from '../core/services/service.ts';
import type { WorkflowRegistry } from '../core/workflow/registry.ts';
import { type EpisodePicture, episodes } from '../core/workflow/watch.ts';
import {
  digestCard,
  failingNotice,
  lapsingNotice,
  type NoticeThread,
  operationNotice,
  togetherNotice,
  unsupportedNotice,
} from './cards/notice-card.ts';

export interface NoticesDeps {
  readonly database: Database;
  readonly directory: Directory;
  readonly customers: Customers;
  readonly operations: Operations;
  readonly threads: Threads;
  readonly audit: Audit;
  readonly services: readonly Service[];
  readonly workflows: Pick<WorkflowRegistry, 'get'>;
  readonly log: Log;
  chat(platform: Platform): Chat;
  /** The address of a picture, bound to it alone. */
  pictureUrl(customerId: CustomerId, pictureId: string): string;
}

/** Tells people what is written down for them: at least once, and under one key, so that a platform which can shows it once. */
export interface Notices {
  start(): void;
  stop(): Promise<void>;
  /** Everything that is due now. */
  deliver(): Promise<void>;
}

const EVERY_MS = 10_000;
/** Each holds one of the few connections for locks: the others are for threads that are shown. */
const CUSTOMERS_AT_ONCE = 2;

export function createNotices(deps: NoticesDeps): Notices {
  const { database, directory, log } = deps;
  const { start, stop, once } = createRounds({
    everyMs: EVERY_MS,
    atOnce: CUSTOMERS_AT_ONCE,
    customers: directory.customersToNotify,
    // Of two processes one sends, and the other then finds it sent; who dies on the way lets go.
    work: (customerId) => database.exclusively(`notices ${customerId}`, () => deliverTo(deps, customerId)),
    failed(err, customerId) {
      if (customerId) log.warn({ code: 'notices', customerId, err }, 'somebody could not be told; it is tried again');
      else log.debug({ code: 'notices', err }, 'notices could not be looked after');
    },
  });
  return { start, stop, deliver: once };
}

async function deliverTo(deps: NoticesDeps, customerId: CustomerId): Promise<void> {
  const { database, log } = deps;
  const batches = await database.withCustomer(customerId, (tx) => takeDue(tx, customerId, hasPlaceOfItsOwn));
  let failure: unknown;
  for (const batch of batches) {
    try {
      await deliverBatch(deps, customerId, batch);
    } catch (error) {
      if (!isHopeless(error))
        failure = error; // the others are told nevertheless
      else {
        log.warn({ code: error.code, customerId, cause: error.message }, 'somebody can’t be told: that is let go');
        await database.withCustomer(customerId, (tx) => settle(tx, customerId, batch.notices));
      }
    }
  }
  if (failure !== undefined) throw failure;
}

/** In a thread, at a webhook, or instead of a message that stands already: no part of a message to somebody. */
function hasPlaceOfItsOwn({ kind }: Notice, { place }: NoticeChoice): boolean {
  return kind === 'over' || (kind === 'lapsing' && place !== 'direct');
}

async function deliverBatch(deps: NoticesDeps, customerId: CustomerId, batch: Batch): Promise<void> {
  const [first] = batch.notices;
  if (first?.kind === 'over') return close(deps, customerId, first);
  const isFull = await isFullMember(deps, customerId, batch);
  const made = await deps.database.withCustomer(customerId, (tx) => make(tx, deps, customerId, batch, isFull));
  if (made === undefined) return;
  const { card, pictures, to, thread } = made;
  const chat = deps.chat(to.platform);
  const key = `notice:${batch.id}`;
  const directly = () => chat.directMessage(to, card, { key });
  // Where the thread takes nothing any more, such as in an archived channel, they are told all the same.
  const instead = (error: unknown) => (isHopeless(error) ? directly() : Promise.reject(error));
  const message = await (thread ? chat.post(thread, card, { key }).catch(instead) : directly());
  await deps.database.withCustomer(customerId, (tx) =>
    settle(tx, customerId, batch.notices, { threadRef: message.thread.ref, ref: message.ref }),
  );
  await addPictures(deps, chat, message, pictures);
}

const FOR_ADMINS: readonly NoticeKind[] = ['unsupported', 'failing', 'digest'];

/** What admins are told is for whom the platform calls a full member at this moment; of the others it is not asked. */
async function isFullMember({ database, customers, chat }: NoticesDeps, customerId: CustomerId, batch: Batch) {
  if (!batch.notices.some(({ kind }) => FOR_ADMINS.includes(kind))) return true;
  const { person } = await database.withCustomer(customerId, (tx) =>
    customers.memberById(tx, customerId, batch.memberId),
  );
  return (await chat(person.platform).standing(person)).kind === 'member';
}

/** Where cards can't carry pictures they come after it. They are an extra: the message stands without them. */
async function addPictures(
  { log }: NoticesDeps,
  chat: Chat,
  message: MessageRef,
  pictures: readonly PictureLink[],
): Promise<void> {
  if (chat.capabilities.picturesInCards || !chat.capabilities.upload) return;
  for (const [index, picture] of pictures.entries())
    await chat
      .upload(message.thread, picture, { key: `notice:${message.ref}:${index}` })
      .catch((err: unknown) => log.warn({ err }, 'a picture could not be added to a notice and is left out'));
}

interface Made {
  readonly card: Card;
  readonly pictures: readonly PictureLink[];
  readonly to: Person;
  /** Where it goes, if not to them alone. */
  readonly thread: ThreadRef | undefined;
}

/** `undefined`: there is nothing to say any more, or it was said to a webhook; either is settled. */
async function make(
  tx: Transaction,
  deps: NoticesDeps,
  customerId: CustomerId,
  { memberId, choice, notices }: Batch,
  isFull: boolean,
): Promise<Made | undefined> {
  const [first] = notices;
  const { person: to, roles } = await deps.customers.memberById(tx, customerId, memberId);
  const isAdmin = isFull && roles.includes('admin');
  const parts: Part[] = [];
  for (const notice of notices) {
    if (FOR_ADMINS.includes(notice.kind) && !isAdmin) continue;
    const part = await partOf(tx, deps, customerId, notice, false);
    if (part) parts.push(part);
  }
  const [only] = parts;
  const event = first?.kind === 'lapsing' && only ? await webhookEvent(tx, customerId, choice, only) : undefined;
  if (!only || event) {
    await settle(tx, customerId, notices);
    if (event) await deps.audit.append(tx, customerId, event);
    return undefined;
  }
  return {
    card: togetherNotice(parts.map(({ card }) => card)),
    pictures: parts.flatMap(({ pictures }) => pictures ?? []),
    to,
    thread: first?.kind === 'lapsing' && choice.place === 'thread' ? only.thread?.ref : undefined,
  };
}

/** An entry about the operation, which its webhooks hear of like of any other. Without a webhook the person is told. */
async function webhookEvent(
  tx: Transaction,
  customerId: CustomerId,
  { place }: NoticeChoice,
  { operationId }: Part,
): Promise<NewEntry | undefined> {
  if (place !== 'webhook' || !operationId || !(await hasWebhook(tx, customerId))) return undefined;
  return { kind: 'operation.consent_lapsing', operationId };
}

interface Part {
  readonly card: Card;
  readonly pictures?: readonly PictureLink[];
  readonly operationId?: OperationId;
  readonly thread?: NoticeThread | undefined;
}

/** What a notice says as things are; `undefined`: nothing any more. */
async function partOf(
  tx: Transaction,
  deps: NoticesDeps,
  customerId: CustomerId,
  { kind, about }: Notice,
  isSent: boolean,
): Promise<Part | undefined> {
  switch (kind) {
    case 'result':
    case 'waiting':
      return operationPart(tx, deps, customerId, about, kind);
    case 'lapsing':
    case 'unsupported':
      return consentPart(tx, deps, customerId, about, kind);
    case 'failing':
    case 'over':
      return stepPart(tx, deps, customerId, about, isSent);
    case 'digest':
      return digestPart(tx, deps, customerId, about);
    default:
      return kind satisfies never;
  }
}

async function operationPart(
  tx: Transaction,
  deps: NoticesDeps,
  customerId: CustomerId,
  id: string,
  kind: 'result' | 'waiting',
): Promise<Part | undefined> {
  const operation = await deps.operations.get(tx, customerId, id);
  const isWaiting = operation?.state === 'awaiting_credentials' || operation?.state === 'waiting_for_human';
  if (!operation || (kind === 'waiting' && !isWaiting)) return undefined;
  const thread = await threadOf(tx, deps, customerId, operation.threadId);
  return { card: operationNotice(operation, kind, thread), operationId: operation.id };
}

async function consentPart(
  tx: Transaction,
  deps: NoticesDeps,
  customerId: CustomerId,
  id: string,
  kind: 'lapsing' | 'unsupported',
): Promise<Part | undefined> {
  const all = await lastingConsents(tx, customerId);
  const consent = all.find((each) => each.id === id);
  if (!consent || (kind === 'lapsing' && isRenewed(consent, all))) return undefined;
  const operation = await tx.operation.findUnique({
    where: { customerId_id: { customerId, id: consent.operationId } },
    select: { threadId: true },
  });
  const thread = operation ? await threadOf(tx, deps, customerId, operation.threadId) : undefined;
  const granter = await deps.customers.memberById(tx, customerId, consent.userId);
  const service = deps.services.find((each) => each.id === consent.service)?.name ?? consent.service;
  const words = { consent, granter, service };
  const card = kind === 'lapsing' ? lapsingNotice(words, thread?.ref) : unsupportedNotice(words);
  const operationId = consent.operationId as OperationId; // of its row, by foreign key
  return { card, thread, operationId };
}

/** What was over before anybody was told of it is not told. */
async function stepPart(
  tx: Transaction,
  deps: NoticesDeps,
  customerId: CustomerId,
  id: string,
  isSent: boolean,
): Promise<Part | undefined> {
  const [episode] = await episodes(tx, customerId, id);
  if (!episode || (episode.closedAt !== null && !isSent)) return undefined;
  const known = deps.workflows.get(episode.workflowId);
  const workflow = known?.version === episode.workflowVersion ? known : undefined;
  const link = (picture: EpisodePicture | undefined, alt: string): PictureLink | undefined =>
    picture && { url: deps.pictureUrl(customerId, picture.id), alt, width: picture.width, height: picture.height };
  const before = link(episode.oldPicture, `Step ${episode.step} when it last went well`);
  const now = link(episode.newPicture, `Step ${episode.step} when it last failed`);
  const pictures = [before, now].filter((each) => each !== undefined);
  return { card: failingNotice({ episode, workflow, before, now }), pictures: episode.closedAt ? [] : pictures };
}

/** Where it was switched off meanwhile: nothing. */
async function digestPart(
  tx: Transaction,
  { customers, services }: NoticesDeps,
  customerId: CustomerId,
  about: string,
): Promise<Part | undefined> {
  if (!(await customers.rules(tx, customerId)).hasDigest) return undefined;
  const digest = await digestOf(tx, customerId, new Date(about));
  return isEmpty(digest) ? undefined : { card: digestCard(digest, services) };
}

async function threadOf(
  tx: Transaction,
  { threads, chat }: NoticesDeps,
  customerId: CustomerId,
  threadId: string,
): Promise<NoticeThread | undefined> {
  const thread = await threads.get(tx, customerId, threadId);
  if (!thread || isUnread(thread.ref)) return undefined;
  return { ref: thread.ref, url: chat(thread.ref.platform).linkTo?.(thread.ref) };
}

/** The card that was sent says from now on that it is over; nobody is called for that. */
async function close(deps: NoticesDeps, customerId: CustomerId, notice: Notice): Promise<void> {
  const found = await deps.database.withCustomer(customerId, async (tx) => {
    const sent = await sentAbout(tx, customerId, { ...notice, kind: 'failing' });
    if (!sent) return undefined;
    const cards: Card[] = [];
    for (const each of sent.notices) {
      const part = await partOf(tx, deps, customerId, each, true);
      if (part) cards.push(part.card);
    }
    const { person } = await deps.customers.memberById(tx, customerId, notice.memberId);
    return { ...sent, person, card: togetherNotice(cards) };
  });
  if (found && found.card.blocks.length > 0) {
    const { person, threadRef: ref, card } = found;
    const { platform, workspaceId } = person;
    await deps.chat(platform).update({ thread: { platform, workspaceId, ref }, ref: found.ref }, card);
  }
  await deps.database.withCustomer(customerId, (tx) => settle(tx, customerId, [notice]));
}
