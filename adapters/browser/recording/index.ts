import * as playwrightTest from 'playwright/test';
import { CountersignError } from '../../../core/errors.ts';
import { redact } from '../../../core/redaction.ts';
import { Secret } from '../../../core/secret.ts';
import { LONGEST_TEXT, liveText } from '../in-page.ts';
import { watchExpect } from './expect.ts';
import { lookAt } from './look.ts';
import { currentTape, endTape, inStep, recordingSink, type Tape } from './tape.ts';
import { watch } from './watch.ts';

const NAME = /^[a-z][A-Za-z0-9_]*$/;
const SLOT = /^[a-z][a-z0-9_]*$/;
const RESULT_MS = 15_000;
const ANYTHING = /[\s\S]+/;

/**
 * What a spec types or chooses and a run may type or choose otherwise: recorded as `{name}`. `label` is the unique name
 * that a run gives to what it makes. @returns the value, unchanged.
 */
export function input(name: string, value: string): string {
  demand(NAME, name, 'an input');
  currentTape()?.inputs.set(name, String(value));
  return value;
}

/** What a run opens from the vault: recorded as `{secret:slot}`, the value nowhere. @returns the value, unchanged. */
export function secret(slot: string, value: string): string {
  demand(SLOT, slot, 'a secret');
  if (value === '') throw new CountersignError('workflow_invalid', `The secret ${slot} is empty.`);
  currentTape()?.secrets.set(slot, String(value));
  return value;
}

/**
 * What a run brings back: the value of a field or the text of an element, which must match the pattern as a whole.
 * Waits until it does. @returns it.
 */
export async function result(
  name: string,
  locator: playwrightTest.Locator,
  pattern: RegExp = ANYTHING,
): Promise<string> {
  demand(SLOT, name, 'a result');
  if (pattern.flags.replace('u', '') !== '')
    throw new CountersignError(
      'workflow_invalid',
      `The pattern of the result ${name} has flags, which are not replayed.`,
    );
  const whole = new RegExp(`^(?:${pattern.source})$`);
  let value = '';
  await playwrightTest.expect
    .poll(
      async () => {
        value = await locator.evaluate(liveText, LONGEST_TEXT, { timeout: RESULT_MS });
        return whole.test(value);
      },
      { message: `the result ${name} matches its pattern`, timeout: RESULT_MS },
    )
    .toBe(true);
  const tape = currentTape();
  const element = tape && (await locator.elementHandle());
  if (!tape || !element) return value;
  tape.results.set(name, value);
  const page = locator.page();
  const look = await lookAt(element, locator, { origins: tape.origins(page), hiddenIsFine: true });
  if (look) await tape.add(page, { kind: 'result', name, pattern: pattern.source, look });
  return value;
}

function demand(pattern: RegExp, name: string, what: string): void {
  if (!pattern.test(name))
    throw new CountersignError('workflow_invalid', `“${name}” is no name for ${what}: letters, digits and _ only.`);
}

type Test = typeof playwrightTest.test;

/** Playwright's own `test`: what its tests do is recorded when `workflow record` runs them, and nothing else differs. */
export const test: Test =
  recordingSink() === undefined
    ? playwrightTest.test
    : watchSteps(
        playwrightTest.test.extend<{ recorded: undefined }, { watched: undefined }>({
          watched: [
            async ({ browser }, use) => {
              await watch(browser);
              await use(undefined);
            },
            { scope: 'worker', auto: true },
          ],
          // It asks for the page so that it ends before the page does, and can look at what the test ended with.
          recorded: [
            async ({ page: _, baseURL }, use, info) => {
              const tape = currentTape();
              if (tape && baseURL) tape.base = baseURL.replace(/\/+$/, '');
              try {
                await use(undefined);
              } finally {
                if (tape) await send(tape, info);
                endTape();
              }
            },
            { auto: true },
          ],
        }) as unknown as Test, // the two fixtures are nobody's business
      );

/** Titles of `test.step` name what happens inside; a `test` that is extended has the same. */
function watchSteps(given: Test): Test {
  const step = given.step.bind(given);
  const watched = Object.assign(
    (title: string, body: Parameters<typeof step>[1], options?: Parameters<typeof step>[2]) =>
      step(title, (info) => inStep(title, () => body(info)), options),
    { skip: given.step.skip.bind(given) },
  );
  const extend = given.extend.bind(given) as (fixtures: object) => Test; // what it returns is a test, whatever the fixtures
  return Object.assign(given, { step: watched, extend: (fixtures: object) => watchSteps(extend(fixtures)) }) as Test;
}

export const expect: typeof playwrightTest.expect = watchExpect(playwrightTest.expect);

async function send(tape: Tape, info: playwrightTest.TestInfo): Promise<void> {
  const sink = recordingSink();
  if (sink === undefined) return;
  const secrets = [...tape.secrets.values(), ...tape.results.values()].map((value) => new Secret(value));
  const annotations = info.annotations.flatMap(({ type, description }) =>
    description === undefined ? [] : [{ type, description }],
  );
  const recording = tape.handOver(
    {
      file: info.file,
      line: info.line,
      titles: info.titlePath.slice(1),
      annotations,
      status: info.status ?? 'failed',
      errors: info.errors.map(({ message }) => redact(plain(message ?? 'unknown'), secrets)),
    },
    await tape.final(),
  );
  const answer = await fetch(sink, { method: 'POST', body: JSON.stringify(recording) });
  if (!answer.ok) throw new CountersignError('workflow_invalid', 'What the test did could not be recorded.');
}

/** Without the colours of a terminal. */
function plain(message: string): string {
  return message.replace(new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g'), '');
}

export { devices, request, selectors } from 'playwright/test';
export default test;
