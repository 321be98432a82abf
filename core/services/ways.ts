import type { OperationTypeDefinition, Permission, Way } from './service.ts';

/** The way with this id, or the first where a plan names none; `undefined`: this version knows no such way. */
export function wayOf(type: OperationTypeDefinition, id: string | undefined): Way | undefined {
  return id === undefined ? type.ways[0] : type.ways.find((way) => way.id === id);
}

/** The ways that are open to an installation at this address, the vendor's own first; without an address those that need none. */
export function waysAt(type: OperationTypeDefinition, publicUrl: string | undefined): readonly Way[] {
  const url = publicUrl === undefined ? null : URL.parse(publicUrl);
  const isOpen = ({ grant }: Way) => !grant || (url !== null && grant.worksAt(url));
  return type.ways.filter(isOpen).toSorted((one, other) => Number(!one.grant) - Number(!other.grant));
}

/** What can be asked for in this way. */
export function permissionsIn(type: OperationTypeDefinition, { id }: Way): readonly Permission[] {
  return type.permissions.filter(({ ways }) => ways === undefined || ways.includes(id));
}

/** What is asked for unless somebody chooses otherwise. */
export function defaultPermissions(type: OperationTypeDefinition, way: Way = type.ways[0]): readonly string[] {
  return permissionsIn(type, way)
    .filter(({ isRequired, isDefault }) => isRequired || isDefault)
    .map(({ id }) => id);
}

/** The same choice in another way: what that way can't do without is added, and what it doesn't know is left out. */
export function permissionsInstead(
  type: OperationTypeDefinition,
  way: Way,
  chosen: readonly string[],
): readonly string[] {
  return permissionsIn(type, way)
    .filter(({ id, isRequired }) => isRequired || chosen.includes(id))
    .map(({ id }) => id);
}

/** @returns a sentence when this choice of permissions makes no sense in this way. */
export function permissionProblem(
  type: OperationTypeDefinition,
  way: Way,
  chosen: readonly string[],
): string | undefined {
  const known = permissionsIn(type, way);
  const unknown = chosen.find((id) => !known.some((permission) => permission.id === id));
  if (unknown !== undefined) return `There is no permission “${unknown}” here.`;
  const missing = known.find(({ id, isRequired }) => isRequired && !chosen.includes(id));
  if (missing !== undefined) return `Without “${missing.words}” this can't be done.`;
  return type.checkPermissions(chosen);
}
