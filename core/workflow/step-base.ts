import { z } from 'zod';
import { FAILURES } from '../agent/failures.ts';
import { conditionSchema, fingerprintSchema, identitySchema, locatorSchema, patternSchema } from './elements.ts';

const riskSchema = z.enum(['reads', 'creates', 'changes']);
/** What a step does to the vendor's side, weakest first. */
export type Risk = z.infer<typeof riskSchema>;

const alternativeSchema = z.union([
  z.string().min(1),
  z.strictObject({
    intent: z.string().min(1),
    action: z.string().min(1),
    target: z.string().min(1),
    value: z.string().exactOptional(),
  }),
]);

/** A sight that settles at once that the step failed, and the sentence for it. */
const failsWhenSchema = z.strictObject({
  condition: conditionSchema,
  failure: z.enum(FAILURES),
  words: z.string().min(1),
});

/** What every step has. `order` to `alternatives` are the reference system's fields, in its order. */
export const stepBase = {
  order: z.int().min(1),
  /** The sentence that merchants read, with `{placeholders}`. */
  intent: z.string().min(1),
  expectedResult: z.string().min(1),
  /** Other ways, for people and for the rungs above replay. */
  alternatives: z.array(alternativeSchema),
  /** The permission of the operation type without which the step is refused. */
  permission: z.string().regex(/^[a-z][a-z0-9_]*$/),
  risk: riskSchema,
  /** Repeating it would leave something twice at the vendor's. */
  isMutating: z.boolean(),
  /** For locating, acting and checking together; cleared obstacles start it anew. */
  timeoutMs: z.int().min(100).max(120_000),
  failsWhen: z.array(failsWhenSchema),
};

/** What a step has that acts on an element: independent locators, best first, and the identities it was recorded with. */
export const elementBase = {
  ...stepBase,
  /** The CSS selector that the reference system would use; one of the locators. */
  target: z.string().min(1).exactOptional(),
  locators: z.array(locatorSchema).min(1),
  identities: z.array(identitySchema).min(1),
  /** Everything that was known of the element when it was recorded: what it is looked for by when no locator finds it. */
  fingerprint: fingerprintSchema.exactOptional(),
  /** Words by which an input tells this element from others, with placeholders: it is nothing that doesn't hold them all. */
  bound: z.array(z.string().min(1)).exactOptional(),
  /** Where it was recorded: the page's address with placeholders, and those of the frames around the element, outermost first. */
  place: z.strictObject({ page: z.string().min(1), frames: z.array(z.string()) }).exactOptional(),
};

/** Text that is typed or chosen: may hold `{placeholders}`, or be one `{secret:slot}`. */
export const valueSchema = z.string().min(1);

/** A field of a result: where it stands and what it must look like. */
const fieldSchema = z.strictObject({
  locators: z.array(locatorSchema).min(1),
  matches: patternSchema,
  /** As a step's: what it is looked for by when no locator finds it. */
  fingerprint: fingerprintSchema.exactOptional(),
});

export const resultNameSchema = z.string().regex(/^[a-z][a-z0-9_]*$/);

/** What a step brings back. */
export const resultSchema = z.strictObject({
  /** What is seen once the result is on the page. */
  ready: conditionSchema,
  /** The parts of the result by the names under which they are kept. */
  fields: z.record(resultNameSchema, fieldSchema),
});

/** Words for an operator and the audit trail: `#wp-submit`, or the role and name when no selector was recorded. */
export function elementWords(step: {
  readonly target?: string;
  readonly identities: readonly z.infer<typeof identitySchema>[];
}): string {
  const first = step.identities[0];
  return step.target ?? [first?.role ?? first?.tag, first?.name].filter((word) => word !== undefined).join(' ');
}
