import fc from 'fast-check';

type Schema = Readonly<Record<string, unknown>>;

export interface About {
  /** What a `$ref` leads to. */
  readonly components: Readonly<Record<string, Schema>>;
  /** Texts that mean something there, such as ids: taken where the schema allows them. */
  readonly known: readonly string[];
  /** Now and then a value that the schema does not allow. */
  readonly isWild?: boolean;
}

/** Values that a JSON Schema of the kinds that zod writes allows. */
export function valuesOf(schema: Schema, about: About): fc.Arbitrary<unknown> {
  const right = rightValues(schema, about);
  return about.isWild ? fc.oneof({ weight: 6, arbitrary: right }, { weight: 1, arbitrary: fc.jsonValue() }) : right;
}

function rightValues(schema: Schema, about: About): fc.Arbitrary<unknown> {
  const { $ref, const: constant, enum: values, type } = schema;
  const inner = (next: unknown) => valuesOf(next as Schema, about); // what a schema holds is schemas
  if (typeof $ref === 'string') return inner(about.components[$ref.split('/').at(-1) ?? ''] ?? {});
  if (constant !== undefined) return fc.constant(constant);
  if (Array.isArray(values)) return fc.constantFrom(...values);
  const either = schema.oneOf ?? schema.anyOf;
  if (Array.isArray(either)) return fc.oneof(...either.map(inner));
  switch (type) {
    case 'string':
      return strings(schema, about);
    case 'integer':
    case 'number':
      return fc.integer({ min: Number(schema.minimum ?? 0), max: Number(schema.maximum ?? 1000) });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(inner(schema.items ?? {}), { minLength: Number(schema.minItems ?? 0), maxLength: 3 });
    case 'object':
      return objects(schema, inner);
    default:
      return fc.jsonValue();
  }
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function strings({ pattern, format, minLength, maxLength }: Schema, { known, isWild }: About): fc.Arbitrary<string> {
  const lengths = { minLength: Number(minLength ?? 0), maxLength: Math.min(Number(maxLength ?? 40), 40) };
  const shape = format === 'uuid' ? UUID : typeof pattern === 'string' ? new RegExp(pattern) : undefined;
  const fitting = known.filter((text) => shape === undefined || shape.test(text));
  const shaped =
    format === 'uuid'
      ? fc.uuid()
      : format === 'date-time'
        ? fc
            .date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })
            .map((date) => date.toISOString())
        : shape && lengths.maxLength > 0 && typeof pattern === 'string' && pattern.length < 60
          ? fc.stringMatching(shape).filter((text) => text.length <= Number(maxLength ?? 300))
          : fc.string(lengths);
  return fc.oneof(
    ...(fitting.length > 0 ? [{ weight: 6, arbitrary: fc.constantFrom(...fitting) }] : []),
    { weight: 1, arbitrary: shaped },
    ...(isWild ? [{ weight: 2, arbitrary: fc.string({ unit: 'binary' }) }] : []),
  );
}

function objects(schema: Schema, inner: (next: unknown) => fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const { properties, required, additionalProperties } = schema;
  if (typeof properties !== 'object' || properties === null)
    return fc.dictionary(
      fc.constantFrom('value', 'admin_username', 'admin_password', 'consumer_key'),
      inner(additionalProperties ?? {}),
      { minKeys: 1, maxKeys: 3 },
    );
  const shapes = Object.entries(properties).map(([name, next]) => [name, inner(next)] as const);
  const requiredKeys = Array.isArray(required) ? required.map(String) : [];
  return fc.record(Object.fromEntries(shapes), { requiredKeys });
}
