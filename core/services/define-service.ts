import type { OperationTypeDefinition, Service, Way } from './service.ts';
import { defaultPermissions, permissionProblem } from './ways.ts';

const SLUG = /^[a-z][a-z0-9_]*$/;

/**
 * Declares a service, checked when the program starts. @throws Error with every contradiction: a bad id, permissions that
 * are asked for twice or required without being asked for, a type that is filed under another name, a way in which
 * something else is entered than comes of it, a default choice that the service itself refuses.
 */
export function defineService<S extends Service>(service: S): S {
  const problems = [
    ...(SLUG.test(service.id) ? [] : [`the id ${service.id} is no slug`]),
    ...service.aliases
      .filter((alias) => alias !== alias.toLowerCase())
      .map((alias) => `the alias ${alias} has capitals`),
    ...Object.entries(service.operationTypes).flatMap(([key, type]) => typeProblems(key, type)),
  ];
  if (problems.length > 0) throw new Error(`The service ${service.id} contradicts itself: ${problems.join('; ')}`);
  return Object.freeze(service);
}

function typeProblems(key: string, type: OperationTypeDefinition): readonly string[] {
  const ways = type.ways.map(({ id }) => id);
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
    ...(Object.keys(type.result).length > 0 ? [] : ['nothing comes of it']),
    ...(type.token && type.credentialType === 'oauth_token' ? ['a token is exchanged for a token'] : []),
    ...repeated(ways).map((id) => `the way ${id} is there twice`),
    ...type.ways.flatMap((way) => wayProblems(type, way).map((problem) => `${way.id}: ${problem}`)),
  ];
}

function wayProblems(type: OperationTypeDefinition, way: Way): readonly string[] {
  const names = way.fields.map(({ name }) => name);
  const refusal = permissionProblem(type, way, defaultPermissions(type, way));
  const results = Object.keys(type.result);
  const isWhole = way.kind === 'browser' || results.toSorted().join() === names.toSorted().join();
  return [
    ...(SLUG.test(way.id) ? [] : ['the id is no slug']),
    ...repeated(names).map((name) => `the field ${name} is there twice`),
    ...(isWhole ? [] : [`what is entered is not ${results.join(' and ')}`]),
    ...((way.kind === 'granted') === (way.grant !== undefined) ? [] : ['only what is granted has a page for it']),
    ...(refusal === undefined ? [] : [`its own default choice is refused: ${refusal}`]),
  ];
}

function repeated(names: readonly string[]): readonly string[] {
  return names.filter((name, index) => names.indexOf(name) !== index);
}
