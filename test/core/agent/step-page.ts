/** One step on a page that a test writes: served on loopback, open in a real browser, whose window the tests of a file share. */
import { createServer, type Server } from 'node:http';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { runStep } from '../../../core/agent/engine.ts';
import type { BrowserSession, Condition } from '../../../core/ports/browser.ts';
import { type Step, stepSchema } from '../../../core/workflow/steps/index.ts';
import { openTestBrowser, type TestBrowser } from '../../support/browser.ts';
import { type RecordingRunOptions, recordingRun } from './recording-run.ts';

/** What stands in the body of each path. */
export const pages = new Map<string, string>();
/** The paths that were asked for. */
export const asked: string[] = [];
/** Answers to `/held`, which somebody waits for. */
export const held: (() => void)[] = [];
export let base = '';
export let tools: TestBrowser;
export let session: BrowserSession;
let server: Server;
/** Takes the answer to a page that waits for a word to change itself. */
let answerWord: (answer: () => void) => void = () => {};

/** Opens all of this for the file that calls it. */
export function servePages(): void {
  beforeAll(async () => {
    server = createServer((request, response) => {
      const path = request.url ?? '';
      asked.push(path);
      if (path === '/never') return;
      if (path === '/held') return void held.push(() => response.end());
      if (path === '/word') return answerWord(() => void response.end('now'));
      response.setHeader('content-type', 'text/html');
      response.end(`<!DOCTYPE html><title>A page</title>${pages.get(path) ?? '<p>Nothing here</p>'}`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    base = `http://127.0.0.1:${address.port}`;
    tools = openTestBrowser({ privateTargets: [`127.0.0.1:${address.port}`] });
    session = await tools.browser.open({ origins: [base] });
  });

  afterEach(() => {
    pages.clear();
    asked.length = 0;
    held.length = 0;
  });

  afterAll(async () => {
    await tools.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
}

export const visible = (selector: string): Condition => ({ kind: 'visible', locator: { by: 'css', selector } });

/** A step of the given kind, on elements with the id `it`. */
export function step(own: Record<string, unknown>): Step {
  return stepSchema.parse({
    order: 3,
    intent: 'Do it',
    expectedResult: 'It is done',
    alternatives: [],
    permission: 'create_api_key',
    risk: 'reads',
    isMutating: false,
    timeoutMs: 20_000,
    failsWhen: [],
    ...own,
  });
}

export const clickStep = (own: Record<string, unknown> = {}) =>
  step({
    kind: 'click',
    action: 'click',
    locators: [
      { by: 'css', selector: '#it' },
      { by: 'role', role: 'button', name: 'Save', exact: true },
    ],
    identities: [{ tag: 'button', role: 'button', name: 'Save' }],
    postcondition: visible('#done'),
    ...own,
  });

export const SHOWS_DONE = `onclick="document.body.insertAdjacentHTML('beforeend', '<p id=done>Done</p>')"`;

export async function on(html: string, wanted: Step, options: Partial<RecordingRunOptions> = {}) {
  pages.set('/page', html);
  await session.navigate(`${base}/page`, 5_000);
  if (html.includes('/held')) await expect.poll(() => held.length).toBe(1);
  const recording = recordingRun({ session, base, ...options });
  return { ...recording, result: await runStep(wanted, recording.run) };
}

/** Opens a page that does this in its script once `free` was called. */
export async function openHeld(html: string, script: string): Promise<{ free(): void }> {
  const word = Promise.withResolvers<void>();
  answerWord = (answer) => void word.promise.then(answer);
  pages.set('/page', `${html}<script>fetch('/word').then(() => { ${script} })</script>`);
  await session.navigate(`${base}/page`, 5_000);
  return { free: word.resolve };
}

export const sees = (selector: string) => session.waitFor([visible(selector)], 0);
