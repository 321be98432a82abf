import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import { type Page, chromium as playwright } from 'playwright';
import { createBrowser, createEgress, findChromium } from '../../adapters/browser/index.ts';
import { createAnthropicPageModel } from '../../adapters/model/index.ts';
import { stepBudget } from '../../core/agent/budget.ts';
import { runStep, type StepRun } from '../../core/agent/engine.ts';
import type { BrowserSession, Locator } from '../../core/ports/browser.ts';
import { Secret } from '../../core/secret.ts';
import { type Step, stepSchema } from '../../core/workflow/steps/index.ts';
import { recordingRun } from '../core/agent/recording-run.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { type AnthropicServer, asks, createAnthropicServer, says } from '../support/anthropic/server.ts';
import { silentLog } from '../support/silent-log.ts';
import { makeApprovable } from './approve-to-worker.ts';
import type { Bench, Benchmark } from './benchmark.ts';
import { repeat, summarise } from './samples.ts';

const CHROMIUM_FOLDER = join(import.meta.dirname, '../../.countersign/chromium');
const MODEL = 'claude-sonnet-5-5';
const TURNS = 5; // and one more reply, which ends the conversation: six, as a step has
const LIMIT_MS = 10_000;
const USERNAME = 'Username or Email Address';
const FIELD: Locator = { by: 'label', text: USERNAME };
const MANY_USD = 1_000_000;

/** Whoever ran a conversation of five turns and one reply more. */
type Converse = () => Promise<unknown>;

/**
 * What comes between a reply that asks for a click and a look, and the next request: measured where the stand-in for the
 * service sees it, in pairs of conversations. Ours is the model rung as a step runs it, with its gate, its session, its
 * masked pictures, its budget in PostgreSQL and its proxies; the other one a loop over the SDK and Playwright alone.
 */
export const modelTurn: Benchmark = {
  name: 'model-turn',
  async run(bench) {
    const { it: shop } = await bench.open(
      () => startPracticeShop(),
      (started) => started.close(),
    );
    const { it: server } = await bench.open(
      () => createAnthropicServer(),
      (started) => started.close(),
    );
    const { page, converse: bare } = await openBare(bench, shop, server);
    const point = await middleOf(page);
    server.improvise(({ messages }) =>
      messages.length > 2 * TURNS
        ? says('I am not sure.')
        : asks('browser', [
            ['left_click', { target: { type: 'coordinate', ...point } }],
            ['screenshot', {}],
          ]),
    );
    const own = await openOwn(bench, shop, server);
    const pair = async () => ({ own: await turnsOf(server, own), bare: await turnsOf(server, bare) });
    await pair(); // connections, and code that is compiled
    const pairs: { readonly own: number; readonly bare: number }[] = [];
    const limits = bench.isSlice ? { times: 1, withinMs: 10_000 } : { times: 30, withinMs: 90_000 };
    const above = await repeat(limits, async () => {
      const pairOf = await pair();
      pairs.push(pairOf);
      return pairOf.own - pairOf.bare;
    });
    const [broken] = server.refusals;
    if (broken) throw new Error(`the service refused: ${broken.refusal.message}`);
    const unit = 'ms' as const;
    return [
      { what: 'model turn, bare SDK loop', unit, values: pairs.map((each) => each.bare) },
      { what: 'model turn, the model rung', unit, values: pairs.map((each) => each.own) },
      { what: 'model turn, the rung above the loop', unit, values: above, target: { of: 'median', atMost: 100 } },
    ];
  },
};

/** The middle one of the conversation's turns, in milliseconds. */
async function turnsOf(server: AnthropicServer, converse: Converse): Promise<number> {
  const first = server.requests.length;
  await converse();
  const at = server.requests.slice(first).map((request) => request.at);
  if (at.length !== TURNS + 1) throw new Error(`a conversation had ${at.length} requests`);
  return summarise(at.slice(1).map((time, i) => time - (at[i] ?? Number.NaN))).median;
}

async function openOwn(bench: Bench, shop: PracticeShop, server: AnthropicServer): Promise<Converse> {
  const chromiumPath = process.env.CHROMIUM_PATH;
  const egress = createEgress({ privateTargets: [new URL(shop.origin).host], log: silentLog });
  const options = { egress, log: silentLog, chromiumFolder: CHROMIUM_FOLDER, mayInstall: true };
  const { it: browser } = await bench.open(
    () => createBrowser({ ...options, ...(chromiumPath ? { chromiumPath } : {}) }),
    (made) => made.close(),
  );
  const session = await browser.open({ origins: [shop.origin] });
  await session.navigate(`${shop.origin}/wp-login.php`, LIMIT_MS);
  const field = await session.find([FIELD], { timeoutMs: LIMIT_MS });
  if (field.kind !== 'found') throw new Error('the sign-in page is not there');
  await session.act(field.element, { kind: 'fill', value: new Secret(shop.username) }, LIMIT_MS);
  const run = await runFor(bench, shop, server, session);
  return () => runStep(SIGN_IN, run);
}

/** A step that is looked for by the model alone, with the budget as a worker keeps it. */
async function runFor(
  bench: Bench,
  shop: PracticeShop,
  server: AnthropicServer,
  session: BrowserSession,
): Promise<StepRun> {
  const rig = await bench.rig();
  const customer = await rig.addCustomer();
  const { close: stopQueue } = await bench.open(
    () => rig.queue.start(), // a request sets deadlines
    () => rig.queue.stop(LIMIT_MS),
  );
  const { id: operationId } = await makeApprovable(rig, customer);
  await stopQueue();
  const limits = { perOperationUsd: MANY_USD, perMonthUsd: MANY_USD };
  const reserve = stepBudget(rig.database, limits, { customerId: customer.customerId, operationId, step: 1 });
  const { converse } = createAnthropicPageModel({
    apiKey: new Secret(server.apiKey),
    baseUrl: server.url,
    model: MODEL,
    egress: createEgress({ privateTargets: [new URL(server.url).host], log: silentLog }),
    log: silentLog,
  });
  const secrets = { admin_username: shop.username, admin_password: shop.password };
  const { run } = recordingRun({ session, base: shop.origin, secrets });
  return {
    ...run,
    knownSecrets: () => Object.values(secrets).map((text) => new Secret(text)),
    model: { converse, reserve },
    mode: 'vision',
  };
}

const SIGN_IN: Step = stepSchema.parse({
  order: 1,
  intent: 'Sign in',
  kind: 'click',
  action: 'click',
  locators: [{ by: 'css', selector: '#wp-submit' }],
  identities: [{ tag: 'input', type: 'submit', role: 'button', name: 'Log In' }],
  postcondition: { kind: 'visible', locator: { by: 'role', role: 'heading', name: 'Dashboard' } },
  expectedResult: 'The dashboard shows.',
  alternatives: [],
  permission: 'sign_in',
  risk: 'reads',
  isMutating: false,
  timeoutMs: LIMIT_MS,
  failsWhen: [],
});

async function openBare(
  bench: Bench,
  shop: PracticeShop,
  server: AnthropicServer,
): Promise<{ readonly page: Page; readonly converse: Converse }> {
  const configured = process.env.CHROMIUM_PATH;
  const found = await findChromium({
    ...{ log: silentLog, folder: CHROMIUM_FOLDER, mayInstall: true },
    ...(configured ? { configured } : {}),
  });
  const { it: browser } = await bench.open(
    () => playwright.launch({ executablePath: found.path, args: [...found.args] }),
    (launched) => launched.close(),
  );
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(`${shop.origin}/wp-login.php`);
  await page.getByLabel(USERNAME).fill(shop.username);
  const client = new Anthropic({ apiKey: server.apiKey, baseURL: server.url, maxRetries: 0 });
  return { page, converse: () => converseBare(client, page) };
}

async function middleOf(page: Page): Promise<{ readonly x: number; readonly y: number }> {
  const box = await page.getByLabel(USERNAME).boundingBox();
  if (!box) throw new Error('the sign-in page is not there');
  return { x: Math.round(box.x + box.width / 2), y: Math.round(box.y + box.height / 2) };
}

async function converseBare(client: Anthropic, page: Page): Promise<void> {
  const look = async (): Promise<Anthropic.Beta.BetaImageBlockParam> => {
    const bytes = await page.screenshot({ type: 'jpeg', quality: 75 });
    return { type: 'image', source: { type: 'base64', media_type: 'image/jpeg', data: bytes.toString('base64') } };
  };
  const messages: Anthropic.Beta.BetaMessageParam[] = [
    { role: 'user', content: [{ type: 'text', text: 'Goal: sign in.' }, await look()] },
  ];
  for (;;) {
    const message = await client.beta.messages.create({
      model: MODEL,
      max_tokens: 4096,
      tools: [{ type: 'browser_toolset_20260801' }],
      messages,
    });
    if (message.stop_reason !== 'tool_use') return;
    const results: Anthropic.Beta.BetaToolResultBlockParam[] = [];
    for (const block of message.content) {
      if (block.type !== 'tool_use') continue;
      const isLook = block.name === 'screenshot';
      if (!isLook) await page.getByLabel(USERNAME).click();
      const content = isLook ? [await look()] : [{ type: 'text' as const, text: 'Clicked.' }];
      results.push({ type: 'tool_result', tool_use_id: block.id, toolset_name: 'browser', content });
    }
    messages.push({ role: 'assistant', content: message.content }, { role: 'user', content: results });
  }
}
