import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { z } from 'zod';
import { partsOf } from './reading.ts';

/** adaptivecards.io's own schema, 1.5.0. */
const SCHEMA = join(import.meta.dirname, 'adaptive-card.schema.json');
/** learn.microsoft.com: the smallest figure that any page of Microsoft's gives for a message. */
const MOST_BYTES = 28 * 1024;

const refreshed = z.object({
  refresh: z
    .object({
      action: z.object({ type: z.literal('Action.Execute'), verb: z.string().min(1) }),
      userIds: z.array(z.string()).min(1).max(60),
    })
    .optional(),
});

let compiled: ValidateFunction | undefined;
function schema(): ValidateFunction {
  if (compiled) return compiled;
  const ajv = new Ajv({ strict: false, validateFormats: false });
  ajv.addMetaSchema(createRequire(import.meta.url)('ajv/dist/refs/json-schema-draft-06.json'));
  compiled = ajv.compile(JSON.parse(readFileSync(SCHEMA, 'utf8')));
  return compiled;
}

/** What Teams adds to the standard, which its schema refuses. */
function withoutTeams(card: unknown): unknown {
  return JSON.parse(JSON.stringify(card), (key, value) =>
    key === 'msteams' || key === 'msTeams' || key === 'choices.data' ? undefined : value,
  );
}

/** Everything that is wrong with a card, in words. */
export function problemsOf(card: unknown): readonly string[] {
  const validate = schema();
  const bytes = Buffer.byteLength(JSON.stringify(card));
  const parts = partsOf(card);
  const ids = parts.flatMap(({ id, type }) => (typeof id === 'string' && type !== undefined ? [id] : []));
  const rows = parts.flatMap(({ type, actions }) =>
    type === 'ActionSet' && Array.isArray(actions) ? [actions.length] : [],
  );
  return [
    ...(refreshed.safeParse(card).success ? [] : ['views that nobody can ask for']),
    ...(bytes > MOST_BYTES ? [`${bytes} bytes`] : []),
    ...(!validate(withoutTeams(card)) ? [JSON.stringify(validate.errors?.slice(0, 3))] : []),
    ...parts.filter(({ type, verb }) => type === 'Action.Execute' && !verb).map(() => 'an Execute without a verb'),
    ...parts.filter(({ type, url }) => type === 'Image' && !url).map(() => 'an Image without an address'),
    ...parts.filter(({ style, type }) => type === 'Input.Text' && style === 'Password').map(() => 'a secret input'),
    ...parts
      .filter(({ type, isRequired, errorMessage }) => type?.startsWith('Input.') && isRequired && !errorMessage)
      .map(() => 'a required input that does not say what is missing'),
    ...(new Set(ids).size < ids.length ? ['two elements with one id'] : []),
    ...rows.filter((count) => count === 0 || count > 6).map((count) => `${count} buttons in a row`),
  ];
}
