import fc from 'fast-check';

type Schema = Readonly<Record<string, unknown>>;

/**
 * Values that a JSON Schema of the kinds that zod writes allows, and now and then some that it doesn't. `known`: texts that
 * mean something there, such as ids.
 */
export function valuesOf(
  schema: Schema,
  components: Readonly<Record<string, Schema>>,
  known: readonly string[],
): fc.Arbitrary<unknown> {
  const right = rightValues(schema, components, known);
  return fc.oneof({ weight: 9, arbitrary: right }, { weight: 1, arbitrary: fc.jsonValue() });
}

function rightValues(
  schema: Schema,
  components: Readonly<Record<string, Schema>>,
  known: readonly string[],
): fc.Arbitrary<unknown> {
  const { $ref, const: constant, enum: values, type } = schema;
  const inner = (next: unknown) => valuesOf(next as Schema, components, known); // what a schema holds is schemas
  if (typeof $ref === 'string') return inner(components[$ref.split('/').at(-1) ?? ''] ?? {});
  if (constant !== undefined) return fc.constant(constant);
  if (Array.isArray(values)) return fc.constantFrom(...values);
  const either = schema.oneOf ?? schema.anyOf;
  if (Array.isArray(either)) return fc.oneof(...either.map(inner));
  switch (type) {
    case 'string':
      return strings(schema, known);
    case 'integer':
    case 'number':
      return fc.oneof(fc.integer({ min: 0, max: 120 }), fc.integer());
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(inner(schema.items ?? {}), { maxLength: 3 });
    case 'object':
      return objects(schema, inner);
    default:
      return fc.jsonValue();
  }
}

function strings({ pattern, format, maxLength }: Schema, known: readonly string[]): fc.Arbitrary<string> {
  const words = ['woocommerce', 'stripe', 'shop.example.com', 'api_key_generation', 'create_key', 'value', 'browser'];
  const shaped =
    format === 'uuid'
      ? fc.uuid()
      : format === 'date-time'
        ? fc.date({ noInvalidDate: true }).map((date) => date.toISOString())
        : typeof pattern === 'string' && pattern.length < 60
          ? fc.stringMatching(new RegExp(pattern))
          : fc.string({ maxLength: Math.min(Number(maxLength ?? 40), 40) });
  return fc.oneof(fc.constantFrom(...known), fc.constantFrom(...words), shaped, fc.string({ unit: 'binary' }));
}

function objects(schema: Schema, inner: (next: unknown) => fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const { properties, required, additionalProperties } = schema;
  if (typeof properties !== 'object' || properties === null)
    return fc.dictionary(
      fc.constantFrom('value', 'admin_username', 'admin_password', 'consumer_key'),
      inner(additionalProperties ?? {}),
      { maxKeys: 3 },
    );
  const shapes = Object.entries(properties).map(([name, next]) => [name, inner(next)] as const);
  const requiredKeys = Array.isArray(required) ? required.map(String) : [];
  return fc.record(Object.fromEntries(shapes), { requiredKeys });
}
