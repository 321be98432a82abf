import { Ajv2020 } from 'ajv/dist/2020.js';
import { z } from 'zod';
import type { MessagesBody } from './body.ts';
import { LEGACY_TOOLS, MEMBERS, takesToolsets } from './models.ts';
import { invalid, type Refusal } from './refusal.ts';

const CACHE = z.strictObject({ type: z.literal('ephemeral'), ttl: z.enum(['5m', '1h']).optional() }).nullish();
const CUSTOM = z.strictObject({
  type: z.literal('custom').optional(),
  name: z.string().regex(/^[a-zA-Z0-9_-]{1,128}$/),
  description: z.string().optional(),
  input_schema: z.looseObject({ type: z.literal('object') }),
  cache_control: CACHE,
});
const SIDE = z.int().positive();
const LEGACY = z.strictObject({
  type: z.string(),
  name: z.literal('computer'),
  display_width_px: SIDE,
  display_height_px: SIDE,
  display_number: z.int().nullish(),
  enable_zoom: z.boolean().nullish(),
  cache_control: CACHE,
});
const CONFIG = z.strictObject({ enabled: z.boolean().nullish(), defer_loading: z.boolean().nullish() }).nullish();
/** Neither a name, nor a size, nor `strict`, `input_examples` or `defer_loading` belong on the entry. */
const toolset = (family: keyof typeof MEMBERS) =>
  z.strictObject({
    type: z.literal(`${family}_toolset_20260801`),
    cache_control: CACHE,
    configs: z
      .strictObject(Object.fromEntries(MEMBERS[family].map((name) => [name, CONFIG])))
      .partial()
      .nullish(),
  });
const TOOLSETS = { browser: toolset('browser'), computer: toolset('computer') };

type Family = keyof typeof MEMBERS;
type Tools = NonNullable<MessagesBody['tools']>;

/** The families whose toolset is among the tools, once for each entry. */
function familiesOf(tools: Tools): readonly Family[] {
  return tools.flatMap(({ type }) => {
    const family = /^(browser|computer)_toolset_20260801$/.exec(type ?? '')?.[1];
    return family === 'browser' || family === 'computer' ? [family] : [];
  });
}

export function checkEntries({ tools = [] }: MessagesBody): Refusal | undefined {
  for (const [index, tool] of tools.entries()) {
    const type = tool.type ?? 'custom';
    const [family] = familiesOf([tool]);
    const shape = family ? TOOLSETS[family] : type === 'custom' ? CUSTOM : type in LEGACY_TOOLS ? LEGACY : undefined;
    if (!shape) return invalid(`tools.${index}: Input tag '${type}' does not match any of the expected tags`);
    const issue = shape.safeParse(tool).error?.issues[0];
    if (issue) return invalid(`tools.${index}.${type}.${issue.path.join('.')}: ${issue.message}`);
    if (type === 'custom' && !isJsonSchema(tool.input_schema))
      return invalid(`tools.${index}.custom.input_schema: JSON schema is invalid`);
  }
  return undefined;
}

export function checkFamilies({ tools = [] }: MessagesBody): Refusal | undefined {
  const families = familiesOf(tools);
  const twice = families.find((family, index) => families.indexOf(family) < index);
  return twice && invalid(`tools: at most one ${twice} toolset may be provided`);
}

export function checkNames({ tools = [] }: MessagesBody): Refusal | undefined {
  const names = tools.flatMap(({ name }) => (name === undefined ? [] : [name]));
  if (new Set(names).size < names.length) return invalid('tools: Tool names must be unique.');
  // The families' names are taken as soon as there is any toolset.
  const taken = familiesOf(tools).length > 0 && names.find((name) => name === 'browser' || name === 'computer');
  return taken ? invalid(`tools: the name '${taken}' is reserved by a toolset`) : undefined;
}

export function checkToolModels({ model, tools = [] }: MessagesBody): Refusal | undefined {
  for (const [index, { type = 'custom' }] of tools.entries()) {
    const isToolset = /_toolset_20260801$/.test(type);
    const isTaken = isToolset ? takesToolsets(model) : (LEGACY_TOOLS[type]?.models.test(model) ?? true);
    if (!isTaken) return invalid(`tools.${index}: '${type}' is not supported by ${model}`);
  }
  return undefined;
}

export function checkBetaTools({ tools = [] }: MessagesBody, betas: readonly string[]): Refusal | undefined {
  const missing = tools.find(({ type = '' }) => LEGACY_TOOLS[type] && !betas.includes(LEGACY_TOOLS[type].header));
  return (
    missing && invalid(`tools: '${missing.type}' needs the beta header ${LEGACY_TOOLS[missing.type ?? '']?.header}`)
  );
}

export function checkChoice({ tools, tool_choice }: MessagesBody): Refusal | undefined {
  if (!tool_choice) return undefined;
  if (!tools) return invalid('tool_choice: may only be specified while providing tools');
  if (tool_choice.type !== 'tool') return undefined;
  const isMember = familiesOf(tools).some((family) => MEMBERS[family].includes(tool_choice.name ?? ''));
  if (isMember) return invalid(`tool_choice: '${tool_choice.name}' is a member of a toolset and cannot be forced`);
  return tools.some(({ name }) => name === tool_choice.name)
    ? undefined
    : invalid(`tool_choice: there is no tool '${tool_choice.name}'`);
}

function isJsonSchema(schema: unknown): boolean {
  return (
    typeof schema === 'object' &&
    schema !== null &&
    new Ajv2020({ strict: false, validateFormats: false }).validateSchema(schema) === true
  );
}
