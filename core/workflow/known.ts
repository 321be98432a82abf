import type { ElementIdentity, Fingerprint, Locator } from '../ports/browser.ts';
import { fillLocator, type Values } from './placeholders.ts';
import type { Workflow } from './workflow.ts';

/** An element that a workflow knows by more than its locators: a step's own, or where a field of its result stands. */
export interface KnownElement {
  /** The step's order. */
  readonly step: number;
  /** The result's field; absent for the step's own element. */
  readonly field?: string;
  readonly locators: readonly Locator[];
  readonly fingerprint: Fingerprint;
}

/** What a known element had become on one customer's target when a step last went well with it. */
export interface Proposal extends ElementIdentityAndLocators {
  readonly id: string;
  readonly step: number;
  readonly field?: string;
}

interface ElementIdentityAndLocators {
  readonly identity: ElementIdentity;
  readonly locators: readonly Locator[];
}

/** Every element that was recorded with its fingerprint. */
export function knownElements({ steps }: Pick<Workflow, 'steps'>): readonly KnownElement[] {
  return steps.flatMap((step) => {
    if (!('locators' in step)) return [];
    const { order, locators, fingerprint } = step;
    const own = fingerprint === undefined ? [] : [{ step: order, locators, fingerprint }];
    if (step.kind !== 'extract') return own;
    const fields = Object.entries(step.extract.fields).flatMap(([field, { locators: at, fingerprint: print }]) =>
      print === undefined ? [] : [{ step: order, field, locators: at, fingerprint: print }],
    );
    return [...own, ...fields];
  });
}

export function fillKnown(known: readonly KnownElement[], values: Values): readonly KnownElement[] {
  return known.map((one) => ({ ...one, locators: one.locators.map((locator) => fillLocator(locator, values)) }));
}
