import { z } from 'zod';
import type { Condition, ElementIdentity, Fingerprint, Locator } from '../ports/browser.ts';

const text = z.string().min(1);

/** A regular expression without flags that must match the whole text; the knowledge base is refused when it doesn't compile. */
export const patternSchema = text.refine(compiles, 'not a regular expression');

/** The port's `Locator`, read from JSON. */
export const locatorSchema: z.ZodType<Locator> = z.lazy(() => {
  const within = locatorSchema.exactOptional();
  const exact = z.boolean().exactOptional();
  const narrowing = { within, hasText: text.exactOptional(), nth: z.int().min(-1).exactOptional() };
  return z.discriminatedUnion('by', [
    z.strictObject({ by: z.literal('role'), role: text, name: text.exactOptional(), exact, ...narrowing }),
    z.strictObject({ by: z.literal('label'), text, exact, ...narrowing }),
    z.strictObject({ by: z.literal('placeholder'), text, exact, ...narrowing }),
    z.strictObject({ by: z.literal('text'), text, exact, ...narrowing }),
    z.strictObject({ by: z.literal('css'), selector: text, ...narrowing }),
  ]);
});

/** The port's `Condition`, read from JSON. */
export const conditionSchema: z.ZodType<Condition> = z.lazy(() => {
  const of = z.array(conditionSchema).min(1);
  return z.discriminatedUnion('kind', [
    z
      .strictObject({
        kind: z.literal('url'),
        path: text.exactOptional(),
        query: z.record(text, z.string()).exactOptional(),
      })
      .refine((url) => url.path !== undefined || url.query !== undefined, 'a url condition needs a path or a query'),
    z.strictObject({ kind: z.literal('visible'), locator: locatorSchema }),
    z.strictObject({ kind: z.literal('hidden'), locator: locatorSchema }),
    z
      .strictObject({
        kind: z.literal('value'),
        locator: locatorSchema,
        equals: z.string().exactOptional(),
        matches: patternSchema.exactOptional(),
      })
      .refine(
        (value) => value.equals !== undefined || value.matches !== undefined,
        'a value condition compares nothing',
      ),
    z.strictObject({ kind: z.literal('checked'), locator: locatorSchema, is: z.boolean() }),
    z.strictObject({ kind: z.literal('all'), of }),
    z.strictObject({ kind: z.literal('any'), of }),
  ]);
});

/** A recorded identity: like the port's, but a name that varies with its tooltip may be given as a pattern. */
export const identitySchema = z.strictObject({
  tag: text,
  type: text.exactOptional(),
  role: text.exactOptional(),
  name: text.exactOptional(),
  nameMatches: patternSchema.exactOptional(),
});
export type RecordedIdentity = z.infer<typeof identitySchema>;

const number = z.number();

/** The port's `Fingerprint`, read from JSON. */
export const fingerprintSchema: z.ZodType<Fingerprint> = z.strictObject({
  tag: text,
  type: text.exactOptional(),
  role: text.exactOptional(),
  name: text.exactOptional(),
  text: text.exactOptional(),
  id: text.exactOptional(),
  testId: text.exactOptional(),
  fieldName: text.exactOptional(),
  placeholder: text.exactOptional(),
  title: text.exactOptional(),
  alt: text.exactOptional(),
  group: text.exactOptional(),
  href: text.exactOptional(),
  classes: z.array(text).exactOptional(),
  neighbours: z.array(text).exactOptional(),
  path: z.array(text).exactOptional(),
  box: z.strictObject({ x: number, y: number, width: number, height: number }).exactOptional(),
});

/**
 * Whether a found element is the recorded one: tag, and type, role and name where they were recorded. Names are compared
 * with white space folded and without case. What was recorded but isn't known of the found element counts as different.
 */
export function isSameElement(recorded: RecordedIdentity, found: ElementIdentity): boolean {
  const name = fold(found.name ?? '');
  return (
    recorded.tag.toLowerCase() === found.tag.toLowerCase() &&
    (recorded.type === undefined || recorded.type === found.type) &&
    (recorded.role === undefined || recorded.role === found.role) &&
    (recorded.name === undefined || fold(recorded.name).toLowerCase() === name.toLowerCase()) &&
    (recorded.nameMatches === undefined || wholePattern(recorded.nameMatches).test(name))
  );
}

/** Compiles a pattern so that it must match the whole text, whatever anchors it brings. */
export function wholePattern(pattern: string): RegExp {
  return new RegExp(`^(?:${pattern})$`);
}

function fold(name: string): string {
  return name.replace(/\s+/g, ' ').trim();
}

function compiles(pattern: string): boolean {
  try {
    new RegExp(pattern);
    return true;
  } catch {
    return false;
  }
}
