import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { partsOf } from './reading.ts';

/** adaptivecards.io's own schema, 1.5.0, where it lies beside the project. */
const SCHEMA = join(import.meta.dirname, '..', '..', '..', '..', 'shared', 'data', 'adaptive-card.schema.1.5.0.json');
export const hasCardSchema = existsSync(SCHEMA);
/** learn.microsoft.com: the smallest figure that any page of Microsoft's gives for a message. */
const MOST_BYTES = 28 * 1024;

let compiled: ValidateFunction | undefined;
function schema(): ValidateFunction | undefined {
  if (!hasCardSchema) return undefined;
  if (compiled) return compiled;
  const { id: _, ...given } = JSON.parse(readFileSync(SCHEMA, 'utf8'));
  const ajv = new Ajv({ strict: false, validateFormats: false });
  ajv.addMetaSchema(createRequire(import.meta.url)('ajv/dist/refs/json-schema-draft-06.json'));
  compiled = ajv.compile(given);
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
    ...(bytes > MOST_BYTES ? [`${bytes} bytes`] : []),
    ...(validate && !validate(withoutTeams(card)) ? [JSON.stringify(validate.errors?.slice(0, 3))] : []),
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
