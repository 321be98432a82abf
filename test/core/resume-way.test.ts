import { describe, expect, test } from 'vitest';
import { opensItsPage, wayOn } from '../../core/operations/resume.ts';
import { createWorkflowRegistry } from '../../core/workflow/registry.ts';
import type { Step } from '../../core/workflow/steps/index.ts';
import type { Workflow } from '../../core/workflow/workflow.ts';

const real = createWorkflowRegistry().getDefinition('woocommerce_api_key_generation');

/** The workflow with some steps as another one might have them. */
function withSteps(changes: Readonly<Record<number, object>>): Workflow {
  const steps = real.steps.map((step) => ({ ...step, ...changes[step.order] }) as Step); // only fields that wayOn reads
  return { ...real, steps };
}

const doneUpTo = (last: number, begun?: 'running' | 'failed') =>
  new Map(
    real.steps.flatMap(({ order }): (readonly [number, string])[] =>
      order <= last ? [[order, 'done']] : order === last + 1 && begun ? [[order, begun]] : [],
    ),
  );

/** Orders of the sign-in, and of what comes after it. */
function way(workflow: Workflow, states: ReadonlyMap<number, string>) {
  const found = wayOn(workflow, states);
  return found && [found.signIn, found.rest].map((steps) => steps.map(({ order }) => order));
}

const SIGN_IN = [1, 2, 3, 4];

describe('the way on', () => {
  test.each([
    ['from the beginning', doneUpTo(0), [5, 6, 7, 8, 9, 10]],
    ['with a sign-in that was not over', doneUpTo(2, 'running'), [5, 6, 7, 8, 9, 10]],
    ['after the sign-in', doneUpTo(4), [5, 6, 7, 8, 9, 10]],
    ['in the middle of a form', doneUpTo(7, 'running'), [5, 6, 7, 8, 9, 10]],
    ['at the effect, whose intent tells the rest', doneUpTo(8, 'running'), [5, 6, 7, 8, 9, 10]],
  ])('%s goes over the page of the first step that is not done', (_, states, rest) => {
    expect(way(real, states)).toEqual([SIGN_IN, rest]);
  });

  test('begins with the last page that is opened by its address, and leaves out what came before', () => {
    const workflow = withSteps({ 7: { kind: 'navigate' } });
    expect(way(workflow, doneUpTo(7))).toEqual([SIGN_IN, [7, 8, 9, 10]]);
    expect(way(workflow, doneUpTo(6))).toEqual([SIGN_IN, [7, 8, 9, 10]]);
    expect(way(workflow, doneUpTo(5))).toEqual([SIGN_IN, [5, 6, 7, 8, 9, 10]]);
  });

  test('repeats nothing that changed something: it goes round it, or there is none', () => {
    const change = { risk: 'changes' };
    expect(way(withSteps({ 6: change }), doneUpTo(7))).toBeUndefined();
    expect(way(withSteps({ 6: change }), doneUpTo(5))).toEqual([SIGN_IN, [5, 6, 7, 8, 9, 10]]);
    expect(way(withSteps({ 6: change, 7: { kind: 'navigate' } }), doneUpTo(7))).toEqual([SIGN_IN, [7, 8, 9, 10]]);
  });

  test('is none where a step without an intent may have had its effect', () => {
    const workflow = withSteps({ 6: { risk: 'creates', isMutating: true } });
    expect(way(workflow, doneUpTo(5, 'running'))).toBeUndefined();
    expect(way(workflow, doneUpTo(5))).toEqual([SIGN_IN, [5, 6, 7, 8, 9, 10]]);
  });

  test('of several effects repeats none: only past all of them, on a page of its own, it goes on', () => {
    const shopify = createWorkflowRegistry().getDefinition('shopify_app_credentials');
    const effects = shopify.steps.filter(({ kind, isMutating }) => kind === 'click' && isMutating);
    expect(effects.map(({ order }) => order)).toEqual([9, 12, 16]);
    const states = (done: number, begun?: string) =>
      new Map(
        shopify.steps.flatMap(({ order }): (readonly [number, string])[] =>
          order <= done ? [[order, 'done']] : order === done + 1 && begun ? [[order, begun]] : [],
        ),
      );
    const restOf = (found: ReturnType<typeof wayOn>) => found?.rest[0]?.order;
    expect(restOf(wayOn(shopify, states(8)))).toBe(6);
    for (const { order } of effects) expect(wayOn(shopify, states(order - 1, 'running'))).toBeUndefined();
    for (let done = 9; done < 16; done++) expect(wayOn(shopify, states(done))).toBeUndefined();
    for (let done = 16; done < 20; done++) expect(restOf(wayOn(shopify, states(done)))).toBe(17);
  });

  test('needs a sign-in of its own where nothing opens a page after it', () => {
    const found = wayOn(withSteps({ 5: { kind: 'expect' } }), doneUpTo(6));
    expect(found && opensItsPage(found)).toBe(false);
    expect(found?.rest[0]?.order).toBe(5);
  });
});
