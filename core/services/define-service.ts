import type { OperationTypeDefinition, Service } from './service.ts';

const SLUG = /^[a-z][a-z0-9_]*$/;

/**
 * Declares a service, checked when the program starts. @throws Error with every contradiction: a bad id, permissions that
 * are asked for twice or required without being asked for, a type that is filed under another name, a default choice that
 * the service itself refuses.
 */
export function defineService<S extends Service>(service: S): S {
  const problems = [
    ...(SLUG.test(service.id) ? [] : [`the id ${service.id} is no slug`]),
    ...service.aliases
      .filter((alias) => alias !== alias.toLowerCase())
      .map((alias) => `the alias ${alias} has capitals`),
    ...repeated(service.signIn.map(({ name }) => name)).map((name) => `the sign-in field ${name} is there twice`),
    ...Object.entries(service.operationTypes).flatMap(([key, type]) => typeProblems(key, type)),
  ];
  if (problems.length > 0) throw new Error(`The service ${service.id} contradicts itself: ${problems.join('; ')}`);
  return Object.freeze(service);
}

/** What is asked for unless somebody chooses otherwise. */
export function defaultPermissions(type: OperationTypeDefinition): readonly string[] {
  return type.permissions.filter(({ isRequired, isDefault }) => isRequired || isDefault).map(({ id }) => id);
}

function typeProblems(key: string, type: OperationTypeDefinition): readonly string[] {
  const refusal = type.checkPermissions(defaultPermissions(type));
  return [
    ...(type.type === key ? [] : [`${type.type} is filed under ${key}`]),
    ...repeated(type.permissions.map(({ id }) => id)).map((id) => `the permission ${id} is there twice`),
    ...type.permissions.filter(({ id }) => !SLUG.test(id)).map(({ id }) => `the permission ${id} is no slug`),
    ...type.permissions
      .filter(({ isRequired, isDefault }) => isRequired && !isDefault)
      .map(({ id }) => `the permission ${id} is required but not asked for`),
    ...(refusal === undefined ? [] : [`its own default choice is refused: ${refusal}`]),
    ...(Object.keys(type.result).length > 0 ? [] : ['nothing comes of it']),
  ];
}

function repeated(names: readonly string[]): readonly string[] {
  return names.filter((name, index) => names.indexOf(name) !== index);
}
