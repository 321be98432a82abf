import { z } from 'zod';
import { FAILURES } from '../agent/failures.ts';
import { conditionSchema, locatorSchema } from './elements.ts';
import { ADDRESS_START } from './placeholders.ts';
import { stepSchema } from './steps/index.ts';

const slug = z.string().regex(/^[a-z][a-z0-9_-]*$/);
const words = z.string().min(1);

/**
 * What clears an obstacle: a click on its own button, the step's own address once more (navigate steps alone), a person's
 * one-time code; or nothing does, and the step fails with these words.
 */
const obstacleActionSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('click'), locators: z.array(locatorSchema).min(1) }),
  z.strictObject({ kind: z.literal('reopen') }),
  z.strictObject({
    kind: z.literal('code'),
    field: z.array(locatorSchema).min(1),
    submit: z.array(locatorSchema).min(1),
    /** What shows when the code was not taken. */
    refused: conditionSchema,
  }),
  z.strictObject({ kind: z.literal('give_up'), failure: z.enum(FAILURES), words }),
]);

const obstacleSchema = z
  .strictObject({
    id: slug,
    when: conditionSchema,
    /** What is done about it, as a sentence. */
    intent: words,
    steps: z.array(obstacleActionSchema).min(1),
    /**
     * It may also come between the click of the one effect and what that makes, as a code does that a vendor asks for before
     * it makes a key: only a person's code passes it there.
     */
    amidEffect: z.boolean().exactOptional(),
  })
  .refine(({ amidEffect, steps }) => !amidEffect || steps.every(({ kind }) => kind === 'code'), {
    error: 'only a code is given in the middle of an effect',
  });
/** A page that is known to come in between, and how it is passed. */
export type Obstacle = z.infer<typeof obstacleSchema>;

const lookSchema = z.strictObject({
  target: z.string().regex(ADDRESS_START),
  timeoutMs: z.int().min(100).max(120_000),
});

const probeSchema = z.strictObject({
  permission: slug,
  /** Addresses that list what exists; each is one look, and the label must be absent in all of them. */
  looks: z.array(lookSchema).min(2),
  /** The label is on the list. */
  found: conditionSchema,
  /** The list is shown whole, so that a missing label means something. */
  complete: conditionSchema,
});

const provenanceSchema = z.strictObject({
  /** `hand`: written down from what was seen; `recorded`: by the recorder from a spec. */
  source: z.enum(['hand', 'recorded']),
  spec: z.strictObject({ file: words, line: z.int().min(1), commit: words, contentHash: words }).exactOptional(),
  recorderVersion: words.exactOptional(),
  recordedOn: z.iso.date(),
  /** The version of the vendor's pages. */
  vendorVersion: words,
});

const workflowSchema = z.strictObject({
  id: slug,
  aliases: z.array(slug),
  name: words,
  intent: words,
  /** Raised by every change of what a run does; standing grants are void then. */
  version: z.int().min(1),
  service: slug,
  /** Value slots beyond `base`, `basePath` and `label`. */
  inputs: z.array(z.string()),
  /** Sign-in secrets that fill steps open. */
  secrets: z.array(z.string()),
  preconditions: z.array(words),
  steps: z.array(stepSchema).min(1),
  postconditions: z.array(words),
  successIndicators: z.array(words),
  errorRecovery: z.array(obstacleSchema),
  /** How to see, by reading alone, whether the one effect happened; needed by a workflow that has one. */
  probe: probeSchema.exactOptional(),
  provenance: provenanceSchema,
});
/** Ordered steps that achieve an operation type. */
export type Workflow = z.infer<typeof workflowSchema>;

const uiElementSchema = z.strictObject({
  selector: words,
  semanticName: words,
  purpose: words,
  usedInWorkflows: z.array(slug),
  interactionType: words,
});
const apiEndpointSchema = z.strictObject({
  endpoint: words,
  purpose: words,
  usedInWorkflows: z.array(slug),
  expectedResponseTime: words.exactOptional(),
});
const commonPatternSchema = z.strictObject({
  name: words,
  description: words,
  example: words,
  frequency: z.int().min(0),
});

/** AGENT_KNOWLEDGE_BASE.json, the overlay already merged in. */
export const knowledgeBaseSchema = z.strictObject({
  workflows: z.array(workflowSchema),
  uiCatalog: z.array(uiElementSchema),
  apiReference: z.array(apiEndpointSchema),
  commonPatterns: z.array(commonPatternSchema),
  generatedAt: z.iso.datetime(),
});
export type KnowledgeBase = z.infer<typeof knowledgeBaseSchema>;
