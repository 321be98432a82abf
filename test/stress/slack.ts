/**
 * `npm run stress:slack`: many people ask at once, in front of a Slack that counts and answers 429 beyond its rates. Prints how
 * long Slack waited for each acknowledgement, and ends with 1 when a request was lost or came twice, when one acknowledgement
 * in a hundred took longer than a second, or when a rate was exceeded.
 */
import { parseArgs } from 'node:util';
import { until } from '../attack/faults/program.ts';
import type { TestDatabase } from '../support/database.ts';
import { startSlackProgram } from '../support/slack/program.ts';
import { BOT, TEAM } from '../support/slack/server.ts';

const PATIENCE_MS = 300_000;
const METHODS = ['chat.postMessage', 'chat.update', 'chat.postEphemeral', 'agents.sessions.setStatus', 'users.info'];

export interface SlackLoad {
  readonly requests: number;
  readonly seconds: number;
  readonly people: number;
  /** Every so many requests Slack sends the event again, as it does when it heard no answer; 0 never. */
  readonly repeatEvery: number;
}

export interface SlackLoadResult {
  /** Of each acknowledgement, in ms, in order. */
  readonly ackMs: readonly number[];
  readonly refusedAcks: number;
  readonly operations: number;
  /** Requests whose thread shows no card, and those whose thread shows several. */
  readonly lost: number;
  readonly twice: number;
  /** Calls that Slack answered with 429. */
  readonly tooMany: number;
  /** From the last request to its card, in ms. */
  readonly drainedMs: number;
  readonly mostAMinute: Readonly<Record<string, number>>;
}

export async function runSlackLoad(
  { requests, seconds, people, repeatEvery }: SlackLoad,
  database?: TestDatabase,
): Promise<SlackLoadResult> {
  const program = await startSlackProgram(database ? { database } : {});
  const { server, hands, sql, target } = program;
  try {
    for (let n = 0; n < people; n++) server.join(person(n), `Person ${n}`);
    const ackMs: number[] = [];
    let refusedAcks = 0;
    const roots: { readonly channel: string; readonly ts: string }[] = [];
    const began = performance.now();
    const ask = async (n: number) => {
      await new Promise((resolve) => setTimeout(resolve, (n * seconds * 1_000) / requests)); // as people come, by the clock
      const user = person(n % people);
      const channel = `D${user}`;
      const text = `set up WooCommerce for http://${target}`;
      const { ts } = server.write(channel, user, text);
      roots.push({ channel, ts });
      const event = { type: 'message', channel, channel_type: 'im', user, text, ts, event_ts: ts };
      const times = repeatEvery > 0 && n % repeatEvery === 0 ? 2 : 1;
      const answers = await Promise.all(Array.from({ length: times }, () => hands.event(event, { team_id: TEAM })));
      for (const { isTaken, ms } of answers) {
        ackMs.push(ms);
        if (!isTaken) refusedAcks++;
      }
    };
    await Promise.all(Array.from({ length: requests }, (_, n) => ask(n)));
    const askedAt = performance.now();
    const cardsOf = ({ channel, ts }: { channel: string; ts: string }) =>
      server
        .messages(channel)
        .filter(({ user, thread_ts, text }) => user === BOT && thread_ts === ts && /waiting for approval/.test(text))
        .length;
    const counts = () => roots.map(cardsOf);
    await until(PATIENCE_MS, () => counts().every((count) => count > 0), 100);
    const drainedMs = performance.now() - Math.max(askedAt, began + seconds * 1_000);
    const [row] = await sql('SELECT count(*)::int AS n FROM autonomous_operations');
    const found = counts();
    return {
      ...{ ackMs: ackMs.toSorted((a, b) => a - b), refusedAcks, operations: Number(row?.n), drainedMs },
      lost: found.filter((count) => count === 0).length,
      twice: found.filter((count) => count > 1).length,
      tooMany: server.rates.refused,
      mostAMinute: Object.fromEntries(METHODS.map((method) => [method, server.rates.most(method)])),
    };
  } finally {
    await program.stop();
  }
}

export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

function person(n: number): string {
  return `UPERSON${n}`;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      requests: { type: 'string', default: '200' },
      seconds: { type: 'string', default: '60' },
      people: { type: 'string', default: '20' },
      slice: { type: 'boolean', default: false },
    },
  });
  const load = values.slice
    ? { requests: 20, seconds: 6, people: 5, repeatEvery: 4 }
    : {
        ...{ requests: Number(values.requests), seconds: Number(values.seconds), people: Number(values.people) },
        repeatEvery: 10,
      };
  const result = await runSlackLoad(load);
  const { ackMs, lost, twice, tooMany, operations, refusedAcks } = result;
  const at = (share: number) => `${percentile(ackMs, share).toFixed(0)} ms`;
  const lines = [
    `${load.requests} requests in ${load.seconds} s of ${load.people} people, one in ${load.repeatEvery} sent twice`,
    `acknowledged: p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}; ${refusedAcks} not taken`,
    `${operations} operations; ${lost} lost, ${twice} shown twice; the last card ${(result.drainedMs / 1000).toFixed(1)} s after the last request`,
    `calls that were too many: ${tooMany}; the most in any minute: ${JSON.stringify(result.mostAMinute)}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  const isGood =
    operations === load.requests && lost + twice + tooMany + refusedAcks === 0 && percentile(ackMs, 0.99) <= 1_000;
  return isGood ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main();
