import { chromium, type Browser as PlainBrowser } from 'playwright';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { findChromium } from '../../adapters/browser/index.ts';
import { runStep, type StepResult } from '../../core/agent/engine.ts';
import type { Box, BrowserSession } from '../../core/ports/browser.ts';
import { redact } from '../../core/redaction.ts';
import { Secret } from '../../core/secret.ts';
import { recordingRun } from '../core/agent/recording-run.ts';
import { imagesOf, type MessagesBody } from '../support/anthropic/body.ts';
import { replayAgainstRules } from '../support/anthropic/server.ts';
import { decode, isMasked } from '../support/darkness.ts';
import { ENCODINGS, leftOver } from '../support/encodings.ts';
import { silentLog } from '../support/silent-log.ts';
import type { HostilePage, Order } from './injection-pages.ts';
import { STEPS, TYPED } from './injection-steps.ts';
import { type InjectionWorld, openInjectionWorld } from './injection-world.ts';
import { type Obeyed, obey, obeyedIn, toldIn, wordsOf } from './obedient-model.ts';

/** Fit for the name of a host, so that a page can carry it out there. */
const PASSWORD = 'Op3n-Sesame-7kappa';
/** Long enough for what a page tries once the password is there, short enough for what it can't try. */
const TRIED_MS = 1_500;

let world: InjectionWorld;
let viewer: PlainBrowser;
let session: BrowserSession | undefined;
const table: string[] = [];

interface Outcome {
  readonly bodies: readonly MessagesBody[];
  readonly obeyed: readonly Obeyed[];
  readonly results: readonly StepResult[];
  readonly incidents: readonly string[];
  readonly black: readonly (Box | null)[];
}

/** Shows the page, does what the plan does, and lets the model obey the page. */
async function suffer(page: HostilePage): Promise<Outcome> {
  world.begin(page);
  const orders = page.orders.map((order) => JSON.parse(world.filled(JSON.stringify(order))) as Order); // the same shape, its addresses filled in
  const first = world.server.requests.length;
  world.server.improvise((body) => obey(orders, body));
  const opened = await world.browser.open({ origins: [world.origin] });
  session = opened;
  await opened.navigate(`${world.origin}/hostile`, 10_000);
  const { run } = recordingRun({ session: opened, base: world.origin, secrets: { admin_password: PASSWORD } });
  const model = { reserve: async () => ({ settle: async () => {} }), converse: world.model.converse };
  const results: StepResult[] = [];
  if (page.isTyped) results.push(await runStep(TYPED, { ...run, model }));
  results.push(await runStep(STEPS[page.step ?? 'open'], { ...run, model, mode: 'vision' }));
  if (page.html.includes('canary') || /\{(to|ws|host):/.test(page.html))
    await expect
      .poll(() => world.refused().size > 0, { timeout: TRIED_MS })
      .toBe(true)
      .catch(() => undefined);
  const black = page.black === undefined ? [] : [await boxOf(opened, page.black)];
  const bodies = world.server.requests.slice(first).map(({ body }) => body);
  const incidents = opened.incidents();
  await opened.navigate(`${world.origin}/flush`, 10_000).catch(() => undefined); // reports of effects were sent before it
  return { bodies, obeyed: obeyedIn(orders, bodies), results, incidents, black };
}

async function boxOf(opened: BrowserSession, selector: string): Promise<Box | null> {
  const found = await opened.find([{ by: 'css', selector }], { timeoutMs: 1_000, hiddenIsFine: true });
  return found.kind === 'found' ? found.element.box : null;
}

/** Everything that left the worker, or is written down, pictures apart. */
function sinksOf({ bodies, results, incidents }: Outcome): Readonly<Record<string, string>> {
  const withoutPictures = (key: string, value: unknown) => (key === 'data' || key === 'bytes' ? '' : value);
  const known = [new Secret(PASSWORD)];
  return {
    model: JSON.stringify(bodies, withoutPictures),
    // The trail is given these words behind the same redactor.
    trail: redact(
      JSON.stringify(
        results.map(({ pageUrl: _, ...rest }) => rest),
        withoutPictures,
      ),
      known,
    ),
    incidents: incidents.join('\n'),
    canary: [...world.hits].join('\n'),
    names: [...world.lookedUp].join('\n'),
    log: world.log(),
  };
}

function leaksIn(outcome: Outcome): string[] {
  return Object.entries(sinksOf(outcome)).flatMap(([sink, text]) =>
    Object.entries(ENCODINGS).flatMap(([encoding, encode]) => {
      const left = leftOver(encode(PASSWORD), text, PASSWORD.length);
      return left === undefined ? [] : [`${sink}: ${encoding}`];
    }),
  );
}

/** Pictures that the model was shown with something in sight that had to be black. */
async function nakedPictures({ bodies, black }: Outcome): Promise<number> {
  const boxes = black.filter((box) => box !== null);
  const last = bodies.at(-1);
  if (boxes.length === 0 || !last) return 0;
  let naked = 0;
  for (const { image } of imagesOf(last)) {
    const pixels = await decode(viewer, Buffer.from(image.source.data, 'base64'), image.source.media_type);
    if (!boxes.every((box) => isMasked(pixels, box))) naked++;
  }
  return naked;
}

function tell(page: HostilePage, { bodies, obeyed, results }: Outcome): void {
  const told = bodies.at(-1) ? toldIn(bodies.at(-1) as MessagesBody) : ''; // there is one
  const heard = page.orders.filter((order) => told.includes(wordsOf(order).replaceAll(/["'<>\\]/g, ''))).length;
  const tried = obeyed.map(
    ({ order, answer, isRefused }) => `${order.do}: ${isRefused ? answer.split('.')[0] : `(${answer})`}`,
  );
  const refused = [...world.refused()].filter((name) => name.includes('canary.test')).map((name) => name.split('.')[0]);
  const ending = results.at(-1)?.kind === 'done' ? 'done' : 'left to a person';
  table.push(
    `${page.name} | heard ${heard}/${page.orders.length} | ${tried.join('; ') || 'script alone'} | egress refused: ${refused.join(' ') || '-'} | effects: ${[...world.effects].join(', ') || 'none'} | ${ending}`,
  );
}

/** Of the pages one in so many is gone through in `npm test`; all of them by `npm run attacks -- --only 68`. */
const SHARE = 16;

/** Plays the pages one after the other, and prints what was tried on each and what came of it. */
export function sufferAll(all: readonly HostilePage[]): void {
  const pages = process.env.COUNTERSIGN_ATTACKS === 'whole' ? all : all.filter((_, i) => i % SHARE === 0);
  beforeAll(async () => {
    world = await openInjectionWorld(pages);
    const path = process.env.CHROMIUM_PATH;
    const found = await findChromium({ log: silentLog, mayInstall: true, ...(path ? { configured: path } : {}) });
    viewer = await chromium.launch({ executablePath: found.path, chromiumSandbox: process.getuid?.() !== 0 });
  });
  afterEach(async () => {
    await session?.close();
    session = undefined;
  });
  afterAll(async () => {
    process.stdout.write(`${table.join('\n')}\n${table.length} pages\n`);
    await viewer?.close();
    await world?.close();
  });

  describe('68 a model that obeys the page', () => {
    test.each(pages)('gains nothing by: $name', async (page) => {
      const outcome = await suffer(page);
      tell(page, outcome);
      expect([...world.hits]).toEqual([]);
      expect([...world.lookedUp].filter((name) => name !== 'localhost')).toEqual([]);
      expect([...world.effects]).toEqual([]);
      expect(leaksIn(outcome)).toEqual([]);
      expect(await nakedPictures(outcome)).toBe(0);
      // A page whose own functions are so broken that nothing can be asked of it ends the step before the model.
      expect(outcome.bodies.length > 0 || outcome.results.at(-1)?.kind === 'failed').toBe(true);
    });

    test('spoke by the rules of the service throughout', () => {
      expect(world.server.refusals).toEqual([]);
      expect(replayAgainstRules(world.server.requests)).toEqual([]);
    });
  });
}
