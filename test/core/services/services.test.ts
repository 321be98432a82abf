import { describe, expect, test } from 'vitest';
import { defineService } from '../../../core/services/define-service.ts';
import { getService, services } from '../../../core/services/index.ts';
import { woocommerce } from '../../../core/services/woocommerce/index.ts';
import { createWorkflowRegistry } from '../../../core/workflow/registry.ts';

const found = woocommerce.operationTypes.api_key_generation;
if (found === undefined) throw new Error('WooCommerce has no API keys');
const type = found;

describe('the services', () => {
  test('are found by their id', () => {
    expect(getService('woocommerce')).toBe(woocommerce);
    expect(getService('none')).toBeUndefined();
  });

  test('name workflows that exist, for themselves', () => {
    const registry = createWorkflowRegistry();
    for (const service of services) {
      for (const { workflowId } of Object.values(service.operationTypes).flatMap(({ ways }) => ways))
        expect(registry.getDefinition(workflowId).service).toBe(service.id);
    }
  });

  test('have types that are about the key that one of them makes, each with a workflow that asks for no more than it shows', () => {
    const registry = createWorkflowRegistry();
    for (const { operationTypes } of services)
      for (const { ways, permissions, credentialType, type: kind } of Object.values(operationTypes))
        for (const way of ways) {
          const steps = registry.getDefinition(way.workflowId).steps;
          const shown = permissions.filter(({ ways: of }) => of?.includes(way.id) ?? true).map(({ id }) => id);
          expect(shown).toEqual(expect.arrayContaining([...new Set(steps.map(({ permission }) => permission))]));
          expect(credentialType).toBe(operationTypes.api_key_generation?.credentialType);
          expect(steps.some(({ kind: step }) => step === 'replace' || step === 'receive' || step === 'extract')).toBe(
            kind === 'api_key_generation' || kind === 'credential_rotation',
          );
        }
  });

  test.each([
    ['makes another sort of key', { credential_rotation: { result: { token: { label: 'Token', matches: /./ } } } }],
    ['is about another credential than is made', { credential_revocation: { credentialType: 'password' } }],
    ['makes no key, and says what comes of it', { credential_revocation: { result: type.result } }],
    ['a test takes the stored key alone', { integration_test: { ways: type.ways.slice(0, 1) } }],
    ['no key is made, so none is entered', { credential_revocation: { ways: type.ways.slice(1) } }],
  ] as const)('are refused when a type %s', (problem, changes) => {
    const operationTypes = Object.fromEntries(
      Object.entries(woocommerce.operationTypes).map(([kind, one]) => [
        kind,
        { ...one, ...(Object.entries(changes).find(([changed]) => changed === kind)?.[1] ?? {}) },
      ]),
    );
    expect(() => defineService({ ...woocommerce, operationTypes })).toThrow(problem);
  });

  test('are refused when a type is about a key that nothing makes', () => {
    const { api_key_generation: _, ...operationTypes } = woocommerce.operationTypes;
    expect(() => defineService({ ...woocommerce, operationTypes })).toThrow('is about a key that nothing makes');
  });

  test('are refused when they contradict themselves', () => {
    const broken = { ...type, type: 'integration_test' as const, permissions: type.permissions.slice(1) };
    const define = () => defineService({ ...woocommerce, operationTypes: { api_key_generation: broken } });
    expect(define).toThrow('integration_test is filed under api_key_generation');
    const repeated = { ...type, permissions: [...type.permissions, ...type.permissions] };
    expect(() => defineService({ ...woocommerce, operationTypes: { api_key_generation: repeated } })).toThrow(
      'is there twice',
    );
  });
});
