import { CountersignError } from '../errors.ts';
import type { Condition, Locator } from '../ports/browser.ts';
import { BUILT_IN_VALUES, placeholdersIn, secretSlot } from './placeholders.ts';
import type { Risk } from './step-base.ts';
import { leastRisk, needsPage, type Step } from './steps/index.ts';
import type { Workflow } from './workflow.ts';

const RISKS: readonly Risk[] = ['reads', 'creates', 'changes'];

const RESULTS: readonly Step['kind'][] = ['extract', 'receive'];

export interface CheckOptions {
  /** A workflow that no operation uses may have an effect without a way to see afterwards whether it happened, or read without one. */
  readonly mayLackProbe?: boolean;
}

/**
 * Checks what a schema can't: that a workflow means something. @throws CountersignError `workflow_invalid` with every
 * problem, each with its workflow and step.
 */
export function checkWorkflows(workflows: readonly Workflow[], options: CheckOptions = {}): void {
  const problems = [...repeatedIds(workflows), ...workflows.flatMap((workflow) => problemsOf(workflow, options))];
  if (problems.length > 0) throw new CountersignError('workflow_invalid', `Invalid workflows: ${problems.join('; ')}`);
}

function repeatedIds(workflows: readonly Workflow[]): readonly string[] {
  const ids = workflows.flatMap(({ id, aliases }) => [id, ...aliases]);
  return ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `${id}: the id or alias is taken twice`);
}

function problemsOf(workflow: Workflow, { mayLackProbe = false }: CheckOptions): readonly string[] {
  const say = (problem: string) => `${workflow.id}: ${problem}`;
  const { steps, probe } = workflow;
  return [
    ...(steps.some((step, index) => step.order !== index + 1) ? ['the orders are not 1, 2, 3, …'] : []),
    ...steps.flatMap((step) => stepProblems(step, workflow).map((problem) => `step ${step.order}: ${problem}`)),
    // After a crash at another mutating step there is no way on: nothing of it is repeated. Of a result there is one intent.
    ...(steps.filter(({ kind }) => RESULTS.includes(kind)).length > 1 ? ['more than one step brings a result'] : []),
    ...(steps.some((step) => step.isMutating && step.kind !== 'receive') && probe === undefined && !mayLackProbe
      ? ['a mutating step needs a probe']
      : []),
    ...(mayLackProbe ? [] : repeatProblems(steps)),
    ...(mayLackProbe ? [] : readProblems(steps)),
    ...(probe === undefined ? [] : probeProblems(probe, workflow)),
    ...unknownPlaceholders(
      workflow.errorRecovery.flatMap(({ when }) => textsOfCondition(when)),
      workflow,
    ),
    ...cssPlaceholders(workflow.errorRecovery.flatMap(({ when }) => locatorsOfCondition(when))),
  ].map(say);
}

/** What comes after the result is done again from its beginning after a crash: it starts on a page of its own. */
function repeatProblems(steps: readonly Step[]): readonly string[] {
  const result = steps.findIndex(({ kind }) => RESULTS.includes(kind));
  const after = result < 0 ? [] : steps.slice(result + 1);
  const first = after.find(needsPage);
  return [
    ...after
      .filter(({ isMutating }) => isMutating)
      .map(({ order }) => `step ${order} comes after the result and can’t be repeated`),
    ...(first === undefined || first.kind === 'navigate'
      ? []
      : [`step ${first.order} is on a page that nothing opens`]),
  ];
}

/** What a step of an operation brings back becomes its stored key, so that it comes by an effect, whose intent is on record. */
function readProblems(steps: readonly Step[]): readonly string[] {
  const reading = steps.filter(({ kind }) => kind === 'read');
  return reading.map(({ order }) => `step ${order} reads a result without an effect, which no operation may keep`);
}

function stepProblems(step: Step, workflow: Workflow): readonly string[] {
  const locators = locatorsOf(step);
  const conditions = conditionsOf(step);
  const texts = [
    step.intent,
    ...step.failsWhen.map(({ words }) => words),
    ...('target' in step && step.kind === 'navigate' ? [step.target] : []),
    ...('value' in step && secretSlot(step.value) === undefined ? [step.value] : []),
    ...locators.flatMap(textsOfLocator),
    ...conditions.flatMap(textsOfCondition),
  ];
  return [
    ...unknownPlaceholders(texts, workflow),
    ...cssPlaceholders([...locators, ...conditions.flatMap(locatorsOfCondition)]),
    ...secretProblems(step, workflow),
    ...riskProblems(step),
    ...targetProblems(step),
  ];
}

function probeProblems(probe: NonNullable<Workflow['probe']>, workflow: Workflow): readonly string[] {
  const conditions = [probe.found, probe.complete];
  const texts = [...probe.looks.map(({ target }) => target), ...conditions.flatMap(textsOfCondition)];
  return [
    ...unknownPlaceholders(texts, workflow),
    ...cssPlaceholders(conditions.flatMap(locatorsOfCondition)),
    ...(textsOfCondition(probe.found).some((text) => placeholdersIn(text).includes('label'))
      ? []
      : ['the probe does not look for {label}']),
  ];
}

function secretProblems(step: Step, { secrets }: Workflow): readonly string[] {
  if (step.kind === 'extract') {
    const slots = Object.values(step.extract.entered ?? {});
    const isDeclared = (value: string) => secrets.includes(secretSlot(value) ?? '');
    return slots.filter((value) => !isDeclared(value)).map((value) => `${value} is no declared secret slot`);
  }
  if (!('value' in step)) return [];
  const slot = secretSlot(step.value);
  if (slot === undefined) return step.value.includes('{secret:') ? ['a secret slot stands alone in its value'] : [];
  if (step.kind !== 'fill') return ['only a fill step takes a secret'];
  return secrets.includes(slot) ? [] : [`the secret slot ${slot} is not declared`];
}

function riskProblems(step: Step): readonly string[] {
  const isBelow = RISKS.indexOf(step.risk) < RISKS.indexOf(leastRisk(step));
  return [
    ...(isBelow ? [`a step of kind ${step.kind} has at least the risk ${leastRisk(step)}`] : []),
    ...(step.isMutating && step.risk === 'reads' ? ['a mutating step does more than read'] : []),
    ...((step.kind === 'extract' || step.kind === 'receive') && !step.isMutating
      ? [`a step of kind ${step.kind} is mutating`]
      : []),
  ];
}

/** The reference system's selector must be one that replay tries, or the two would drift apart. */
function targetProblems(step: Step): readonly string[] {
  if (!('locators' in step) || step.target === undefined) return [];
  const isTried = step.locators.some((locator) => locator.by === 'css' && locator.selector === step.target);
  return isTried ? [] : [`the target ${step.target} is none of the locators`];
}

function unknownPlaceholders(texts: readonly string[], { inputs }: Workflow): readonly string[] {
  const known = new Set([...BUILT_IN_VALUES, ...inputs]);
  const unknown = new Set(texts.flatMap(placeholdersIn).filter((name) => !known.has(name)));
  return [...unknown].map((name) => `unknown placeholder {${name}}`);
}

/** A value in a selector would become syntax. */
function cssPlaceholders(locators: readonly Locator[]): readonly string[] {
  const selectors = locators.flatMap(selectorsOf).filter((selector) => placeholdersIn(selector).length > 0);
  return selectors.map((selector) => `a placeholder in the selector ${selector}`);
}

function locatorsOf(step: Step): readonly Locator[] {
  const own = 'locators' in step ? step.locators : [];
  const results = 'extract' in step ? Object.values(step.extract.fields) : [];
  return [...own, ...results.flatMap((field) => field.locators)];
}

function conditionsOf(step: Step): readonly Condition[] {
  return [
    ...step.failsWhen.map(({ condition }) => condition),
    ...('postcondition' in step ? [step.postcondition] : []),
    ...(step.kind === 'click' && step.doneWhen ? [step.doneWhen] : []),
    ...('extract' in step ? [step.extract.ready] : []),
  ];
}

function textsOfCondition(condition: Condition): readonly string[] {
  switch (condition.kind) {
    case 'url':
      return [condition.path ?? '', ...Object.values(condition.query ?? {})];
    case 'visible':
    case 'hidden':
    case 'checked':
      return textsOfLocator(condition.locator);
    case 'value':
      return [condition.equals ?? '', ...textsOfLocator(condition.locator)];
    case 'all':
    case 'any':
      return condition.of.flatMap(textsOfCondition);
  }
}

function locatorsOfCondition(condition: Condition): readonly Locator[] {
  if (condition.kind === 'all' || condition.kind === 'any') return condition.of.flatMap(locatorsOfCondition);
  return condition.kind === 'url' ? [] : [condition.locator];
}

function textsOfLocator(locator: Locator): readonly string[] {
  const own = locator.by === 'role' ? (locator.name ?? '') : locator.by === 'css' ? '' : locator.text;
  return [own, locator.hasText ?? '', ...(locator.within === undefined ? [] : textsOfLocator(locator.within))];
}

function selectorsOf(locator: Locator): readonly string[] {
  const own = locator.by === 'css' ? [locator.selector] : [];
  return [...own, ...(locator.within === undefined ? [] : selectorsOf(locator.within))];
}
