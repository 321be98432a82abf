import type { ElementIdentity, Fingerprint, Locator } from '../ports/browser.ts';
import { fillFingerprint, fillLocator, fillText, type Values } from './placeholders.ts';
import type { Workflow } from './workflow.ts';

/** An element that a workflow knows by more than its locators: a step's own, or where a field of its result stands. */
export interface KnownElement {
  /** The step's order. */
  readonly step: number;
  /** The result's field; absent for the step's own element. */
  readonly field?: string;
  readonly locators: readonly Locator[];
  readonly fingerprint: Fingerprint;
  /** As the step's. */
  readonly bound?: readonly string[];
}

/** What a known element had become on one customer's target when a step last went well with it. */
export interface Proposal extends ElementIdentityAndLocators {
  readonly id: string;
  readonly step: number;
  readonly field?: string;
}

/** What an admin of the customer said of a proposal's element: that this is not it. Nothing takes it for that, however alike it is. */
export interface Discarded extends ElementIdentityAndLocators {
  readonly field?: string;
  readonly fingerprint?: Fingerprint;
}

interface ElementIdentityAndLocators {
  readonly identity: ElementIdentity;
  readonly locators: readonly Locator[];
}

/** Every element that was recorded with its fingerprint. */
export function knownElements({ steps }: Pick<Workflow, 'steps'>): readonly KnownElement[] {
  return steps.flatMap((step) => {
    const { order } = step;
    const { locators = [], fingerprint, bound } = 'locators' in step ? step : {};
    const own =
      fingerprint === undefined
        ? []
        : [{ step: order, locators, fingerprint, ...(bound === undefined ? {} : { bound }) }];
    if (!('extract' in step)) return own;
    const fields = Object.entries(step.extract.fields).flatMap(([field, { locators: at, fingerprint: print }]) =>
      print === undefined ? [] : [{ step: order, field, locators: at, fingerprint: print }],
    );
    return [...own, ...fields];
  });
}

export function fillKnown(known: readonly KnownElement[], values: Values): readonly KnownElement[] {
  return known.map(({ locators, fingerprint, bound, ...one }) => ({
    ...one,
    locators: locators.map((locator) => fillLocator(locator, values)),
    fingerprint: bound === undefined ? fingerprint : fillFingerprint(fingerprint, values),
    ...(bound === undefined ? {} : { bound: bound.map((text) => fillText(text, values)) }),
  }));
}
