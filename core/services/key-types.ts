import type { OperationTypeDefinition, Permission, Way } from './service.ts';

/** What a type of a service says for itself; the rest follows from how the service makes keys. */
type Own = Pick<OperationTypeDefinition, 'title' | 'ways' | 'permissions' | 'reassurance'>;

/** Whether a new key comes of it; else it is about the stored one, or about none. */
export function makesKey({ result }: Pick<OperationTypeDefinition, 'result'>): boolean {
  return Object.keys(result).length > 0;
}

/**
 * A new key in the place of the stored one, which is then ended. It is the same sort of key, with the same choice of power.
 * @param own its permissions hold all of `generation`'s by which a key's power is chosen.
 */
export function rotationOf(generation: OperationTypeDefinition, own: Own): OperationTypeDefinition {
  return {
    ...generation,
    ...own,
    type: 'credential_rotation',
    stores:
      'The new key goes into the encrypted vault beside the old one, and takes its place there once it has been proven to work.',
    guide: (base, values) => [
      ...generation.guide(base, values),
      `Once the new key is in use, end the old one, “${values.oldLabel ?? 'the earlier key'}”:`,
      ...generation.revokeGuide(base, values.oldLabel ?? 'the earlier key'),
    ],
  };
}

/** The stored key is ended at the service, and deleted from the vault. */
export function revocationOf(generation: OperationTypeDefinition, own: Own): OperationTypeDefinition {
  return {
    ...aboutOneKey(generation),
    ...own,
    type: 'credential_revocation',
    stores: 'Nothing. The key is deleted from the vault once the service no longer takes it.',
    guide: (base, values) => generation.revokeGuide(base, values.oldLabel ?? 'the earlier key'),
  };
}

/** The stored key is tried by calls that change nothing. */
export function testOf(
  generation: OperationTypeDefinition,
  { title, workflowId, standing }: Pick<OperationTypeDefinition, 'title'> & Pick<Way, 'workflowId' | 'standing'>,
): OperationTypeDefinition {
  return {
    ...aboutOneKey(generation),
    type: 'integration_test',
    title,
    ways: [{ ...STORED, standing, workflowId }],
    permissions: [
      {
        id: 'check_key',
        words: 'Try the stored key by requests that change nothing',
        reason: 'Nothing else shows whether it still works.',
        detail: 'nothing is changed',
        risk: 'reads',
        isRequired: true,
        isDefault: true,
      },
    ],
    stores: 'Nothing: the key stays where it is.',
    reassurance: 'Nothing is changed, there or here.',
    guide: (base, values) => [
      `Use “${values.oldLabel ?? 'the stored key'}” for one reading request to ${base}. Reveal, for an admin, shows it once.`,
    ],
  };
}

/** A way in which the stored key does everything by itself; its `standing` and `workflowId` are the service's to say. */
export const STORED = {
  id: 'stored',
  kind: 'stored',
  label: 'With the stored key',
  fields: [],
  typicalSeconds: 5,
} as const satisfies Partial<Way>;

/** What a key that is made in this way takes, for a type that has this way alone. */
export function permissionsOfWay(permissions: readonly Permission[], id: string): readonly Permission[] {
  return permissions
    .filter(({ ways }) => ways === undefined || ways.includes(id))
    .map(({ ways: _, ...permission }) => permission);
}

/** What makes no key chooses no power. */
function aboutOneKey(generation: OperationTypeDefinition): OperationTypeDefinition {
  return { ...generation, result: {}, checkPermissions: () => undefined, values: () => ({}) };
}
