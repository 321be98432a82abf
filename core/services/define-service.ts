import type { OperationType, OperationTypeDefinition, Service, Way } from './service.ts';
import { defaultPermissions, permissionProblem } from './ways.ts';

const SLUG = /^[a-z][a-z0-9_]*$/;

/** What brings a key; the others are about one that is there. */
const MAKING: readonly OperationType[] = ['api_key_generation', 'credential_rotation'];

/**
 * Declares a service, checked when the program starts. @throws Error with every contradiction: a bad id, permissions that
 * are asked for twice or required without being asked for, a type that is filed under another name, a way in which
 * something else is entered than comes of it, a default choice that the service itself refuses, types that are not about
 * the same key.
 */
export function defineService<S extends Service>(service: S): S {
  const problems = [
    ...(SLUG.test(service.id) ? [] : [`the id ${service.id} is no slug`]),
    ...service.aliases
      .filter((alias) => alias !== alias.toLowerCase())
      .map((alias) => `the alias ${alias} has capitals`),
    ...Object.entries(service.operationTypes).flatMap(([key, type]) => typeProblems(key, type)),
    ...kinProblems(service),
  ];
  if (problems.length > 0) throw new Error(`The service ${service.id} contradicts itself: ${problems.join('; ')}`);
  return Object.freeze(service);
}

/** What the types of one service owe each other: they are about the same key, which one of them makes. */
function kinProblems({ operationTypes }: Service): readonly string[] {
  const { api_key_generation: generation, ...others } = operationTypes;
  const partsOf = ({ result }: OperationTypeDefinition) =>
    Object.entries(result)
      .map(([name, { matches }]) => `${name} ${matches.source}`)
      .toSorted()
      .join();
  return Object.values(others).flatMap((type) => [
    ...(generation ? [] : [`${type.type} is about a key that nothing makes`]),
    ...(generation && type.credentialType !== generation.credentialType
      ? [`${type.type} is about another credential than is made`]
      : []),
    ...(generation && type.type === 'credential_rotation' && partsOf(type) !== partsOf(generation)
      ? [`${type.type} makes another sort of key`]
      : []),
  ]);
}

function typeProblems(key: string, type: OperationTypeDefinition): readonly string[] {
  const ways = type.ways.map(({ id }) => id);
  const makesKey = MAKING.includes(type.type);
  const hasResult = Object.keys(type.result).length > 0;
  return [
    ...(type.type === key ? [] : [`${type.type} is filed under ${key}`]),
    ...repeated(type.permissions.map(({ id }) => id)).map((id) => `the permission ${id} is there twice`),
    ...type.permissions.filter(({ id }) => !SLUG.test(id)).map(({ id }) => `the permission ${id} is no slug`),
    ...type.permissions
      .filter(({ isRequired, isDefault }) => isRequired && !isDefault)
      .map(({ id }) => `the permission ${id} is required but not asked for`),
    ...type.permissions
      .flatMap((permission) => permission.ways ?? [])
      .filter((id) => !ways.includes(id))
      .map((id) => `a permission is for the way ${id}, which there is not`),
    ...(makesKey && !hasResult ? ['nothing comes of it'] : []),
    ...(!makesKey && hasResult ? [`${type.type} makes no key, and says what comes of it`] : []),
    ...(type.type === 'integration_test' && type.ways.some(({ kind }) => kind !== 'stored')
      ? ['a test takes the stored key alone']
      : []),
    ...(type.token && type.credentialType === 'oauth_token' ? ['a token is exchanged for a token'] : []),
    ...repeated(ways).map((id) => `the way ${id} is there twice`),
    ...type.ways.flatMap((way) => wayProblems(type, way).map((problem) => `${way.id}: ${problem}`)),
  ];
}

function wayProblems(type: OperationTypeDefinition, way: Way): readonly string[] {
  const names = way.fields.map(({ name }) => name);
  const refusal = permissionProblem(type, way, defaultPermissions(type, way));
  const results = Object.keys(type.result);
  const isByPerson = way.kind === 'entered' || way.kind === 'granted';
  const isWhole = !isByPerson || results.toSorted().join() === names.toSorted().join();
  return [
    ...(SLUG.test(way.id) ? [] : ['the id is no slug']),
    ...repeated(names).map((name) => `the field ${name} is there twice`),
    ...(isWhole ? [] : [`what is entered is not ${results.join(' and ')}`]),
    ...(isByPerson && !MAKING.includes(type.type) ? ['no key is made, so none is entered'] : []),
    ...(way.kind === 'stored' && names.length > 0 ? ['the stored key is all that it takes'] : []),
    ...(way.kind === 'stored' && type.type === 'api_key_generation' ? ['there is no stored key yet'] : []),
    ...((way.kind === 'granted') === (way.grant !== undefined) ? [] : ['only what is granted has a page for it']),
    ...(refusal === undefined ? [] : [`its own default choice is refused: ${refusal}`]),
  ];
}

function repeated(names: readonly string[]): readonly string[] {
  return names.filter((name, index) => names.indexOf(name) !== index);
}
