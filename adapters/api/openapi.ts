import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import { VERSION } from '../../core/version.ts';
import { type ApiRoute, NOTHING } from './route.ts';
import { problemSchema, requests, responses } from './views.ts';

/** Any value of JSON. */
type Json = { readonly [name: string]: unknown };

/** What may come of every request, whatever it asks for. */
const ALWAYS = [400, 401, 403, 429, 500, 503];
const OF_A_POST = [409, 413, 415, 422];
const PROBLEM = 'application/problem+json';

/** The OpenAPI 3.1 document of these routes, from the schemas that the routes themselves are held to. */
export function openApiDocument(routes: readonly ApiRoute[], serverUrl: string): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = `/api/autonomous${route.path.replace(/:(\w+)/g, '{$1}')}`;
    paths[path] = { ...paths[path], [route.method]: operationOf(route) };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Countersign',
      version: VERSION,
      description:
        'Sets up store integrations, and runs nothing that nobody countersigned. Errors are problem details (RFC 9457); `code` tells them apart.',
    },
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    servers: [{ url: serverUrl }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'Made by `countersign token create`.' },
      },
      schemas: { ...schemasOf(requests, 'input'), ...schemasOf(responses, 'output') },
    },
  };
}

function operationOf(route: ApiRoute): Json {
  const { id, summary, description, scope, body, answers, problems = [] } = route;
  const isPost = route.method === 'post';
  const statuses = [...new Set([...ALWAYS, ...(isPost ? OF_A_POST : []), ...problems])].sort((a, b) => a - b);
  return {
    operationId: id,
    summary,
    description: `${description ? `${description}\n\n` : ''}Scope: \`${scope}\`.`,
    security: [{ token: [] }],
    'x-scope': scope,
    parameters: [
      ...parametersOf(route.params, 'path'),
      ...parametersOf(route.query, 'query'),
      ...(isPost ? [IDEMPOTENCY] : []),
    ],
    ...(body
      ? { requestBody: { required: true, content: { 'application/json': { schema: refOf(requests, body) } } } }
      : {}),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, { description: words, schema, alsoAs = [] }]) => [
          status,
          {
            description: words,
            content: {
              'application/json': { schema: refOf(responses, schema) },
              ...Object.fromEntries(alsoAs.map((type) => [type, { schema: { type: 'string' } }])),
            },
          },
        ]),
      ),
      ...Object.fromEntries(statuses.map((status) => [status, problemOf(status)])),
    },
  };
}

const IDEMPOTENCY: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'The same key with the same request is given the same answer, for a day; with another one, 422.',
  schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x21-\\x7e]+$' },
};

function problemOf(status: number): Json {
  return {
    description: STATUS_CODES[status] ?? 'A problem.',
    content: { [PROBLEM]: { schema: refOf(responses, problemSchema) } },
  };
}

function parametersOf(schema: z.ZodType, place: 'path' | 'query'): readonly Json[] {
  if (schema === NOTHING) return [];
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: 'input' });
  return Object.entries(properties).map(([name, shape]) => {
    const { description, ...rest } = typeof shape === 'boolean' ? {} : shape;
    const isRequired = place === 'path' || (required.includes(name) && !('default' in rest));
    return { name, in: place, required: isRequired, ...(description ? { description } : {}), schema: rest };
  });
}

type Named = z.core.$ZodRegistry<{ id: string }>;

const uriOf = (id: string) => `#/components/schemas/${id}`;

/** @throws Error for a schema without a name: the document would not show it. */
function refOf(registry: Named, schema: z.ZodType): Json {
  const id = registry.get(schema)?.id;
  if (id === undefined) throw new Error('a schema of the API has no name');
  return { $ref: uriOf(id) };
}

function schemasOf(registry: Named, io: 'input' | 'output'): Json {
  const { schemas } = z.toJSONSchema(registry, { io, uri: uriOf });
  return Object.fromEntries(Object.entries(schemas).map(([id, { $id: _, $schema: __, ...schema }]) => [id, schema]));
}
