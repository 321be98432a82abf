import { setTimeout as wait } from 'node:timers/promises';
import type { Operation } from '../../../core/operations/operation.ts';
import { isEnd } from '../../../core/operations/states.ts';
import type { Card } from '../../../core/ports/chat.ts';
import type { PracticeKey } from '../../practice/woocommerce/server.ts';
import { until } from './program.ts';
import type { Asked, World } from './world.ts';

/** What became of one operation that a fault hit. */
export interface Verdict {
  readonly asked: Asked;
  readonly state: string;
  readonly code: string | null;
  /** Approved, but in no end state in bounded time. */
  readonly lost: readonly string[];
  /** More than one effect, or one that nobody knows of. */
  readonly doubled: readonly string[];
  /** What the thread says is not so. */
  readonly untrue: readonly string[];
  /** What is not on record. */
  readonly gaps: readonly string[];
  /** From the end of the fault until state and thread were both true. */
  readonly truthMs: number;
}

/** 65 s to look for an interrupted effect, two steps' time-outs, and the queue's own 14 s; twice, for a machine that is shared. */
const END_MS = 300_000;
const TRUE_MS = 60_000;
const LOOK_MS = 100;
/** Looks a second at all of them together: one who looks at hundreds at once would be a fault of its own. */
const LOOKS_PER_SECOND = 100;

/**
 * Waits until the operation has ended and its thread says so, and counts what is wrong with that.
 * @param overAt when the fault was over, by `performance.now()`.
 * @param together how many are judged at the same time
 */
export async function judge(world: World, asked: Asked, overAt: number, together = 1): Promise<Verdict> {
  const everyMs = Math.max(LOOK_MS, (together * 1000) / LOOKS_PER_SECOND);
  await wait(Math.random() * (everyMs - LOOK_MS)); // not all in one moment
  const looked = () => world.look(asked).catch(() => undefined); // the database may just be coming back
  const ended = await until(
    END_MS,
    async () => {
      const operation = await looked();
      return operation && isSettled(operation) ? operation : undefined;
    },
    everyMs,
  );
  const endedAt = performance.now();
  const operation = ended ?? (await world.look(asked));
  const limitMs = Math.max(overAt + TRUE_MS - endedAt, TRUE_MS);
  let problem: string | undefined;
  const isTrue = await until(
    limitMs,
    async () => {
      problem = untruth(await world.look(asked), world, asked);
      return problem === undefined;
    },
    everyMs,
  );
  const truthMs = performance.now() - overAt;
  const keys = keysOf(asked);
  return {
    asked,
    state: operation.state,
    code: operation.errorCode,
    lost: ended ? [] : [`${asked.id} is still ${operation.state} at step ${operation.currentStep}`],
    doubled:
      keys.length > 1 ? [`${asked.id} made ${keys.length} keys: ${keys.map((key) => key.description).join(', ')}`] : [],
    untrue: isTrue || !ended ? [] : [`${asked.id}: ${problem}`],
    gaps: await gapsOf(world, asked, operation, keys),
    truthMs,
  };
}

/** It has ended, or it waits for a person, who was asked. */
function isSettled({ state }: Operation): boolean {
  return isEnd(state) || state === 'waiting_for_human' || state === 'paused';
}

export function keysOf({ lane, id }: Asked): readonly PracticeKey[] {
  return lane.shop.keys().filter(({ description }) => description.includes(id));
}

/** What the thread says that is not so, by the state and by the shop's own books; `undefined`: it is true. */
function untruth(operation: Operation, { chat }: World, asked: Asked): string | undefined {
  const messages = chat.messages(asked.thread).filter(({ to }) => to === undefined);
  const shown = messages.flatMap(({ key, cards }) => {
    const card = cards.at(-1);
    return card ? [{ key, card }] : [];
  });
  const last = shown.findLast(({ card }) => card.status !== undefined);
  if (!last) return `the thread says nothing of ${operation.state}`;
  const words = wordsOf(last.card);
  const tone = last.card.status?.tone;
  if (!isEnd(operation.state))
    return tone === 'waiting' ? undefined : `it waits for a person, but the thread says “${words.slice(0, 80)}”`;
  const running = shown.find(({ card }) =>
    /^(Working on it|Countersigned\. Starting|Waiting for you)/.test(card.summary),
  );
  if (running) return `it is ${operation.state}, but a message still says “${running.card.summary}”`;
  const keys = keysOf(asked);
  if (operation.state === 'completed') {
    const key = keys.find(({ description }) => description === operation.result?.data.label);
    if (tone !== 'done' || !words.includes('Done in'))
      return `it is completed, but the thread says “${words.slice(0, 80)}”`;
    if (!key) return 'it is completed, but the shop knows no such key';
    if (!words.includes(key.consumerKeyEnding.slice(-4)))
      return `the thread names another key than …${key.consumerKeyEnding}`;
    return undefined;
  }
  if (tone !== 'failed') return `it is ${operation.state}, but the thread says “${words.slice(0, 80)}”`;
  if (operation.errorMessage && !words.includes(operation.errorMessage)) return 'the thread does not say why it failed';
  const untold = keys.find(({ description }) => !words.includes(description));
  return untold ? `the shop has “${untold.description}”, of which the thread says nothing` : undefined;
}

/** Every word that the card shows. */
function wordsOf(card: Card): string {
  const words: string[] = [card.summary];
  JSON.stringify(card.blocks, (name, value: unknown) => {
    if (name === 'text' && typeof value === 'string') words.push(value);
    return value;
  });
  return words.join(' ');
}

/** Effects that no entry tells of, and states that no entry led to. */
async function gapsOf(
  { foundation }: World,
  { lane: { customerId }, id }: Asked,
  operation: Operation,
  keys: readonly PracticeKey[],
): Promise<readonly string[]> {
  const { database, audit } = foundation;
  const entries = await database.withCustomer(customerId, (tx) => audit.entriesOf(tx, customerId, id));
  const kinds = entries.map(({ kind }) => kind as string);
  const labels = entries.filter(({ kind }) => kind === 'intent.written').map(({ payload }) => JSON.stringify(payload));
  const unknown = keys.filter(({ description }) => !labels.some((label) => label.includes(`"${description}"`)));
  const missing = [
    ...(isEnd(operation.state) ? [`operation.${operation.state}`] : []),
    ...(operation.grant ? ['consent.granted'] : []),
    ...(operation.isKeyStored ? ['credential.stored'] : []),
  ].filter((kind) => !kinds.includes(kind));
  return [
    ...unknown.map(({ description }) => `${id}: no entry tells of “${description}”`),
    ...missing.map((kind) => `${id}: there is no entry ${kind}`),
  ];
}

/** `audit verify` of every customer. */
export async function brokenChains({ foundation, lanes }: World): Promise<readonly string[]> {
  const { audit, checkpoints } = foundation;
  const broken: string[] = [];
  for (const { customerId } of lanes) {
    const held = await checkpoints.held(customerId);
    const verdict = await audit.verify(customerId, held.checkpoints);
    if (!verdict.isIntact || held.problems.length > 0)
      broken.push(
        `the chain of ${customerId}: ${JSON.stringify({ verdict, problems: held.problems }, (_, v) => (typeof v === 'bigint' ? String(v) : v))}`,
      );
  }
  return broken;
}
