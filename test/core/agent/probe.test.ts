// Looking for a key by its label, in lists that may not open: core/agent/probe.ts, and how pages are opened.
import { describe, expect, test } from 'vitest';
import { openPage } from '../../../core/agent/open-page.ts';
import { probe } from '../../../core/agent/probe.ts';
import { CountersignError } from '../../../core/errors.ts';
import type { BrowserSession } from '../../../core/ports/browser.ts';
import { createWorkflowRegistry } from '../../../core/workflow/registry.ts';
import { recordingRun } from './recording-run.ts';

const workflow = createWorkflowRegistry().getDefinition('woocommerce_api_key_generation');
const [FOUND, COMPLETE, NOTHING] = [0, 1, undefined];

/** A site of which each page shows what comes next in the list, or does not open. */
function site(shown: (number | undefined | 'down')[]): BrowserSession {
  let now: number | undefined | 'down';
  const session: Pick<BrowserSession, 'navigate' | 'waitFor'> = {
    async navigate() {
      now = shown.shift();
      if (now === 'down') throw new CountersignError('egress_refused', 'It led elsewhere.');
      return { url: '', title: '' };
    },
    waitFor: async () => (now === 'down' ? undefined : now),
  };
  return session as BrowserSession; // a probe does nothing else
}

const looks = workflow.probe?.looks ?? [];
const seeing = (...shown: (number | undefined | 'down')[]) =>
  probe(workflow, recordingRun({ session: site(shown), base: 'https://shop.example.com' }).run);

describe('the probe', () => {
  test('looks more than once', () => {
    expect(looks.length).toBeGreaterThan(1);
  });

  test.each([
    ['every list whole, and without it', looks.map(() => COMPLETE), 'absent'],
    ['it on the first list', [FOUND], 'found'],
    ['it on the last list', looks.map((_, at) => (at === looks.length - 1 ? FOUND : COMPLETE)), 'found'],
    ['one list not whole', looks.map((_, at) => (at === 0 ? NOTHING : COMPLETE)), 'unsure'],
    ['the last list not whole', looks.map((_, at) => (at === 0 ? COMPLETE : NOTHING)), 'unsure'],
    ['one list not open', looks.map((_, at) => (at === 0 ? 'down' : COMPLETE)), 'unsure'],
    ['no list whole', looks.map(() => NOTHING), 'unsure'],
  ] as const)('sees %s: %s', async (_, shown, result) => {
    expect(await seeing(...shown)).toBe(result);
  });
});

describe('a page that does not open at once', () => {
  test('is tried again only as long as the guard says so', async () => {
    let tries = 0;
    const session = {
      async navigate() {
        tries++;
        throw new CountersignError('network', 'no answer');
      },
    } as Partial<BrowserSession> as BrowserSession; // opening a page does nothing else
    const revoked = new Error('revoked');
    const guard = async () => {
      if (tries > 0) throw revoked;
    };
    const opening = openPage({ session, guard, signal: new AbortController().signal }, 'https://shop.example.com/', {
      leftMs: () => (tries > 1 ? 0 : 60_000),
    });
    expect(await opening.catch(String)).toBe('Error: revoked');
    expect(tries).toBe(1);
  });
});
