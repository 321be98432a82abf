import { z } from 'zod';
import { fingerprintSchema, identitySchema, locatorSchema } from './elements.ts';

/** Raised when what is recorded changes its meaning. */
export const RECORDER_VERSION = '1';

/** An element as it was just before it was used. */
const lookSchema = z.strictObject({
  /** Each finds exactly this element among all that is on the page; best first. Empty: none does. */
  locators: z.array(locatorSchema),
  /** The first of them is the spec's own. */
  hasOwn: z.boolean(),
  identity: identitySchema,
  fingerprint: fingerprintSchema,
  /** As the spec finds it, in Playwright's words. */
  code: z.string(),
  /** Addresses of the embedded frames around it, outermost first. */
  frames: z.array(z.string()),
  isVisible: z.boolean(),
});
export type Look = z.infer<typeof lookSchema>;

/** The page at one moment. */
const stateSchema = z.strictObject({
  url: z.string(),
  /** Headings, alerts and dialogs in sight: what tells a page from the one before. */
  sights: z.array(z.strictObject({ role: z.string(), name: z.string() })),
  /** The element of the action before has left the page, or is hidden now. */
  isLastGone: z.boolean(),
});
export type PageSight = z.infer<typeof stateSchema>;

const moment = {
  /** Titles of the enclosing `test.step`, outermost first. */
  steps: z.array(z.string()),
  before: stateSchema,
  /** Which of the test's pages it was on, in the order in which they were used; the first when absent. */
  window: z.int().exactOptional(),
};

const eventSchema = z.discriminatedUnion('kind', [
  z.strictObject({ ...moment, kind: z.literal('navigate'), url: z.string() }),
  z.strictObject({
    ...moment,
    kind: z.literal('act'),
    action: z.enum(['click', 'fill', 'select', 'check', 'press']),
    /** What is typed or chosen, or the key. */
    value: z.string().exactOptional(),
    isChecked: z.boolean().exactOptional(),
    /** What the field holds after it. */
    valueAfter: z.string().exactOptional(),
    look: lookSchema,
    /** A request that is no mere reading followed it. */
    hasSent: z.boolean(),
  }),
  z.strictObject({
    ...moment,
    kind: z.literal('result'),
    name: z.string(),
    pattern: z.string(),
    look: lookSchema,
  }),
  z.strictObject({
    ...moment,
    kind: z.literal('expect'),
    claim: z.enum(['visible', 'hidden', 'text', 'value', 'url']),
    text: z.string().exactOptional(),
    look: lookSchema.exactOptional(),
    /** Of what is expected to be hidden. */
    locators: z.array(locatorSchema).exactOptional(),
  }),
  /** Something that no step can replay. */
  z.strictObject({ ...moment, kind: z.literal('unsupported'), what: z.string(), isHarmless: z.boolean() }),
]);
export type RecordedEvent = z.infer<typeof eventSchema>;

const named = z.strictObject({ name: z.string(), value: z.string() });

/**
 * What one test did. It holds secrets in the clear, so it is handed over in memory and never written down: `draftOf`
 * turns it into a workflow that holds none.
 */
export const recordingSchema = z.strictObject({
  file: z.string(),
  line: z.int(),
  /** Of the test and what it is nested in, without the file. */
  titles: z.array(z.string()),
  annotations: z.array(z.strictObject({ type: z.string(), description: z.string() })),
  status: z.enum(['passed', 'failed', 'timedOut', 'interrupted', 'skipped']),
  /** Without secrets. */
  errors: z.array(z.string()),
  /** The address of the site, without a slash at the end; absent when no page was opened. */
  base: z.string().exactOptional(),
  inputs: z.array(named),
  secrets: z.array(named),
  results: z.array(named),
  events: z.array(eventSchema),
  final: stateSchema.exactOptional(),
  /** `GET /path` of the calls that pages made in the background. */
  calls: z.array(z.string()),
  /** `<meta name="generator">` of the pages. */
  generators: z.array(z.string()),
});
export type Recording = z.infer<typeof recordingSchema>;

/** What the test says of itself by an annotation. */
export function annotation({ annotations }: Recording, type: string): string | undefined {
  return annotations.findLast((one) => one.type === type && one.description !== '')?.description;
}

/** What came of running a spec; `output` is what Playwright's runner said, for an operator. */
export interface Recorded {
  readonly recordings: readonly Recording[];
  readonly output: string;
  readonly exitCode: number;
}
