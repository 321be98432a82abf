import type { Router } from 'express';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Measures } from '../../core/measures.ts';
import type { Metrics, StreamMetrics, WebhookMetrics } from '../../core/ports/metrics.ts';
import type { Secret } from '../../core/secret.ts';
import { browsersOf } from './browsers.ts';
import { metricsRoute } from './route.ts';

/** Prometheus' own names and units: base units, `_total` for what only grows (prometheus.io, metric and label naming). */
const PREFIX = 'countersign_';
/** Around the promises: a credential is read in 50 ms, an append takes a few. */
const QUICK = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
/** A step takes seconds; an operation two to five minutes of machine time, and ends at five. */
const STEP = [0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120];
const OPERATION = [5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300, 600];
/** With people in it: a plan waits for 15 minutes and a question for 30; a repair, for three days, counts beyond the last one. */
const REQUEST = [15, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 43_200, 86_400];

export interface PrometheusMetrics extends Metrics, StreamMetrics, WebhookMetrics {
  /** `GET /metrics`. `token`: `METRICS_TOKEN`. */
  route(options: { readonly token?: Secret; measures(): Promise<Measures | undefined> }): Router;
}

export interface MetricsOptions {
  readonly version: string;
  readonly role: string;
}

/** Counters of this process, and gauges that are read when somebody asks; each instance has a registry of its own. */
export function createMetrics(options: MetricsOptions): PrometheusMetrics {
  const register = new Registry();
  const counted = counters(register);
  const timed = histograms(register);
  const read = gauges(register);
  read.build.set({ ...options, node: process.version }, 1);
  let hasDefaults = false;
  const scrape = async (measures: () => Promise<Measures | undefined>) => {
    // Begun with the first question, so that a process that nobody asks measures nothing.
    if (!hasDefaults) collectDefaultMetrics({ register });
    hasDefaults = true;
    const [standing, browsers] = await Promise.all([measures(), browsersOf(process.pid)]);
    show(read, standing);
    if (browsers) {
      read.browsers.set(browsers.running);
      read.browserProcesses.set(browsers.processes);
      read.browserMemory.set(browsers.memoryBytes);
    }
    return register.metrics();
  };
  return {
    operationEnded({ service, outcome, machineMs, totalMs, peopleMs }) {
      counted.operations.inc({ service, outcome });
      timed.machine.observe({ service, outcome }, machineMs / 1000);
      if (outcome !== 'completed') return;
      timed.toKey.observe({ service }, totalMs / 1000);
      timed.toKeyAlone.observe({ service }, Math.max(0, totalMs - peopleMs) / 1000);
    },
    stepFinished({ rung = 'none', isDone, durationMs }) {
      counted.steps.inc({ rung, outcome: isDone ? 'done' : 'failed' });
      timed.step.observe({ rung }, durationMs / 1000);
    },
    modelConversed({ kind, usage }) {
      const { model } = usage;
      counted.conversations.inc({ model, ended: kind });
      counted.tokens.inc({ model, kind: 'input' }, usage.inputTokens);
      counted.tokens.inc({ model, kind: 'output' }, usage.outputTokens);
      counted.tokens.inc({ model, kind: 'cache_read' }, usage.cacheReadTokens);
      counted.tokens.inc({ model, kind: 'cache_write' }, usage.cacheWriteTokens);
      counted.cost.inc({ model }, usage.usd);
    },
    chatCalled: (platform, outcome) => counted.chat.inc({ platform, outcome }),
    secretOpened: (durationMs) => timed.vault.observe(durationMs / 1000),
    auditAppended: (durationMs) => timed.audit.observe(durationMs / 1000),
    streamClients: (change) => read.streamClients.inc(change),
    streamSent: (events) => counted.streamEvents.inc(events),
    streamClosed: (why) => counted.streamClosed.inc({ why }),
    webhookTried: (outcome) => counted.webhooks.inc({ outcome }),
    route: ({ token, measures }) =>
      metricsRoute({
        contentType: register.contentType,
        scrape: () => scrape(measures),
        ...(token ? { token } : {}),
      }),
  };
}

function counters(register: Registry) {
  const counter = (name: string, help: string, labelNames: readonly string[] = []) =>
    new Counter({ name: `${PREFIX}${name}_total`, help, labelNames: [...labelNames], registers: [register] });
  return {
    operations: counter('operations', 'Operations that ended, by how', ['service', 'outcome']),
    steps: counter('steps', 'Steps that ended, by how their element was found', ['rung', 'outcome']),
    conversations: counter('model_conversations', 'Conversations with the page model', ['model', 'ended']),
    tokens: counter('model_tokens', 'Tokens that the page model read and wrote', ['model', 'kind']),
    cost: counter('model_cost_usd', 'US dollars for the page model, by the list of prices', ['model']),
    chat: counter('chat_calls', 'Calls of chat platforms, by what became of them', ['platform', 'outcome']),
    streamEvents: counter('stream_events', 'Events sent to clients of the live stream'),
    webhooks: counter('webhook_tries', 'Tries to deliver a message to a webhook', ['outcome']),
    streamClosed: counter('stream_closed', 'Connections of the live stream that ended, by why', ['why']),
  };
}

function histograms(register: Registry) {
  const histogram = (name: string, help: string, buckets: readonly number[], labelNames: readonly string[] = []) =>
    new Histogram({
      ...{ name: `${PREFIX}${name}_seconds`, help, buckets: [...buckets], labelNames: [...labelNames] },
      registers: [register],
    });
  return {
    machine: histogram('operation_machine', 'Machine time of an operation', OPERATION, ['service', 'outcome']),
    toKey: histogram('time_to_key', 'From a request to its verified key, people included', REQUEST, ['service']),
    toKeyAlone: histogram('time_to_key_without_people', 'The same without waiting for people', OPERATION, ['service']),
    step: histogram('step', 'From the beginning of a step to its end', STEP, ['rung']),
    vault: histogram('vault_read', 'From the question for a secret to its opening', QUICK),
    audit: histogram('audit_append', 'Appending an entry to the trail', QUICK),
  };
}

function gauges(register: Registry) {
  const gauge = (name: string, help: string, labelNames: readonly string[] = []) =>
    new Gauge({ name: `${PREFIX}${name}`, help, labelNames: [...labelNames], registers: [register] });
  return {
    build: gauge('build_info', 'What runs here', ['version', 'node', 'role']),
    databaseUp: gauge('database_up', 'Whether the database answered just now'),
    queueJobs: gauge('queue_jobs', 'Jobs in each queue', ['queue', 'state']),
    queueOldest: gauge('queue_oldest_job_age_seconds', 'For how long the oldest waiting job has been due', ['queue']),
    deadLetters: gauge('dead_letters', 'Jobs with no retry left, of each queue', ['queue']),
    open: gauge('operations_open', 'Operations that have not ended', ['service', 'state']),
    openOldest: gauge('operations_open_oldest_seconds', 'Since the one moved that has stood still longest', [
      'service',
      'state',
    ]),
    connections: gauge('connections', 'Stored keys, by how they fare at their service', ['service', 'state']),
    browsers: gauge('browsers', 'Local browsers that run, one a session'),
    browserProcesses: gauge('browser_processes', 'Processes of local browsers'),
    browserMemory: gauge('browser_memory_bytes', 'Anonymous memory of local browsers'),
    streamClients: gauge('stream_clients', 'Open connections of the live stream'),
  };
}

/** What the database no longer knows is no longer said: a gauge of an earlier moment would look like one of now. */
function show(read: ReturnType<typeof gauges>, standing: Measures | undefined): void {
  read.databaseUp.set(standing ? 1 : 0);
  const { queueJobs, queueOldest, deadLetters, open: openNow, openOldest, connections } = read;
  for (const gauge of [queueJobs, queueOldest, deadLetters, openNow, openOldest, connections]) gauge.reset();
  for (const { queue, waiting, again, running, dead, oldestSeconds } of standing?.queues ?? []) {
    read.queueJobs.set({ queue, state: 'waiting' }, waiting);
    read.queueJobs.set({ queue, state: 'again' }, again);
    read.queueJobs.set({ queue, state: 'running' }, running);
    read.queueOldest.set({ queue }, oldestSeconds ?? 0);
    read.deadLetters.set({ queue }, dead);
  }
  for (const { service, state, connections: count } of standing?.connections ?? [])
    connections.set({ service, state }, count);
  for (const { service, state, open, oldestSeconds } of standing?.operations ?? []) {
    read.open.set({ service, state }, open);
    read.openOldest.set({ service, state }, oldestSeconds);
  }
}
