import { z } from 'zod';
import type { Ending, Stage } from '../../agent/stage.ts';
import {
  fillCondition,
  fillFingerprint,
  fillLocator,
  fillText,
  fillUrl,
  secretSlot,
  type Values,
} from '../placeholders.ts';
import * as check from './check.ts';
import * as click from './click.ts';
import * as ended from './ended.ts';
import * as expect from './expect.ts';
import * as extract from './extract.ts';
import * as fill from './fill.ts';
import type { StepKindDefinition } from './kind.ts';
import * as navigate from './navigate.ts';
import * as press from './press.ts';
import * as read from './read.ts';
import * as receive from './receive.ts';
import * as replace from './replace.ts';
import * as revoke from './revoke.ts';
import * as select from './select.ts';
import * as verify from './verify.ts';

export const stepSchema = z.discriminatedUnion('kind', [
  navigate.schema,
  click.schema,
  fill.schema,
  select.schema,
  check.schema,
  press.schema,
  expect.schema,
  extract.schema,
  read.schema,
  receive.schema,
  verify.schema,
  replace.schema,
  revoke.schema,
  ended.schema,
]);
export type Step = z.infer<typeof stepSchema>;
type StepKind = Step['kind'];
type ExtractPart = z.infer<typeof extract.schema>['extract'];

/** One line a step kind. */
const stepKinds = {
  ...{ navigate, click, fill, select, check, press, expect, extract, read },
  ...{ receive, verify, replace, revoke, ended },
} satisfies { [K in StepKind]: StepKindDefinition<Extract<Step, { kind: K }>> };

const WITHOUT_PAGE: readonly StepKind[] = ['receive', 'verify', 'replace', 'revoke', 'ended'];

/** Whether it works in a browser's page. */
export function needsPage({ kind }: Step): boolean {
  return !WITHOUT_PAGE.includes(kind);
}

/** Whether what it does can't be taken back, so that it is done only where there is no doubt what is acted on. */
export function isIrrevocable({ isMutating, risk }: Step): boolean {
  return isMutating || risk === 'changes';
}

/** The step for the audit trail, such as `fill #user_pass with {secret:admin_password}`; never a value. */
export function describeStep(step: Step): string {
  return definitionOf(step).describe(step);
}

/** Runs a step whose placeholders are filled. */
export function runKind(stage: Stage): Promise<Ending> {
  return definitionOf(stage.step).run(stage.step, stage);
}

/** The least risk that a step of this kind carries. */
export function leastRisk(step: Step): StepKindDefinition<Step>['risk'] {
  return definitionOf(step).risk;
}

/** Fills every placeholder of a step, except `{secret:…}`, which only the fill itself opens. */
export function fillStep(step: Step, values: Values): Step {
  const filled: Record<string, unknown> = {
    ...step,
    intent: fillText(step.intent, values),
    failsWhen: step.failsWhen.map((fails) => ({
      ...fails,
      condition: fillCondition(fails.condition, values),
      words: fillText(fails.words, values),
    })),
  };
  if (step.kind === 'navigate') filled.target = fillUrl(step.target, values);
  if ('value' in step) filled.value = secretSlot(step.value) === undefined ? fillText(step.value, values) : step.value;
  if ('postcondition' in step) filled.postcondition = fillCondition(step.postcondition, values);
  if (step.kind === 'click' && step.doneWhen) filled.doneWhen = fillCondition(step.doneWhen, values);
  if ('locators' in step) filled.locators = step.locators.map((locator) => fillLocator(locator, values));
  if ('bound' in step && step.bound !== undefined) {
    filled.identities = step.identities.map(({ name, ...identity }) =>
      name === undefined ? identity : { ...identity, name: fillText(name, values) },
    );
    filled.bound = step.bound.map((text) => fillText(text, values));
    filled.fingerprint = step.fingerprint && fillFingerprint(step.fingerprint, values);
  }
  if (step.kind === 'extract' || step.kind === 'read') filled.extract = fillExtract(step.extract, values);
  return filled as Step; // each field was replaced by one of the same shape
}

function fillExtract({ ready, fields, ...rest }: ExtractPart, values: Values): ExtractPart {
  const filled = Object.entries(fields).map(([name, field]) => {
    const locators = field.locators.map((locator) => fillLocator(locator, values));
    return [name, { ...field, locators }];
  });
  return { ...rest, ready: fillCondition(ready, values), fields: Object.fromEntries(filled) };
}

function definitionOf(step: Step): StepKindDefinition<Step> {
  // The registry pairs each kind with the definition for exactly its steps, which TypeScript can't follow by an index.
  return stepKinds[step.kind] as unknown as StepKindDefinition<Step>;
}
